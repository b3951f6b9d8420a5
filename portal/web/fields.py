"""Fields of forms that know the portal's own kinds of values."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from wtforms import SelectField, StringField

from portal.services.points import read_points


class PointsField(StringField):
    """Points as a person types them; `data` is whole hundredths, and what was typed stays in the field."""

    data: Any

    def process_formdata(self, valuelist: Sequence[str]) -> None:
        text = valuelist[0].strip() if valuelist else ""
        self.data = read_points(text) if text else None

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        if self.data is None:
            return ""
        return f"{self.data // 100}" if self.data % 100 == 0 else f"{Decimal(self.data) / 100:.2f}"


class AmountField(StringField):
    """An amount of money; `data` is a `Decimal`."""

    data: Any

    def process_formdata(self, valuelist: Sequence[str]) -> None:
        text = "".join(valuelist[0].split()).replace(",", ".") if valuelist else ""
        self.data = None
        if not text:
            return
        try:
            amount = Decimal(text)
        except InvalidOperation as error:
            raise ValueError("Enter an amount, such as 24.90.") from error
        if not amount.is_finite() or not 0 < amount < 10**9:
            raise ValueError("Enter an amount above 0, such as 24.90.")
        self.data = amount

    def _value(self) -> str:
        return str(self.raw_data[0]) if self.raw_data else ""


class WholeField(StringField):
    """A whole number above zero, or nothing."""

    data: Any

    def __init__(self, label: str, *, most: int, what: str, **more: object) -> None:
        super().__init__(label, **more)
        self._most, self._what = most, what

    def process_formdata(self, valuelist: Sequence[str]) -> None:
        text = "".join(valuelist[0].split()) if valuelist else ""
        self.data = None
        if not text:
            return
        if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:12]) <= self._most:
            raise ValueError(f"Enter {self._what} from 1 to {self._most:,}, or leave it empty.")
        self.data = int(text)

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return "" if self.data is None else str(self.data)


class ChoiceField(SelectField):
    """One of few, by value and label; nothing else is taken."""

    def __init__(self, label: str, choices: dict[str, str] | None = None, **more: object) -> None:
        super().__init__(label, choices=choices, invalid_choice_message="Choose one of the list.", **more)
