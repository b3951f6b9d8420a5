"""Why did this customer not get it? Everything about one customer that could have stopped a message, read and never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from portal.db import db
from portal.models import (
    Customer,
    Delivery,
    Event,
    ProfileSync,
    Push,
    PushReason,
    PushState,
    Segment,
    SegmentMember,
    is_member,
)
from portal.services import activity, connecting, customers
from portal.services.push_reports import REASONS

MOST = 20


@dataclass(frozen=True)
class Trace:
    """`verdict` says in one sentence what stopped it, or that nothing did."""

    customer: Customer
    verdict: str
    events: Sequence[activity.Row]
    pushes: Sequence[Push]
    profile: ProfileSync | None
    segments: Sequence[str]


def find(merchant_id: int, text: str) -> Customer | None:
    return next(iter(customers.search(merchant_id, text, limit=1)), None)


def trace(customer: Customer) -> Trace:
    """Newest first."""
    events = [
        activity.Row(event, delivery, customer)
        for event, delivery in db.session.execute(
            select(Event, Delivery)
            .outerjoin(Delivery, Delivery.id == Event.id)
            .where(Event.customer_id == customer.id)
            .order_by(Event.id.desc())
            .limit(MOST)
        )
    ]
    query = select(Push).where(Push.customer_id == customer.id).order_by(Push.id.desc()).limit(MOST)
    pushes = db.session.scalars(query).all()
    profile = db.session.get(ProfileSync, customer.id)
    return Trace(customer, _verdict(customer, events, pushes, profile), events, pushes, profile, _segments(customer))


def _segments(customer: Customer) -> Sequence[str]:
    query = (
        select(Segment.name)
        .join(SegmentMember, is_member())
        .where(SegmentMember.customer_id == customer.id)
        .order_by(Segment.name)
    )
    return db.session.scalars(query).all()


def _verdict(
    customer: Customer, events: Sequence[activity.Row], pushes: Sequence[Push], profile: ProfileSync | None
) -> str:
    if pushes and (said := _of_push(pushes[0])):
        return said
    connection = connecting.connection_of(customer.merchant_id)
    if connection is None or not connection.is_connected:
        return "Klaviyo is not connected, so no flow hears of this customer. Connect it under Settings > Integrations."
    if not customer.reachable:
        return "Klaviyo cannot be told of this customer: there is neither an email address nor a phone number."
    if profile is not None and profile.problem:
        return f"Klaviyo refused the customer's profile: {profile.problem}"
    if events and events[0].state == "failed" and events[0].delivery is not None:
        return f"The last event did not reach Klaviyo: {events[0].delivery.reason}"
    if events and events[0].state == activity.NOT_SENT:
        return activity.explain_unsent(events[0].event)
    if events and events[0].state == "waiting":
        return "The last event still waits for Klaviyo; it goes out by itself."
    if not pushes:
        return (
            "Nothing has stopped it here: no push was asked for. See in Klaviyo whether a flow took this customer in."
        )
    return "Nothing has stopped it: the last push was delivered."


def _of_push(push: Push) -> str | None:
    if push.state in (PushState.SKIPPED, PushState.FAILED) and push.reason:
        return f"The last push was not shown. {REASONS[PushReason(push.reason)]}"
    if push.state == PushState.SENT:
        return "The last push is on its way: the phone has not fetched the card yet, and is woken again."
    if push.state == PushState.WAITING:
        return "The last push waits to be written on the card; in quiet hours, until they end."
    return None
