"""One field of an Apple card: a label, a value, how it is written, and the notification that a change of it makes.

https://developer.apple.com/documentation/walletpasses/passfieldcontent. What contradicts itself is refused when it is made.
"""

from __future__ import annotations

import html
import math
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from portal.wallet.errors import CardError

Value = str | int | float | Decimal | datetime


class Alignment(StrEnum):
    LEFT = "PKTextAlignmentLeft"
    CENTER = "PKTextAlignmentCenter"
    RIGHT = "PKTextAlignmentRight"
    NATURAL = "PKTextAlignmentNatural"


class DateStyle(StrEnum):
    NONE = "PKDateStyleNone"
    SHORT = "PKDateStyleShort"
    MEDIUM = "PKDateStyleMedium"
    LONG = "PKDateStyleLong"
    FULL = "PKDateStyleFull"


class NumberStyle(StrEnum):
    DECIMAL = "PKNumberStyleDecimal"
    PERCENT = "PKNumberStylePercent"
    SCIENTIFIC = "PKNumberStyleScientific"
    SPELL_OUT = "PKNumberStyleSpellOut"


class Detector(StrEnum):
    """What Wallet turns into something to tap, on the back only."""

    PHONE_NUMBER = "PKDataDetectorTypePhoneNumber"
    LINK = "PKDataDetectorTypeLink"
    ADDRESS = "PKDataDetectorTypeAddress"
    CALENDAR_EVENT = "PKDataDetectorTypeCalendarEvent"


# NUL and its like break readers; half a surrogate pair is no UTF-8.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_TAG = re.compile(r"<[^>]*>?")
_LINK_TAG = re.compile(r"""<a\s+href=(?:"[^"<>]*"|'[^'<>]*')\s*>|</a>""", re.I)


def printable(text: str) -> str:
    """Without what no phone can show: a customer's odd name must not cost the customer the card."""
    return _UNPRINTABLE.sub("", text)


def link(url: str, text: str) -> str:
    """For `Field.attributed_value`: a text that opens an address when tapped, everything escaped."""
    return f'<a href="{html.escape(url)}">{html.escape(text)}</a>'


@dataclass(frozen=True, kw_only=True)
class Field:
    """`key` is unique over the whole card and must stay the same in all its versions, or a change is not noticed.

    A phone shows a notification only when the `value` of a field with a `change_message` changes; `%@` stands for the new value.
    """

    key: str
    value: Value
    label: str | None = None
    change_message: str | None = None
    attributed_value: str | None = None  # shown instead of `value`, may hold links; not on the watch
    alignment: Alignment | None = None
    date_style: DateStyle | None = None
    time_style: DateStyle | None = None
    is_relative: bool = False
    ignores_time_zone: bool = False
    number_style: NumberStyle | None = None
    currency_code: str | None = None
    detectors: tuple[Detector, ...] | None = None  # left out: all of them

    def __post_init__(self) -> None:
        if not self.key:
            raise CardError("field_without_key", "A field of the card has no key. Give each field a key of its own.")
        for wrong, code, message in (*self._value_rules(), *self._style_rules(), *self._text_rules()):
            if wrong:
                raise CardError(code, f"The field “{self.key}” {message}", field=self.key)

    def _value_rules(self) -> tuple[tuple[bool, str, str], ...]:
        value = self.value
        return (
            (isinstance(value, bool) or not isinstance(value, Value), "value_type", "must be a text, number or time."),
            (
                isinstance(value, float | Decimal) and not math.isfinite(value),
                "value_not_finite",
                "is not a number that can be shown.",
            ),
            (
                isinstance(value, datetime) and value.tzinfo is None,
                "value_without_zone",
                "has a time without a time zone.",
            ),
        )

    def _style_rules(self) -> tuple[tuple[bool, str, str], ...]:
        dated = isinstance(self.value, datetime)
        numeric = isinstance(self.value, int | float | Decimal)
        as_date = bool(self.date_style or self.time_style)
        as_number = bool(self.number_style or self.currency_code)
        code = self.currency_code
        return (
            (bool(self.number_style and code), "two_number_styles", "has a number style and a currency; choose one."),
            (as_date and as_number, "two_styles", "is written both as a date and as a number; choose one."),
            (as_date and not dated, "style_without_date", "is written as a date but its value is none."),
            (dated and not as_date, "date_without_style", "is a time; say how it is written with a date style."),
            (as_number and not numeric, "style_without_number", "is written as a number but its value is none."),
            (
                (self.is_relative or self.ignores_time_zone) and not as_date,
                "style_without_date",
                "has settings for dates but no date style.",
            ),
            (
                code is not None and not re.fullmatch("[A-Z]{3}", code),
                "currency_unknown",
                "needs a currency of three capital letters, like DKK.",
            ),
        )

    def _text_rules(self) -> tuple[tuple[bool, str, str], ...]:
        tags = _TAG.findall(self.attributed_value or "")
        return (
            (
                self.change_message is not None and "%@" not in self.change_message,
                "change_message_without_value",
                "has a change message without %@; phones would show a general text instead.",
            ),
            (
                not all(_LINK_TAG.fullmatch(tag) for tag in tags),
                "attributed_value_tags",
                'may hold links (<a href="…">) and no other tags.',
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """As `pass.json` has it; what is not set is left out."""
        found: dict[str, Any] = {
            "key": self.key,
            "label": self.label,
            "value": _written(self.value),
            "attributedValue": self.attributed_value,
            "changeMessage": self.change_message,
            "textAlignment": self.alignment,
            "dateStyle": self.date_style,
            "timeStyle": self.time_style,
            "isRelative": self.is_relative or None,
            "ignoresTimeZone": self.ignores_time_zone or None,
            "numberStyle": self.number_style,
            "currencyCode": self.currency_code,
            "dataDetectorTypes": None if self.detectors is None else list(self.detectors),
        }
        return {
            key: printable(each) if isinstance(each, str) else each for key, each in found.items() if each is not None
        }


def _written(value: Value) -> str | int | float:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
