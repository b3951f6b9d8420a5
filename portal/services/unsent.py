"""Events from before: recorded while Klaviyo was not connected or Events was off, and sent later as history."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, update

from portal.bulk import insert_rows
from portal.db import db, one_of, utcnow
from portal.klaviyo import bodies
from portal.models import Customer, Delivery, DeliveryState, Event, EventChoice, HistoryImport, ImportState, Unsent
from portal.services.catalogue import RECORDED
from portal.services.imports import turn_to

AT_ONCE = 500
NOTHING = "There is nothing to send: no event of a reachable customer was held back."
# Counting further would make the page slower the more there is.
COUNT_UP_TO = 10_000


def _sendable(merchant_id: int) -> ColumnElement[bool]:
    """Kinds that the merchant has chosen not to send stay here, and so do customers whom Klaviyo cannot be told about."""
    off = select(EventChoice.event_type).where(EventChoice.merchant_id == merchant_id)
    return and_(
        Event.merchant_id == merchant_id,
        Event.unsent.is_not(None),
        Event.unsent.in_((Unsent.NOT_CONNECTED, Unsent.MODULE_OFF)),
        Event.type.not_in(off),
        or_(Customer.klaviyo_profile_id.is_not(None), Customer.email.is_not(None), Customer.phone.is_not(None)),
    )


def count(merchant_id: int) -> int:
    """How many there are, up to COUNT_UP_TO."""
    some = select(Event.id).join(Customer, Customer.id == Event.customer_id).where(_sendable(merchant_id))
    return db.session.scalar(select(func.count()).select_from(some.limit(COUNT_UP_TO).subquery())) or 0


def settle_count(work: HistoryImport) -> None:
    """Count all of them, and those only: what is held back later is another import."""
    query = (
        select(func.count(), func.min(Event.occurred_at), func.max(Event.occurred_at), func.max(Event.id))
        .join(Customer, Customer.id == Event.customer_id)
        .where(_sendable(work.merchant_id))
    )
    found, work.first_at, work.last_at, last_id = db.session.execute(query).one()
    work.found, work.up_to_number = found, last_id or 0
    if found:
        turn_to(work, ImportState.READY)
    else:
        turn_to(work, ImportState.FAILED, NOTHING)


def settle_some(work: HistoryImport) -> None:
    """Promise to deliver the next ones, oldest first."""
    query = (
        select(Event, Customer)
        .join(Customer, Customer.id == Event.customer_id)
        .where(_sendable(work.merchant_id), Event.id > work.at_number, Event.id <= work.up_to_number)
        .order_by(Event.id)
        .limit(AT_ONCE)
    )
    rows: Sequence[Any] = db.session.execute(query).all()
    if rows:
        now = utcnow()
        insert_rows(Delivery, [_delivery(event, customer, now) for event, customer in rows])
        ids = [event.id for event, _ in rows]
        sent = update(Event).where(one_of(Event.id, ids)).values(unsent=None)
        db.session.execute(sent.execution_options(synchronize_session=False))
        work.done += len(ids)
        work.promised += len(ids)
        work.at_number = ids[-1]
    if len(rows) < AT_ONCE:
        turn_to(work, ImportState.FINISHED)


def _delivery(event: Event, customer: Customer, now: datetime) -> dict[str, Any]:
    """With what was told of it; how the customer stood at that time is no longer known, and left out."""
    return {
        "id": event.id,
        "merchant_id": event.merchant_id,
        "customer_id": event.customer_id,
        "state": DeliveryState.PENDING.value,
        "attempts": 0,
        "calls": "",
        "created_at": now,
        "due_at": now,
        "profile": bodies.profile_of(
            klaviyo_profile_id=customer.klaviyo_profile_id, email=customer.email, phone=customer.phone
        ),
        "payload": bodies.event_of(
            metric=RECORDED[event.type].metric,
            unique_id=event.event_id,
            time=event.occurred_at,
            properties=event.properties,
            backfill=True,
        ),
    }
