"""The outbox's states, and the only place that writes them: claim, settle, release, retry by hand.

A claim leases rows by moving `due_at` ahead and drawing a new `lease`; whatever settles later must hold that lease. A worker that
dies simply lets its rows come due again. Order per customer: a row waits while an earlier one of its customer is not due.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, Table, and_, bindparam, case, exists, or_, select, update
from sqlalchemy.orm import aliased

from portal import queue
from portal.bulk import update_rows
from portal.db import UtcDateTime, changed_rows, db, new_id, on_commit, one_of, run, utcnow
from portal.errors import NotFoundError
from portal.klaviyo import bodies
from portal.models import Connection, ConnectionState, Customer, Delivery, DeliveryState, in_state

# Seconds until the next try after the first, second, ... failed one: 68 hours in all, for one step more would pass 72.
# Jittered by 20 %.
RETRY_AFTER = (5, 30, 120, 600, 1800, 3600, 7200, 14400, *(21600,) * 10)
JITTER = 0.2
KEPT_WHILE_DISCONNECTED = timedelta(hours=72)
GIVEN_UP = "Given up after almost three days of trying."

BULK_LIMIT = 1_000
SINGLE_LIMIT = 50
# With this many waiting or fewer it is quiet, and each goes by itself: checked at once, and with a harmless repeat.
QUIET = 10
# From this many failed calls in a row on, one row is tried at a time.
FAILURES_BEFORE_PROBING = 3


class Mode(StrEnum):
    SINGLE = "single"
    BULK = "bulk"


@dataclass(frozen=True)
class Parcel:
    """A leased row, as far as sending it needs."""

    id: int
    customer_id: int
    attempts: int
    created_at: datetime
    profile: str
    payload: str


@dataclass(frozen=True)
class Batch:
    """What one claim leased: rows of one merchant, oldest first. `after_failures` of calls that went before."""

    merchant_id: int
    lease: int
    mode: Mode
    parcels: tuple[Parcel, ...]
    after_failures: bool = False


def _due(merchant_id: int, now: datetime, *, fresh: bool = False) -> Select[Any]:
    """Ids of rows that may be sent now, oldest first: no earlier row of their customer is in the way.

    `fresh` leaves out rows that were tried before: a bulk request that repeats a unique id fails as a whole, so these go by
    themselves, and whatever follows them for the same customer waits.
    """
    earlier = aliased(Delivery)
    in_the_way: ColumnElement[bool] = earlier.due_at > now
    if fresh:
        in_the_way = or_(in_the_way, earlier.attempts > 0)
    # One of them rather than EXISTS: with statistics of an empty outbox PostgreSQL makes that a join, which reads all that waits
    # again for each row that waits.
    earlier_one = (
        select(earlier.id)
        .where(
            earlier.customer_id == Delivery.customer_id,
            earlier.settled_at.is_(None),
            earlier.id < Delivery.id,
            in_the_way,
        )
        .limit(1)
        .scalar_subquery()
    )
    ready: ColumnElement[bool] = and_(
        Delivery.merchant_id == merchant_id,
        in_state(Delivery, DeliveryState.PENDING),
        Delivery.due_at <= now,
        earlier_one.is_(None),
    )
    if fresh:
        ready = and_(ready, Delivery.attempts == 0)
    return select(Delivery.id).where(ready).order_by(Delivery.id)


def mode_for(merchant_id: int, now: datetime) -> Mode | None:
    """How to send what is due; None where nothing is. Reads only, and little."""
    query = _due(merchant_id, now).add_columns(Delivery.attempts).limit(QUIET + 1)
    rows = db.session.execute(query).all()
    if not rows:
        return None
    quiet = len(rows) <= QUIET or rows[0].attempts > 0
    return Mode.SINGLE if quiet else Mode.BULK


_CONNECTIONS = cast("Table", Connection.__table__)
_NOW = bindparam("now", type_=UtcDateTime)
_SERVE = (
    update(_CONNECTIONS)
    .where(
        _CONNECTIONS.c.merchant_id == bindparam("merchant"),
        _CONNECTIONS.c.state == ConnectionState.CONNECTED,
        or_(_CONNECTIONS.c.paused_until.is_(None), _CONNECTIONS.c.paused_until <= _NOW),
    )
    .values(served_at=_NOW)
    .returning(_CONNECTIONS.c.failures_in_a_row)
)


def claim(merchant_id: int, mode: Mode, now: datetime, lease_seconds: int) -> Batch | None:
    """Lease what is due. None where nothing is, or the connection rests."""
    # Claims of one merchant queue up on this row: two at once could each take one of a customer's two events.
    failures = run(_SERVE, {"merchant": merchant_id, "now": now}).scalar()
    if failures is None:
        return None
    limit = BULK_LIMIT if mode is Mode.BULK else SINGLE_LIMIT
    if failures >= FAILURES_BEFORE_PROBING:
        mode, limit = Mode.SINGLE, 1
    lease = new_id()
    rows = db.session.execute(
        update(Delivery)
        .where(Delivery.id.in_(_due(merchant_id, now, fresh=mode is Mode.BULK).limit(limit)))
        .values(due_at=now + timedelta(seconds=lease_seconds), attempts=Delivery.attempts + 1, lease=lease)
        .returning(
            Delivery.id,
            Delivery.customer_id,
            Delivery.attempts,
            Delivery.created_at,
            Delivery.profile,
            Delivery.payload,
        )
        .execution_options(synchronize_session=False)
    ).all()
    parcels = tuple(sorted((Parcel(*row) for row in rows), key=lambda parcel: parcel.id))
    return Batch(merchant_id, lease, mode, parcels, failures > 0) if parcels else None


def may_send(connection: Connection, now: datetime) -> bool:
    return connection.is_connected and (connection.paused_until is None or connection.paused_until <= now)


# --- settling ------------------------------------------------------------------------------------


def deliver(batch: Batch, ids: Iterable[int], call_id: int, now: datetime) -> int:
    """Klaviyo has these. How many rows were still ours."""
    return _settle(batch, ids, call_id, state=DeliveryState.DELIVERED, settled_at=now, reason=None)


def bury(batch: Batch, ids: Iterable[int], call_id: int, now: datetime, reason: str) -> int:
    """These cannot be delivered as they are; a person may try again."""
    return _settle(batch, ids, call_id, state=DeliveryState.DEAD, settled_at=now, reason=reason[:500])


def postpone(batch: Batch, parcels: Sequence[Parcel], call_id: int, now: datetime, reason: str) -> tuple[int, int]:
    """Try again later, or bury where the schedule is used up: (postponed, buried)."""
    postponed = buried = 0
    for attempts in {parcel.attempts for parcel in parcels}:
        ids = [parcel.id for parcel in parcels if parcel.attempts == attempts]
        if attempts > len(RETRY_AFTER):
            buried += bury(batch, ids, call_id, now, f"{GIVEN_UP} Last: {reason}")
            continue
        pause = RETRY_AFTER[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spread, not secrecy
        postponed += _settle(batch, ids, call_id, due_at=now + timedelta(seconds=pause), reason=reason[:500])
    return postponed, buried


def release(batch: Batch, ids: Iterable[int], now: datetime, call_id: int | None = None) -> int:
    """Give rows back as if they had not been claimed: nothing was tried, or it does not count."""
    return _settle(batch, ids, call_id, due_at=now, attempts=Delivery.attempts - 1)


def keep_alone(batch: Batch, ids: Iterable[int], now: datetime, call_id: int) -> int:
    """Due at once, but counted as tried, so that each goes by itself."""
    return _settle(batch, ids, call_id, due_at=now)


def _settle(batch: Batch, ids: Iterable[int], call_id: int | None, **values: Any) -> int:
    ids = list(ids)
    if not ids:
        return 0
    if call_id is not None:
        values["calls"] = Delivery.calls + f"{call_id} "
    result = db.session.execute(
        update(Delivery)
        # What has a lease is pending. Were that asked for too, PostgreSQL would look for the ids in the index of all that waits.
        .where(one_of(Delivery.id, ids), Delivery.lease == batch.lease)
        .values(lease=None, **values)
        .execution_options(synchronize_session=False)
    )
    return changed_rows(result)


# --- by hand, and in bulk --------------------------------------------------------------------------


def retry(merchant_id: int, delivery_id: int) -> None:
    """Try a delivery that failed again now, with a full schedule. Raises `NotFoundError`."""
    if not _revive(merchant_id, Delivery.id == delivery_id):
        raise NotFoundError("There is no failed delivery with this number.")


def retry_since(merchant_id: int, since: datetime) -> int:
    """Try everything again that failed since then; how many."""
    return _revive(merchant_id, Delivery.settled_at >= since)


def _revive(merchant_id: int, which: ColumnElement[bool]) -> int:
    which = and_(Delivery.merchant_id == merchant_id, in_state(Delivery, DeliveryState.DEAD), which)
    _name_anew(which)
    # The schedule begins anew, but as after a first try: it may have reached Klaviyo, so it goes by itself, where a repeat is
    # harmless.
    tried = case((Delivery.attempts > 0, 1), else_=0)
    result = db.session.execute(
        update(Delivery)
        .where(which)
        .values(
            state=DeliveryState.PENDING,
            due_at=utcnow(),
            attempts=tried,
            attempts_before=Delivery.attempts_before + Delivery.attempts - tried,
            settled_at=None,
        )
        .execution_options(synchronize_session=False)
    )
    on_commit(partial(queue.ring, merchant_id))
    return changed_rows(result)


def _name_anew(which: ColumnElement[bool]) -> None:
    """What Klaviyo refused it never took: it goes by what the customer is known by now. Of all else a repeat stays a repeat."""
    refused = and_(which, Delivery.reason.not_like(f"{GIVEN_UP}%"))
    who = (Customer.klaviyo_profile_id, Customer.email, Customer.phone)
    query = (
        select(Delivery.id, Delivery.profile, *who).join(Customer, Customer.id == Delivery.customer_id).where(refused)
    )
    rows = []
    for row_id, before, klaviyo_profile_id, email, phone in db.session.execute(query):
        profile = bodies.profile_of(klaviyo_profile_id=klaviyo_profile_id, email=email, phone=phone)
        if profile != before and (klaviyo_profile_id or email or phone):
            rows.append({"id": row_id, "profile": profile})
    if rows:
        update_rows(Delivery, rows)


def make_due(merchant_id: int, now: datetime) -> None:
    """Everything that waits is due now: the reason it waited for is gone. What is under way stays with its worker."""
    waits = and_(in_state(Delivery, DeliveryState.PENDING), Delivery.due_at > now, Delivery.lease.is_(None))
    db.session.execute(
        update(Delivery)
        .where(Delivery.merchant_id == merchant_id, waits)
        .values(due_at=now)
        .execution_options(synchronize_session=False)
    )
    on_commit(partial(queue.ring, merchant_id))


def give_up_disconnected(now: datetime) -> int:
    """Bury what still waits for merchants who disconnected more than 72 hours ago; how many."""
    gone = select(Connection.merchant_id).where(
        Connection.state == ConnectionState.DISCONNECTED, Connection.broken_at < now - KEPT_WHILE_DISCONNECTED
    )
    result = db.session.execute(
        update(Delivery)
        .where(Delivery.merchant_id.in_(gone), in_state(Delivery, DeliveryState.PENDING))
        .values(
            state=DeliveryState.DEAD,
            lease=None,
            settled_at=now,
            reason="Klaviyo was disconnected for more than 72 hours.",
        )
        .execution_options(synchronize_session=False)
    )
    return changed_rows(result)


def merchants_due(now: datetime) -> Sequence[int]:
    """Merchants that have something to send now, least recently served first."""
    waiting = exists().where(
        Delivery.merchant_id == Connection.merchant_id,
        in_state(Delivery, DeliveryState.PENDING),
        Delivery.due_at <= now,
    )
    query = (
        select(Connection.merchant_id)
        .where(
            Connection.state == ConnectionState.CONNECTED,
            or_(Connection.paused_until.is_(None), Connection.paused_until <= now),
            waiting,
        )
        .order_by(Connection.served_at.nulls_first())
    )
    return db.session.scalars(query).all()


def has_waiting(merchant_id: int, number: int) -> bool:
    """Whether so many wait or more."""
    query = select(Delivery.id).where(Delivery.merchant_id == merchant_id, in_state(Delivery, DeliveryState.PENDING))
    return db.session.scalar(query.order_by(Delivery.id).offset(number - 1).limit(1)) is not None


def is_due(merchant_id: int, now: datetime) -> bool:
    """Whether a claim would find something now."""
    if mode_for(merchant_id, now) is None:
        return False
    connection = db.session.scalar(
        select(Connection).where(Connection.merchant_id == merchant_id).execution_options(populate_existing=True)
    )
    return connection is not None and may_send(connection, now)
