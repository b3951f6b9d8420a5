"""The last hour minute by minute, and how many events a minute come in, are delivered and fail now.

Reads counters, and of events no more than `COUNT_UP_TO` index entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from portal.db import db, first_id_at, made_at
from portal.models import DeliveryMinute, Event

# What "now" means where something is told a minute.
RECENT_MINUTES = 5
# Counting further would make every look at the panel slower the more is coming in.
COUNT_UP_TO = 10_000


@dataclass(frozen=True)
class Minute:
    at: datetime
    delivered: int
    failed: int


@dataclass(frozen=True)
class Rates:
    """A minute, over the last five. Received is what is to be sent."""

    received: float
    delivered: float
    failed: float


def minutes(merchant_id: int, now: datetime) -> list[Minute]:
    """60 of them, oldest first."""
    query = select(DeliveryMinute).where(
        DeliveryMinute.merchant_id == merchant_id, DeliveryMinute.minute > now - timedelta(minutes=60)
    )
    rows = db.session.scalars(query.execution_options(populate_existing=True)).all()
    by_minute = {row.minute: row for row in rows}
    this_minute = now.replace(second=0, microsecond=0)
    moments = (this_minute - timedelta(minutes=ago) for ago in range(59, -1, -1))
    return [
        Minute(at, by_minute[at].delivered, by_minute[at].failed) if at in by_minute else Minute(at, 0, 0)
        for at in moments
    ]


def rates(merchant_id: int, hour: Sequence[Minute], now: datetime) -> Rates:
    recent = hour[-RECENT_MINUTES:]
    # The last one has only begun: counted as a whole it would look as if less is delivered than comes in.
    passed = (now - recent[0].at).total_seconds() / 60
    return Rates(
        received=_received(merchant_id, now),
        delivered=sum(minute.delivered for minute in recent) / passed,
        failed=sum(minute.failed for minute in recent) / passed,
    )


def _received(merchant_id: int, now: datetime) -> float:
    """Where more came in than is counted, over the time in which the counted ones did."""
    newest = (
        select(Event.id)
        .where(Event.merchant_id == merchant_id, Event.id >= first_id_at(now - timedelta(minutes=RECENT_MINUTES)))
        .order_by(Event.id.desc())
        .limit(COUNT_UP_TO)
        .cte()
    )
    first = select(func.min(newest.c.id)).scalar_subquery()
    # From an index of its own: to ask each of the newest would read the rows.
    unsent = select(func.count()).where(Event.merchant_id == merchant_id, Event.unsent.is_not(None), Event.id >= first)
    query = select(func.count(), func.min(newest.c.id), unsent.scalar_subquery()).select_from(newest)
    count, oldest, not_sent = db.session.execute(query).one()
    to_send = max(0, int(count) - int(not_sent))
    if count < COUNT_UP_TO:
        return to_send / RECENT_MINUTES
    return to_send / max((now - made_at(oldest)).total_seconds() / 60, 1 / 60)
