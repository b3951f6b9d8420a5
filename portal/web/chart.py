"""The last hour as bars: where each bar stands, and the same told in a sentence.

Plain geometry without a style attribute, so that the page's content policy holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from portal.web.words import clock, grouped, plural, zone

HEIGHT = 48
STEP = 8
BAR_WIDTH = 6
# A minute with anything in it is always to be seen.
LEAST_HEIGHT = 2


class Minute(Protocol):
    @property
    def at(self) -> datetime: ...
    @property
    def delivered(self) -> int: ...
    @property
    def failed(self) -> int: ...


@dataclass(frozen=True)
class Bar:
    x: int
    delivered_y: float
    delivered_height: float
    failed_y: float
    failed_height: float
    words: str


@dataclass(frozen=True)
class Chart:
    width: int
    height: int
    bars: tuple[Bar, ...]
    words: str
    peak: int


def draw(minutes: Sequence[Minute]) -> Chart:
    peak = max((minute.delivered + minute.failed for minute in minutes), default=0)
    bars = tuple(_bar(index, minute, peak) for index, minute in enumerate(minutes))
    return Chart(max(1, len(bars) * STEP - (STEP - BAR_WIDTH)), HEIGHT, bars, _tell(minutes, peak), peak)


def _bar(index: int, minute: Minute, peak: int) -> Bar:
    failed = _scaled(minute.failed, peak)
    delivered = min(_scaled(minute.delivered, peak), HEIGHT - failed)
    return Bar(
        x=index * STEP,
        delivered_y=round(HEIGHT - failed - delivered, 1),
        delivered_height=round(delivered, 1),
        failed_y=round(HEIGHT - failed, 1),
        failed_height=round(failed, 1),
        words=f"{clock(minute.at, zone())}: {grouped(minute.delivered)} delivered"
        + (f", {grouped(minute.failed)} could not be" if minute.failed else ""),
    )


def _scaled(count: int, peak: int) -> float:
    return max(LEAST_HEIGHT, HEIGHT * count / peak) if count else 0.0


def _tell(minutes: Sequence[Minute], peak: int) -> str:
    if not peak:
        return "Last hour: nothing was delivered."
    busiest = max(minutes, key=lambda minute: minute.delivered + minute.failed)
    delivered = sum(minute.delivered for minute in minutes)
    failed = sum(minute.failed for minute in minutes)
    told = f"Last hour: {plural(delivered, 'event')} delivered"
    if failed:
        told += f", {grouped(failed)} could not be delivered"
    return f"{told}. Busiest minute {clock(busiest.at, zone())} with {grouped(peak)}."
