"""Colours as designers write them, and whether they can be read on each other."""

from __future__ import annotations

import pytest

from portal.wallet import CardError, Colour, contrast

WHITE = Colour(255, 255, 255)


@pytest.mark.parametrize("text", ["#1a2b3c", "1A2B3C", "rgb(26,43,60)", " RGB( 26 , 43 , 60 ) "])
def test_a_colour_is_read_however_it_is_written(text: str) -> None:
    assert Colour.parse(text) == Colour(26, 43, 60)
    assert (Colour.parse(text).hex, Colour.parse(text).rgb) == ("#1a2b3c", "rgb(26, 43, 60)")


@pytest.mark.parametrize("text", ["", "red", "#12345", "rgb(256, 0, 0)", "rgb(1, 2)", "#1a2b3c;", "rgb(-1, 0, 0)"])
def test_what_is_no_colour_is_refused(text: str) -> None:
    with pytest.raises(CardError, match="not a colour"):
        Colour.parse(text)


# The ratios of https://webaim.org/resources/contrastchecker, rounded as there.
@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [("#000", "#fff", 21.0), ("#777", "#fff", 4.48), ("#767676", "#fff", 4.54), ("#f00", "#00f", 2.15)],
)
def test_contrast_is_that_of_the_web_guidelines_either_way(one: str, other: str, ratio: float) -> None:
    assert round(contrast(Colour.parse(one), Colour.parse(other)), 2) == ratio
    assert contrast(Colour.parse(one), Colour.parse(other)) == contrast(Colour.parse(other), Colour.parse(one))
    assert contrast(WHITE, WHITE) == 1
