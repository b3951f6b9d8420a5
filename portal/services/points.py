"""Points between the outside, where they are numbers with at most two decimals, and rows, where they are whole hundredths."""

from __future__ import annotations

import re
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

from portal.models import Rounding

# As many as a float tells apart to the hundredth.
MOST_POINTS = 10**12
_NUMBER = re.compile(r"[+-]?(\d{1,20}(\.\d{0,20})?|\.\d{1,20})")
_IN_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")


def to_hundredths(number: float) -> int:
    """Raises `ValueError` that says what is wrong with it."""
    if not abs(number) <= MOST_POINTS:  # nor is what is not a number
        raise ValueError(f"must not be more than {MOST_POINTS:,} points")
    if isinstance(number, int):
        return number * 100
    hundredths = round(number * 100)
    if hundredths / 100 != number:
        raise ValueError("must not have more than two decimals")
    return hundredths


def to_number(hundredths: int) -> int | float:
    """12 or 12.5: a whole number stays one."""
    return hundredths // 100 if hundredths % 100 == 0 else hundredths / 100


def points_for(amount: Decimal, points_per_unit: int, rounding: Rounding) -> int:
    """Hundredths of points for an amount of money; `points_per_unit` in hundredths too."""
    hundredths = amount * points_per_unit
    if rounding is Rounding.NONE:
        return int(hundredths.quantize(Decimal(1), ROUND_HALF_UP))
    mode = ROUND_DOWN if rounding is Rounding.DOWN else ROUND_HALF_UP
    return int((hundredths / 100).quantize(Decimal(1), mode)) * 100


def read_points(text: str) -> int:
    """Hundredths, from what a person typed: 1,200 or 12.5 or 12,5. Raises `ValueError` that says what to do."""
    compact = "".join(text.split())
    if _IN_THOUSANDS.fullmatch(compact):
        compact = compact.replace(",", "")
    compact = compact.replace(",", ".")
    if not _NUMBER.fullmatch(compact):
        raise ValueError("Enter a number, such as 250 or 12.50.")
    number = Decimal(compact)
    if abs(number) > MOST_POINTS:
        raise ValueError(f"Enter at most {MOST_POINTS:,} points.")
    hundredths = number * 100
    if hundredths != int(hundredths):
        raise ValueError("Enter at most two decimals, such as 12.50.")
    return int(hundredths)


def in_words(hundredths: int) -> str:
    """1,204 or 12.50, grouped, for a person."""
    return f"{hundredths // 100:,}" if hundredths % 100 == 0 else f"{Decimal(hundredths) / 100:,.2f}"
