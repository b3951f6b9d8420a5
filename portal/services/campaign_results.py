"""What became of a campaign: how many customers are at each stage and why the others are not, with a list behind each number.

Those who are assigned are either sent to, waiting, or not sent to; and what was sent is fetched, on its way, or failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select, true

from portal.db import LARGEST_ID, db
from portal.models import Assignment, Campaign, CampaignStart, CampaignState, Customer, Push, PushState

PAGE = 50
# So long after its end most phones have fetched what they were to show.
SETTLING = timedelta(minutes=10)


class Outcome(StrEnum):
    """What can be listed; the values stand in the page's address."""

    ASSIGNED = "assigned"
    WAITING = "waiting"
    NOT_SENT = "not_sent"
    SENT = "sent"
    ON_ITS_WAY = "on_its_way"
    FETCHED = "fetched"
    FAILED = "failed"
    OPENED = "opened"


_CONDITIONS: dict[Outcome, ColumnElement[bool]] = {
    Outcome.ASSIGNED: true(),
    Outcome.WAITING: Push.state == PushState.WAITING,
    Outcome.NOT_SENT: or_(Assignment.push_id.is_(None), and_(Push.state == PushState.SKIPPED, Push.sent_at.is_(None))),
    Outcome.SENT: Push.sent_at.is_not(None),
    Outcome.ON_ITS_WAY: Push.state == PushState.SENT,
    Outcome.FETCHED: Push.state == PushState.DELIVERED,
    # Skipped although it was sent: the card was taken off the phone before it was fetched.
    Outcome.FAILED: or_(
        Push.state == PushState.FAILED, and_(Push.state == PushState.SKIPPED, Push.sent_at.is_not(None))
    ),
    Outcome.OPENED: Assignment.opened_at.is_not(None),
}
_REASON = func.coalesce(Push.reason, Assignment.refused)


@dataclass(frozen=True)
class Results:
    """How many are at each stage, and of those who got none, how many for each reason."""

    counts: dict[Outcome, int]
    not_sent: dict[str, int]
    failed: dict[str, int]

    @property
    def on_the_way(self) -> int:
        return self.counts[Outcome.WAITING] + self.counts[Outcome.ON_ITS_WAY]


@dataclass(frozen=True)
class Fate:
    """What became of one customer in one campaign."""

    assignment: Assignment
    customer: Customer
    campaign: Campaign
    push: Push | None

    @property
    def outcome(self) -> Outcome:
        """The furthest that it got."""
        if self.assignment.opened_at is not None:
            return Outcome.OPENED
        if self.push is None or (self.push.state == PushState.SKIPPED and self.push.sent_at is None):
            return Outcome.NOT_SENT
        return _OUTCOMES[PushState(self.push.state)]

    @property
    def reason(self) -> str | None:
        return (self.push.reason if self.push else None) or self.assignment.refused

    @property
    def at(self) -> datetime:
        """When it got there."""
        pushed = self.push and (self.push.settled_at or self.push.sent_at)
        return self.assignment.opened_at or pushed or self.assignment.assigned_at


_OUTCOMES = {
    PushState.WAITING: Outcome.WAITING,
    PushState.SENT: Outcome.ON_ITS_WAY,
    PushState.DELIVERED: Outcome.FETCHED,
    PushState.SKIPPED: Outcome.FAILED,
    PushState.FAILED: Outcome.FAILED,
}


def results(campaign: Campaign) -> Results:
    counted = [func.sum(case((condition, 1), else_=0)) for condition in _CONDITIONS.values()]
    row = db.session.execute(_of(campaign, select(*counted))).one()
    counts = {outcome: int(number or 0) for outcome, number in zip(_CONDITIONS, row, strict=True)}
    return Results(counts, _reasons(campaign, Outcome.NOT_SENT, counts), _reasons(campaign, Outcome.FAILED, counts))


def _of(campaign: Campaign, query: Any) -> Any:
    pushed = query.select_from(Assignment).outerjoin(Push, Push.id == Assignment.push_id)
    return pushed.where(Assignment.campaign_id == campaign.id)


def _reasons(campaign: Campaign, outcome: Outcome, counts: dict[Outcome, int]) -> dict[str, int]:
    if not counts[outcome]:
        return {}
    query = _of(campaign, select(_REASON, func.count())).where(_CONDITIONS[outcome]).group_by(_REASON)
    return {reason: number for reason, number in db.session.execute(query) if reason}


def moves(campaign: Campaign, found: Results, now: datetime) -> bool:
    """Its results change by themselves at this moment."""
    just_ended = campaign.ended_at is not None and campaign.ended_at > now - SETTLING
    return campaign.state == CampaignState.RUNNING or (just_ended and found.on_the_way > 0)


def seconds_left(campaign: Campaign, now: datetime) -> float | None:
    """Until everybody is assigned, at the pace so far; None where that is done, or cannot be told."""
    left = (campaign.audience or 0) - campaign.assigned
    running = campaign.state == CampaignState.RUNNING and campaign.start != CampaignStart.ON_ENTERING
    if not running or campaign.has_walked or left <= 0 or not campaign.assigned or campaign.started_at is None:
        return None
    return (now - campaign.started_at).total_seconds() / campaign.assigned * left


# --- the lists -----------------------------------------------------------------------------------


def page(
    campaign: Campaign, outcome: Outcome, *, reason: str | None = None, after: int = 0
) -> tuple[Sequence[Fate], int | None]:
    """Those at a stage, or of them those with a reason, by rising id of the customer; and where the list goes on."""
    query = _of(campaign, select(Assignment, Customer, Push)).join(Customer, Customer.id == Assignment.customer_id)
    query = query.where(_CONDITIONS[outcome], Assignment.customer_id > min(after, LARGEST_ID))
    if reason is not None:
        query = query.where(reason == _REASON)
    rows = db.session.execute(query.order_by(Assignment.customer_id).limit(PAGE + 1)).all()
    found = [Fate(assignment, customer, campaign, push) for assignment, customer, push in rows[:PAGE]]
    return found, found[-1].customer.id if len(rows) > PAGE else None


def of_customer(customer: Customer, limit: int = 20) -> Sequence[Fate]:
    """The customer's campaigns, the last assigned first."""
    query = (
        select(Assignment, Campaign, Push)
        .join(Campaign, Campaign.id == Assignment.campaign_id)
        .outerjoin(Push, Push.id == Assignment.push_id)
        .where(Assignment.customer_id == customer.id, Campaign.merchant_id == customer.merchant_id)
        .order_by(Assignment.assigned_at.desc(), Assignment.campaign_id.desc())
        .limit(limit)
    )
    return [Fate(assignment, customer, campaign, push) for assignment, campaign, push in db.session.execute(query)]
