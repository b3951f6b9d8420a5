"""When a segment is imported, and by whom: claim, renew, give back, Sync now. The only place that writes `due_at` and `lease`.

Every ten minutes at the latest, so that a try that fails still leaves time for another within the fifteen that are promised.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select, update

from portal.db import changed_rows, db, new_id
from portal.models import Connection, ConnectionState, Module, ModuleSwitch, Segment

EVERY = timedelta(minutes=10)
# Runs that began together drift apart.
EARLIER_BY = 0.15
# Between the end of a long run and the next.
LEAST_REST = timedelta(seconds=20)
# Seconds until a run goes on after the first, second, ... turn in a row that brought nothing.
RETRY_AFTER = (3, 10, 30, 60, 120, 240)
LONGEST_THROTTLE = timedelta(minutes=15)
NOT_FINAL_AGAIN = timedelta(minutes=1)
GONE_AGAIN = timedelta(hours=1)
# However often Sync now is pressed, a set that is younger than that is not read again.
FRESH = timedelta(minutes=1)


@dataclass(frozen=True)
class Claim:
    """A segment that this process imports for a turn."""

    merchant_id: int
    segment_id: int
    klaviyo_segment_id: str
    lease: int


def claim(now: datetime, lease_seconds: int, busy: Mapping[int, int], most_each: int, limit: int) -> list[Claim]:
    """Lease what is due: for each merchant no more than `most_each` together with those that are `busy`, longest due first."""
    found: list[Claim] = []
    taken = dict(busy)
    for row in db.session.execute(_due(now, most_each)).all():
        if len(found) == limit:
            break
        if taken.get(row.merchant_id, 0) >= most_each:
            continue
        lease = new_id()
        if _change(row.id, Segment.due_at <= now, due_at=now + timedelta(seconds=lease_seconds), lease=lease):
            found.append(Claim(row.merchant_id, row.id, row.klaviyo_segment_id, lease))
            taken[row.merchant_id] = taken.get(row.merchant_id, 0) + 1
    return found


def _due(now: datetime, most_each: int) -> Any:
    place = func.row_number().over(partition_by=Segment.merchant_id, order_by=Segment.due_at).label("place")
    ready = (
        select(
            Segment.id,
            Segment.merchant_id,
            Segment.klaviyo_segment_id,
            Segment.due_at,
            place,
        )
        .join(Connection, Connection.merchant_id == Segment.merchant_id)
        .join(
            ModuleSwitch, (ModuleSwitch.merchant_id == Segment.merchant_id) & (ModuleSwitch.module == Module.SEGMENTS)
        )
        .where(
            Segment.due_at <= now,
            Segment.selected_at.is_not(None),
            Connection.state == ConnectionState.CONNECTED,
            or_(Connection.paused_until.is_(None), Connection.paused_until <= now),
        )
        .subquery()
    )
    return select(ready).where(ready.c.place <= most_each).order_by(ready.c.place, ready.c.due_at)


def renew(claim: Claim, now: datetime, lease_seconds: int) -> bool:
    """Whether the segment is still ours; if so for longer. Locks its row until the end of the transaction."""
    return _change(claim.segment_id, Segment.lease == claim.lease, due_at=now + timedelta(seconds=lease_seconds))


def give_back(claim: Claim, due_at: datetime, **values: Any) -> bool:
    """Our turn is over; whether it was still ours."""
    return _change(claim.segment_id, Segment.lease == claim.lease, due_at=due_at, lease=None, **values)


def next_due(began: datetime, now: datetime) -> datetime:
    """When the run after one that began then is due."""
    share = random.uniform(1 - EARLIER_BY, 1)  # noqa: S311 - spread
    return max(began + EVERY * share, now + LEAST_REST)


def retry_at(failures: int, now: datetime) -> datetime:
    seconds = RETRY_AFTER[min(failures, len(RETRY_AFTER) - 1)]
    return now + timedelta(seconds=seconds * random.uniform(0.8, 1.2))  # noqa: S311 - spread


def start(segment: Segment, now: datetime) -> None:
    """It was selected: due at once."""
    segment.due_at, segment.lease, segment.failures, segment.problem, segment.problem_at = now, None, 0, None, None


def stop(segment: Segment) -> None:
    """It is no longer selected; whoever imports it loses it."""
    segment.due_at, segment.lease, segment.asked_at = None, None, None


@dataclass(frozen=True)
class Asked:
    """What came of Sync now: how many are read anew, are being read, or are so fresh that nothing is to be read."""

    started: int
    under_way: int
    fresh: int


def sync_now(merchant_id: int, now: datetime, only: Collection[int] = ()) -> Asked:
    """Make the selected segments due, all or some. Pressing it twice is once."""
    query = select(Segment).where(Segment.merchant_id == merchant_id, Segment.selected_at.is_not(None))
    if only:
        query = query.where(Segment.id.in_(only))
    segments = db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).all()
    running = [segment for segment in segments if is_running(segment, now)]
    waiting = [segment for segment in segments if segment not in running]
    fresh = [segment for segment in waiting if _is_fresh(segment, now)]
    for segment in waiting:
        if segment not in fresh:
            segment.due_at = min(segment.due_at or now, now)
            segment.asked_at = now
    return Asked(len(waiting) - len(fresh), len(running), len(fresh))


def _is_fresh(segment: Segment, now: datetime) -> bool:
    return segment.complete_at is not None and segment.complete_at > now - FRESH and segment.problem is None


def is_running(segment: Segment, now: datetime) -> bool:
    """Somebody imports it at this moment."""
    return segment.lease is not None and segment.due_at is not None and segment.due_at > now


def next_among(segments: Sequence[Segment]) -> datetime | None:
    """When the next run is due."""
    return min((segment.due_at for segment in segments if segment.due_at and segment.lease is None), default=None)


def _change(segment_id: int, where: Any, **values: Any) -> bool:
    query = update(Segment).where(Segment.id == segment_id, where).values(**values)
    return changed_rows(db.session.execute(query.execution_options(synchronize_session=False))) == 1
