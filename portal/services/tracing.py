"""Why did this customer not get it? Everything about one customer that could have stopped a message, read and never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from portal.db import db, utcnow
from portal.models import (
    Call,
    Card,
    Customer,
    Delivery,
    Device,
    Event,
    GoogleCard,
    ProfileSync,
    Push,
    PushSuppression,
    Registration,
    Segment,
    SegmentMember,
    is_member,
)
from portal.services import activity, campaign_results, push_reports, suppressing, verdicts
from portal.services.campaign_results import Fate
from portal.services.push_reports import Report

MOST = 20
# Of the newest pushes, with every step.
DETAILED = 3


@dataclass(frozen=True)
class TracedEvent:
    """An event with every try to tell Klaviyo of it, and what was sent."""

    row: activity.Row
    tries: Sequence[Call]
    request: str
    unsent_sentence: str | None


@dataclass(frozen=True)
class Trace:
    """`verdict` says in one sentence what stopped it, or that nothing did."""

    customer: Customer
    verdict: verdicts.Verdict
    events: Sequence[TracedEvent]
    profile: ProfileSync | None
    segments: Sequence[str]
    campaigns: Sequence[Fate]
    pushes: Sequence[Push]
    reports: dict[int, Report]
    iphones: Sequence[tuple[Registration, Device]]
    google: GoogleCard | None
    suppression: PushSuppression | None


def trace(customer: Customer, now: datetime | None = None) -> Trace:
    """Each list newest first."""
    events = _events(customer)
    pushes, campaigns = _pushes(customer), campaign_results.of_customer(customer, MOST)
    reports = {push.id: push_reports.report(push) for push in pushes[:DETAILED]}
    facts = verdicts.Facts(
        customer=customer,
        event=next((each.row for each in events if each.row.event.type != verdicts.OUTCOME), None),
        push=reports[pushes[0].id] if pushes else None,
        campaign=campaigns[0] if campaigns else None,
        profile=db.session.get(ProfileSync, customer.id),
        suppression=suppressing.of(customer.merchant_id, customer.id),
    )
    return Trace(
        customer=customer,
        verdict=verdicts.verdict(facts, now or utcnow()),
        events=events,
        profile=facts.profile,
        segments=_segments(customer),
        campaigns=campaigns,
        pushes=pushes,
        reports=reports,
        iphones=_iphones(customer),
        google=_google(customer),
        suppression=facts.suppression,
    )


def _events(customer: Customer) -> list[TracedEvent]:
    query = select(Event, Delivery).outerjoin(Delivery, Delivery.id == Event.id)
    newest = query.where(Event.customer_id == customer.id).order_by(Event.id.desc()).limit(MOST)
    rows = [activity.Row(event, delivery, customer) for event, delivery in db.session.execute(newest)]
    tries = activity.tries_of([row.delivery for row in rows if row.delivery is not None])
    return [
        TracedEvent(
            row,
            tries.get(row.event.id, []),
            activity.request_of(row.delivery),
            activity.explain_unsent(row.event) if row.delivery is None else None,
        )
        for row in rows
    ]


def _pushes(customer: Customer) -> Sequence[Push]:
    query = select(Push).where(Push.customer_id == customer.id).order_by(Push.id.desc()).limit(MOST)
    return db.session.scalars(query).all()


def _segments(customer: Customer) -> Sequence[str]:
    query = (
        select(Segment.name)
        .join(SegmentMember, is_member())
        .where(SegmentMember.customer_id == customer.id)
        .order_by(Segment.name)
    )
    return db.session.scalars(query).all()


def _iphones(customer: Customer) -> list[tuple[Registration, Device]]:
    query = (
        select(Registration, Device)
        .join(Device, Device.id == Registration.device_id)
        .join(Card, Card.id == Registration.card_id)
        .where(Card.customer_id == customer.id)
        .order_by(Registration.registered_at.desc())
        .limit(MOST)
    )
    return [(registration, device) for registration, device in db.session.execute(query)]


def _google(customer: Customer) -> GoogleCard | None:
    query = select(GoogleCard).join(Card, Card.id == GoogleCard.card_id).where(Card.customer_id == customer.id)
    found: GoogleCard | None = db.session.scalar(query)
    return found
