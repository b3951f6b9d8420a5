"""Points as people type and read them."""

from __future__ import annotations

import pytest

from portal.services.points import in_words, read_points


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
