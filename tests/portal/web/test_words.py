"""How times and numbers read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from portal.web.words import ago, clock, day, duration, exact, grouped, iso, marked, plural, zone_called

NOW = datetime(2026, 11, 23, 13, 2, 11, tzinfo=UTC)
COPENHAGEN = ZoneInfo("Europe/Copenhagen")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (2.9, "just now"),
        (3, "3 s ago"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (3600, "1 h ago"),
        (47 * 3600, "47 h ago"),
        (48 * 3600, "2 days ago"),
        (59 * 86_400, "59 days ago"),
        (60 * 86_400, "2 months ago"),
        (729 * 86_400, "24 months ago"),
        (10_925 * 86_400, "29 years ago"),
        (-1, "just now"),
        (-40, "in 40 s"),
        (-240, "in 4 min"),
    ],
)
def test_how_long_ago(seconds: float, words: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "\N{EN DASH}"),
        (0, "0 s"),
        (0.84, "0.8 s"),
        (12.4, "12 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (12_000, "3 h 20 min"),
        (0.98, "1 s"),
        (timedelta(seconds=5), "5 s"),
    ],
)
def test_how_long_is_said_as_people_say_it(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(("number", "words"), [(0, "0"), (18_204, "18,204"), (2.5, "2.5"), (41.7, "42"), (3.0, "3")])
def test_numbers_are_grouped(number: float, words: str) -> None:
    assert grouped(number) == words


def test_one_is_not_many() -> None:
    assert [plural(number, "event") for number in (0, 1, 1204)] == ["0 events", "1 event", "1,204 events"]
    assert plural(2, "try", "tries") == "2 tries"


def test_a_time_is_told_in_the_merchants_zone() -> None:
    assert exact(NOW, COPENHAGEN) == "23 Nov 2026, 14:02:11 CET"
    assert clock(NOW, COPENHAGEN) == "14:02"
    assert day(NOW.replace(hour=23), COPENHAGEN) == "24 Nov 2026"


def test_machines_get_utc() -> None:
    assert iso(NOW.astimezone(COPENHAGEN)) == "2026-11-23T13:02:11Z"


@pytest.mark.parametrize("name", ["Nowhere/Land", "", "../etc/passwd"])
def test_a_zone_that_is_not_known_is_utc(name: str) -> None:
    assert zone_called(name) is UTC


def test_code_in_a_description_is_set_as_code_and_nothing_else_is() -> None:
    assert marked("answered `duplicate` <b>") == "answered <code>duplicate</code> &lt;b&gt;"
    assert marked("`<script>`") == "<code>&lt;script&gt;</code>"
