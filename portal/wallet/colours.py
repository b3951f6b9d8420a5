"""Colours as a designer writes them and as Apple reads them, and whether one can be read on the other."""

from __future__ import annotations

import re
from typing import NamedTuple, Self

from portal.wallet.errors import CardError

# Normal text needs 4.5 to 1, large text 3 to 1 (WCAG 2.2, 1.4.3).
READABLE, READABLE_LARGE = 4.5, 3.0

_HEX = re.compile(r"#?([0-9a-f]{3}|[0-9a-f]{6})", re.I)
_RGB = re.compile(r"rgb\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)", re.I)


class Colour(NamedTuple):
    """Red, green and blue, 0 to 255."""

    red: int
    green: int
    blue: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`#1a2b3c`, `#abc` or `rgb(26, 43, 60)`. Raises a `CardError`."""
        text = text.strip()
        if match := _HEX.fullmatch(text):
            digits = match[1] if len(match[1]) == 6 else "".join(digit * 2 for digit in match[1])
            return cls(*bytes.fromhex(digits))
        if (match := _RGB.fullmatch(text)) and all(int(part) <= 255 for part in match.groups()):
            return cls(*(int(part) for part in match.groups()))
        raise CardError(
            "colour_unreadable", f"“{text[:40]}” is not a colour. Write it like #1a2b3c or rgb(26, 43, 60)."
        )

    @property
    def hex(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"

    @property
    def rgb(self) -> str:
        """As `pass.json` has it."""
        return f"rgb({self.red}, {self.green}, {self.blue})"


def contrast(one: Colour, other: Colour) -> float:
    """From 1 (the same) to 21 (black on white): https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
