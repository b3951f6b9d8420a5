"""How current the selected segments are, and how far the import under way is. Reads rows only, a few however many members there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from portal.db import db
from portal.models import RunState, Segment, SegmentRun
from portal.services import segment_schedule

# What is promised: no segment is further behind Klaviyo.
CURRENT_FOR = timedelta(minutes=15)


@dataclass(frozen=True)
class UnderWay:
    segment_id: int
    name: str
    pages: int
    members: int
    expected: int | None  # none while Klaviyo has not counted the members
    seconds: float

    @property
    def share(self) -> float | None:
        """From 0 to 1."""
        return min(self.members / self.expected, 1.0) if self.expected else None

    @property
    def seconds_left(self) -> float | None:
        return self.seconds * (1 - self.share) / self.share if self.share else None


@dataclass(frozen=True)
class Currency:
    selected: int
    current: int
    oldest_seconds: float | None  # of those that were read completely at least once
    next_at: datetime | None
    under_way: UnderWay | None


def currency(merchant_id: int, now: datetime) -> Currency:
    query = select(Segment).where(Segment.merchant_id == merchant_id, Segment.selected_at.is_not(None))
    chosen = db.session.scalars(query).all()
    read = [segment.complete_from for segment in chosen if segment.complete_from]
    return Currency(
        selected=len(chosen),
        current=sum(now - at <= CURRENT_FOR for at in read),
        oldest_seconds=(now - min(read)).total_seconds() if read else None,
        next_at=segment_schedule.next_among(chosen),
        under_way=under_way(chosen, now),
    )


def under_way(chosen: Sequence[Segment], now: datetime) -> UnderWay | None:
    """The oldest run that somebody is reading now; one whose importer died is not under way."""
    leased = {segment.id: segment for segment in chosen if segment_schedule.is_running(segment, now)}
    if not leased:
        return None
    query = select(SegmentRun).where(SegmentRun.segment_id.in_(leased), SegmentRun.state == RunState.RUNNING)
    run = db.session.scalar(query.order_by(SegmentRun.started_at, SegmentRun.id).limit(1))
    if run is None:
        return None
    name = leased[run.segment_id].name
    return UnderWay(
        run.segment_id, name, run.pages, run.members, run.expected, max(0.0, (now - run.started_at).total_seconds())
    )
