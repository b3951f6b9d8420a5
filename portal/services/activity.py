"""The delivery log: newest first, filtered, paged by id so that a million rows are no slower than fifty."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, literal, select, tuple_
from sqlalchemy.orm import joinedload

from portal.db import LARGEST_ID, db, one_of
from portal.errors import InvalidError, NotFoundError
from portal.klaviyo import bodies
from portal.models import (
    Call,
    Connection,
    ConnectionState,
    Customer,
    Delivery,
    DeliveryState,
    Event,
    Unsent,
    in_state,
)
from portal.services import customers
from portal.services.catalogue import RECORDED

STATES = {"waiting": DeliveryState.PENDING, "delivered": DeliveryState.DELIVERED, "failed": DeliveryState.DEAD}
NOT_SENT = "not_sent"

UNSENT_SENTENCES = {
    Unsent.NOT_CONNECTED: "Klaviyo was not connected when this happened, so it was recorded here only.",
    Unsent.MODULE_OFF: "Events were switched off when this happened, so it was recorded here only.",
    Unsent.TYPE_OFF: "You chose not to send this kind of event, so it was recorded here only.",
    Unsent.UNREACHABLE: "This customer has neither an email address nor a phone number, so Klaviyo cannot be told. "
    "Add one of them, and later events are sent.",
    Unsent.GIVEN_UP: "This could not be delivered to Klaviyo. The details are no longer kept.",
}
WAITS_FOR_RECONNECT = "Klaviyo no longer accepts our access. The event is kept, and sent once the shop has reconnected."
WAITS_FOR_CONNECT = (
    "Klaviyo is disconnected. The event is kept for 72 hours, and sent if the same account is connected by then."
)
PRUNED = "This was delivered to Klaviyo. The details are no longer kept."


@dataclass(frozen=True)
class Row:
    event: Event
    delivery: Delivery | None
    customer: Customer

    @property
    def state(self) -> str:
        return state_of(self.event, self.delivery)


def state_of(event: Event, delivery: Delivery | None) -> str:
    """`waiting`, `delivered`, `failed` or `not_sent`; a delivery is kept for a while only, its end is not forgotten."""
    if delivery is None:
        return {None: "delivered", Unsent.GIVEN_UP: "failed"}.get(event.unsent, NOT_SENT)
    return next(word for word, state in STATES.items() if state == delivery.state)


@dataclass(frozen=True)
class Page:
    """`next_before` continues the list; None at its end."""

    rows: Sequence[Row]
    next_before: int | None


@dataclass(frozen=True)
class Detail:
    row: Row
    tries: Sequence[Call]
    # Tries whose worker stopped before an answer was written down.
    tries_unrecorded: int
    request_body: str
    # What there is to say where there is no delivery.
    unsent_sentence: str | None
    # The event before it of the same customer, which has to go first.
    waits_behind: int | None

    @property
    def event(self) -> Event:
        return self.row.event

    @property
    def delivery(self) -> Delivery | None:
        return self.row.delivery

    @property
    def customer(self) -> Customer:
        return self.row.customer


def page(
    merchant_id: int,
    *,
    event_type: str | None = None,
    state: str | None = None,
    customer: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> Page:
    """Raises `InvalidError` for a filter that does not exist."""
    query = _events(merchant_id)
    if state:
        query = _with_state(query, merchant_id, state)
    if event_type:
        if event_type not in RECORDED:
            raise InvalidError("There is no such event.", field="event")
        query = query.where(Event.type == event_type)
    if customer:
        found = customers.search(merchant_id, customer)
        query = query.where(Event.customer_id.in_([match.id for match in found]))
    if before is not None:
        query = query.where(Event.id < min(before, LARGEST_ID))
    return _page(query, limit)


def of_customer(customer: Customer, *, before: int | None = None, limit: int = 50) -> Page:
    """What happened to one customer, in the order in which it happened: history may come in later than what followed it."""
    query = _events(customer.merchant_id).where(Event.customer_id == customer.id).order_by(None)
    if before is not None:
        last = Event.customer_id == customer.id, Event.id == min(before, LARGEST_ID)
        at = db.session.scalar(select(Event.occurred_at).where(*last))
        if at is None:
            return Page([], None)
        query = query.where(tuple_(Event.occurred_at, Event.id) < tuple_(literal(at, Event.occurred_at.type), before))
    return _page(query.order_by(Event.occurred_at.desc(), Event.id.desc()), limit)


def _page(query: Select[Event, Delivery], limit: int) -> Page:
    rows = [Row(event, delivery, event.customer) for event, delivery in db.session.execute(query.limit(limit + 1))]
    return Page(rows[:limit], rows[limit - 1].event.id if len(rows) > limit else None)


def _events(merchant_id: int) -> Select[Event, Delivery]:
    return (
        select(Event, Delivery)
        .outerjoin(Delivery, Delivery.id == Event.id)
        .where(Event.merchant_id == merchant_id)
        .options(joinedload(Event.customer))
        .order_by(Event.id.desc())
    )


def _with_state(query: Select[Event, Delivery], merchant_id: int, state: str) -> Select[Event, Delivery]:
    if state == NOT_SENT:
        return query.where(Event.unsent != Unsent.GIVEN_UP)  # NULL, "was to be sent", is left out too
    if state not in STATES:
        raise InvalidError("There is no such state.", field="state")
    # Named on the delivery too, so that the small index on what waits or failed is used.
    return query.where(in_state(Delivery, STATES[state]), Delivery.merchant_id == merchant_id)


def detail(merchant_id: int, event_id: int) -> Detail:
    """One event with everything that was tried. Raises `NotFoundError`."""
    found = db.session.execute(_events(merchant_id).where(Event.id == event_id)).first()
    if found is None:
        raise NotFoundError("There is no such event.")
    event, delivery = found
    return Detail(
        row=Row(event, delivery, event.customer),
        tries=tries_of([delivery] if delivery else []).get(event.id, []),
        tries_unrecorded=_unrecorded(delivery),
        request_body=request_of(delivery),
        unsent_sentence=explain_unsent(event) if delivery is None else None,
        waits_behind=_earlier(delivery) if delivery is not None and delivery.state == DeliveryState.PENDING else None,
    )


def outlook(delivery: Delivery, connection: Connection | None, now: datetime) -> tuple[str | None, datetime | None]:
    """Why it still waits, and when it is tried next; never by itself where somebody has to connect Klaviyo first."""
    if connection is None or not connection.is_connected:
        lost = connection is not None and connection.state == ConnectionState.RECONNECT
        return WAITS_FOR_RECONNECT if lost else WAITS_FOR_CONNECT, None
    if connection.paused_until and connection.paused_until > max(now, delivery.due_at):
        return delivery.reason or connection.pause_reason, connection.paused_until
    return delivery.reason, delivery.due_at


def tries_of(deliveries: Sequence[Delivery]) -> dict[int, list[Call]]:
    """By delivery, the calls that carried it, oldest first."""
    wanted = sorted({call_id for delivery in deliveries for call_id in delivery.call_ids})
    calls = {call.id: call for call in db.session.scalars(select(Call).where(one_of(Call.id, wanted)))}
    return {each.id: [calls[call_id] for call_id in each.call_ids if call_id in calls] for each in deliveries}


def _earlier(delivery: Delivery) -> int | None:
    """The first event of this customer that still waits, where it is not this one."""
    query = select(func.min(Delivery.id)).where(
        Delivery.customer_id == delivery.customer_id,
        Delivery.settled_at.is_(None),
        Delivery.id < delivery.id,
    )
    return db.session.scalar(query)


def has_failed(merchant_id: int) -> bool:
    """Whether there is anything that could be tried again."""
    query = select(Delivery.id).where(Delivery.merchant_id == merchant_id, in_state(Delivery, DeliveryState.DEAD))
    return db.session.scalar(query.limit(1)) is not None


def explain_unsent(event: Event) -> str:
    """Why an event has no delivery."""
    return UNSENT_SENTENCES[Unsent(event.unsent)] if event.unsent else PRUNED


def _unrecorded(delivery: Delivery | None) -> int:
    """Claims without a written answer, other than the one that is under way."""
    if delivery is None:
        return 0
    under_way = 1 if delivery.lease is not None else 0
    return max(0, delivery.tries - under_way - len(delivery.call_ids))


def request_of(delivery: Delivery | None) -> str:
    """What is sent for it, as a person reads it."""
    if delivery is None:
        return ""
    return json.dumps(json.loads(bodies.single(delivery.profile, delivery.payload)), indent=2, ensure_ascii=False)
