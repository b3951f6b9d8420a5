"""The places on a card for pictures. Drawing them is `images`, which takes 4 MB of memory: only where one is drawn.

https://developer.apple.com/design/human-interface-guidelines/wallet: points, for screens of one, two and three pixels a point.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from portal.wallet.colours import Colour

SCALES = (1, 2, 3)


class Slot(Enum):
    """Where on the card a picture goes: its name, and its width and height in points."""

    ICON = ("icon", 38, 38)
    LOGO = ("logo", 160, 50)
    STRIP = ("strip", 375, 144)

    def __init__(self, file: str, width: int, height: int) -> None:
        self.file, self.width, self.height = file, width, height

    @property
    def best(self) -> tuple[int, int]:
        """Pixels with which it is sharp on every phone."""
        return self.width * SCALES[-1], self.height * SCALES[-1]


@dataclass(frozen=True)
class Prepared:
    """`files` by name as `Images` takes them; `advice` where it works but could look better."""

    files: dict[str, bytes]
    advice: tuple[str, ...] = ()


def prepare(slot: Slot, upload: bytes) -> Prepared:
    """An upload in the slot's three sizes, as PNG without what else the file held. Raises an `ImageError`."""
    from portal.wallet import images

    return images.prepare(slot, upload)


def plain_icon(colour: Colour) -> Prepared:
    """An icon for who has none yet: a disc on a square of the card's colour."""
    from portal.wallet import images

    return images.plain_icon(colour)
