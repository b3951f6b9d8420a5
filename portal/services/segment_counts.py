"""How large the listed segments are before anybody chooses one, and which are too large to be current within fifteen minutes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select, update

from portal.db import db
from portal.klaviyo.limits import SEGMENT
from portal.klaviyo.segments import PAGE_SIZE, Overview
from portal.models import Connection, ConnectionState, Module, ModuleSwitch, Segment

# Those that are imported are counted by their runs.
KEEPS = timedelta(hours=24)
AGAIN = timedelta(hours=1)
PROMISED = timedelta(minutes=15)
# What Klaviyo lets us read in that time: about a million.
MOST = int(SEGMENT.per_second * PROMISED.total_seconds()) * PAGE_SIZE


@dataclass(frozen=True)
class Uncounted:
    id: int
    merchant_id: int
    klaviyo_segment_id: str


def next_uncounted(now: datetime, without: Collection[int]) -> Uncounted | None:
    """One whose size is not known, of other merchants than these; nobody else is given it for an hour."""
    query = (
        select(Segment)
        .join(Connection, Connection.merchant_id == Segment.merchant_id)
        .join(
            ModuleSwitch, (ModuleSwitch.merchant_id == Segment.merchant_id) & (ModuleSwitch.module == Module.SEGMENTS)
        )
        .where(
            Segment.merchant_id.not_in(without),
            Segment.selected_at.is_(None),
            Segment.gone_at.is_(None),
            or_(
                Segment.count_asked_at.is_(None),
                (Segment.count_asked_at < now - AGAIN)
                & or_(Segment.counted_at.is_(None), Segment.counted_at < now - KEEPS),
            ),
            Connection.state == ConnectionState.CONNECTED,
            or_(Connection.paused_until.is_(None), Connection.paused_until <= now),
        )
        .order_by(Segment.count_asked_at.nulls_first(), Segment.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=Segment)
    )
    found = db.session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        return None
    found.count_asked_at = now
    return Uncounted(found.id, found.merchant_id, found.klaviyo_segment_id)


def note(segment_id: int, told: Overview, now: datetime) -> None:
    """As Klaviyo tells it, and only if it does."""
    if told.profile_count is None:
        return
    values = {"profile_count": told.profile_count, "counted_at": now, "is_relative": told.is_relative}
    counting = update(Segment).where(Segment.id == segment_id).values(**values)
    db.session.execute(counting.execution_options(synchronize_session=False))


def size_of(segment: Segment) -> int:
    return max(segment.profile_count or 0, segment.members)


def is_too_large(segment: Segment) -> bool:
    """Reading it takes longer than is promised."""
    return size_of(segment) > MOST


def seconds_for(members: int) -> float:
    """How long it takes to read so many where Klaviyo's limit is all that holds us up."""
    return members / (SEGMENT.per_second * PAGE_SIZE)


def seconds_for_all(segments: Iterable[Segment]) -> float:
    return seconds_for(sum(size_of(each) for each in segments))


def are_open(merchant_id: int) -> bool:
    """Some have not been asked about yet."""
    uncounted = select(func.count()).where(
        Segment.merchant_id == merchant_id, Segment.count_asked_at.is_(None), Segment.gone_at.is_(None)
    )
    return bool(db.session.scalar(uncounted.where(Segment.selected_at.is_(None))))
