"""Points between people, programs and rows: exact to the hundredth, or refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.models import Rounding
from portal.services.points import MOST_POINTS, in_words, points_for, read_points, to_hundredths, to_number


@given(st.integers(-MOST_POINTS * 100, MOST_POINTS * 100))
def test_every_hundredth_comes_back_as_it_was(hundredths: int) -> None:
    assert to_hundredths(to_number(hundredths)) == hundredths


@pytest.mark.parametrize(("number", "hundredths"), [(12, 1200), (0.1, 10), (25.3, 2530), (-0.01, -1), (1e3, 100_000)])
def test_a_number_as_programs_write_it_is_taken_exactly(number: float, hundredths: int) -> None:
    assert to_hundredths(number) == hundredths


@pytest.mark.parametrize("number", [0.001, 11.777, 1e-9, MOST_POINTS + 1, -1e15])
def test_what_cannot_be_kept_exactly_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="must not"):
        to_hundredths(number)


def test_a_whole_number_is_shown_as_one() -> None:
    assert [repr(to_number(each)) for each in (1200, 1250, -1, 0)] == ["12", "12.5", "-0.01", "0"]


@pytest.mark.parametrize(
    ("rounding", "hundredths"), [(Rounding.DOWN, 1700), (Rounding.NEAREST, 1800), (Rounding.NONE, 1766)]
)
def test_points_follow_from_an_amount_by_the_programmes_rounding(rounding: Rounding, hundredths: int) -> None:
    assert points_for(Decimal("11.77"), 150, rounding) == hundredths


@pytest.mark.parametrize(
    ("text", "hundredths"),
    [
        ("250", 25_000),
        ("12.5", 1_250),
        ("12,50", 1_250),
        ("1,200", 120_000),
        ("1,200.05", 120_005),
        (" 1 000 ", 100_000),
        ("-3", -300),
        ("+3", 300),
        (".5", 50),
        ("12.500", 1_250),
        ("0", 0),
    ],
)
def test_points_are_read_as_people_write_them(text: str, hundredths: int) -> None:
    assert read_points(text) == hundredths


@pytest.mark.parametrize("text", ["", "ten", "1.2.3", "12.345", "1e5", "nan", "inf", "--1", "1" * 14, "9" * 400])
def test_what_is_no_number_of_points_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="Enter"):
        read_points(text)


def test_points_are_shown_grouped_and_with_decimals_only_where_there_are_any() -> None:
    assert [in_words(points) for points in (0, 120_000, 1_250, -305)] == ["0", "1,200", "12.50", "-3.05"]
