"""The chart of the last hour: what is drawn, and what is told to whoever cannot see it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from portal.services.status import Minute
from portal.web.chart import HEIGHT, LEAST_HEIGHT, draw

START = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nobody_logged_in() -> Iterator[None]:
    """The clock's zone is that of whoever is logged in; here it is nobody."""
    app = Flask(__name__)
    from portal.web import guards

    app.secret_key = "chart"
    guards.init_app(app)
    with app.test_request_context():
        yield


def _minutes(*counts: tuple[int, int]) -> list[Minute]:
    return [Minute(START + timedelta(minutes=number), *count) for number, count in enumerate(counts)]


def test_the_busiest_minute_is_as_high_as_the_chart() -> None:
    chart = draw(_minutes((50, 0), (100, 0), (0, 0)))
    assert [bar.delivered_height for bar in chart.bars] == [HEIGHT / 2, HEIGHT, 0]
    assert [bar.delivered_y for bar in chart.bars] == [HEIGHT / 2, 0, HEIGHT]
    assert chart.peak == 100


def test_a_single_event_beside_a_million_is_still_to_be_seen() -> None:
    assert draw(_minutes((1, 0), (1_000_000, 0))).bars[0].delivered_height == LEAST_HEIGHT


def test_what_failed_stands_below_what_was_delivered_and_both_fit() -> None:
    for bar in draw(_minutes((9, 1), (1_000_000, 1), (1, 1_000_000), (0, 5))).bars:
        assert bar.delivered_y >= 0
        assert bar.delivered_y + bar.delivered_height == pytest.approx(bar.failed_y, abs=0.11)
        assert bar.failed_y + bar.failed_height == pytest.approx(HEIGHT, abs=0.11)


def test_the_hour_is_told_in_words() -> None:
    chart = draw(_minutes((1204, 0), (2, 3)))
    assert chart.words == (
        "Last hour: 1,206 events delivered, 3 could not be delivered. Busiest minute 13:00 with 1,204."
    )
    assert chart.bars[1].words == "13:01: 2 delivered, 3 could not be"


def test_a_quiet_hour_is_told_as_one() -> None:
    chart = draw(_minutes(*[(0, 0)] * 60))
    assert chart.words == "Last hour: nothing was delivered."
    assert len(chart.bars) == 60
    assert chart.width == 60 * 8 - 2
