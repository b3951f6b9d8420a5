"""A campaign from its draft to its end, as a person moves it: save, start, pause, resume, cancel.

Every change of its state takes the row's lock first, so that whoever assigns at this moment has finished before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select

from portal.db import LARGEST_ID, db, new_id, utcnow
from portal.errors import ConflictError, InvalidError, NotFoundError
from portal.models import (
    Campaign,
    CampaignSegment,
    CampaignStart,
    CampaignState,
    CardStatus,
    Segment,
    Tier,
)
from portal.services import audiences, auditing, campaign_guard, campaign_pushes, personalising
from portal.services.push_orders import LONGEST_URL, public_address

MOST_SEGMENTS = 50
GUARD_PERCENT = 30
# States from which a person may start it.
STARTABLE = (CampaignState.DRAFT, CampaignState.SCHEDULED, CampaignState.NEEDS_PERSON)


@dataclass(frozen=True)
class CampaignPlan:
    """How a campaign shall be."""

    name: str
    include: Sequence[int]
    exclude: Sequence[int]
    tier_id: int | None
    card_status: CardStatus | None
    message: str
    url: str | None
    start: CampaignStart
    start_at: datetime | None
    guard_percent: int


def find(merchant_id: int, campaign_id: int, *, lock: bool = False) -> Campaign:
    """Raises `NotFoundError`, also for another merchant's."""
    query = select(Campaign).where(Campaign.merchant_id == merchant_id, Campaign.id == min(campaign_id, LARGEST_ID))
    query = query.execution_options(populate_existing=True)
    campaign = db.session.scalar(query.with_for_update() if lock else query)
    if campaign is None:
        raise NotFoundError("There is no such campaign.")
    return campaign


def list_newest(merchant_id: int, before: int | None = None, limit: int = 50) -> Sequence[Campaign]:
    """`before` is the id of the last one already seen."""
    query = select(Campaign).where(Campaign.merchant_id == merchant_id)
    if before is not None:
        query = query.where(Campaign.id < min(before, LARGEST_ID))
    return db.session.scalars(query.order_by(Campaign.id.desc()).limit(limit)).all()


# --- the draft -----------------------------------------------------------------------------------


def save(merchant_id: int, campaign_id: int | None, plan: CampaignPlan, actor: str) -> Campaign:
    """Make a draft, or change it. Raises `InvalidError` that names the field, `ConflictError` once it has begun."""
    message, url = personalising.check(plan.message), checked_url(plan.url)
    chosen = _checked_segments(merchant_id, plan)
    if plan.tier_id is not None:
        _check_tier(merchant_id, plan.tier_id)
    if campaign_id is None:
        campaign = Campaign(id=new_id(), merchant_id=merchant_id, created_by=actor, state=CampaignState.DRAFT)
        db.session.add(campaign)
    else:
        campaign = find(merchant_id, campaign_id, lock=True)
        if campaign.started_at is not None or campaign.has_ended:
            raise ConflictError("This campaign has begun, so it can no longer be changed. Make a new one instead.")
    campaign.name, campaign.message, campaign.url = plan.name, message, url
    campaign.tier_id, campaign.card_status = plan.tier_id, plan.card_status
    campaign.start, campaign.start_at = plan.start, plan.start_at if plan.start is CampaignStart.AT else None
    campaign.guard_percent = plan.guard_percent
    # Whatever was scheduled was about another audience or another message: a person starts it anew.
    campaign.state, campaign.reason, campaign.due_at = CampaignState.DRAFT, None, None
    db.session.flush()
    db.session.execute(delete(CampaignSegment).where(CampaignSegment.campaign_id == campaign.id))
    for segment in chosen:
        included = segment.id in plan.include
        row = CampaignSegment(campaign_id=campaign.id, segment_id=segment.id, included=included, name=segment.name)
        db.session.add(row)
    db.session.flush()
    campaign.audience, campaign.looked_at = audiences.count(campaign), utcnow()
    auditing.record(merchant_id, actor, "campaign changed" if campaign_id else "campaign made", campaign.name)
    return campaign


def checked_url(url: str | None) -> str | None:
    """Raises `InvalidError`."""
    if not url:
        return None
    if len(url) > LONGEST_URL:
        raise InvalidError(f"The link has more than {LONGEST_URL:,} characters.", field="url")
    try:
        return public_address(url)
    except ValueError as error:
        raise InvalidError(f"The link {error}.", field="url") from error


def _checked_segments(merchant_id: int, plan: CampaignPlan) -> Sequence[Segment]:
    if not plan.include:
        raise InvalidError("Choose at least one segment.", field="include")
    if set(plan.include) & set(plan.exclude):
        raise InvalidError("A segment is both included and left out. Choose one of the two.", field="exclude")
    wanted = {*plan.include, *plan.exclude}
    if len(wanted) > MOST_SEGMENTS:
        raise InvalidError(f"Choose at most {MOST_SEGMENTS} segments.", field="include")
    query = select(Segment).where(Segment.merchant_id == merchant_id, Segment.id.in_(wanted))
    found = db.session.scalars(query).all()
    if len(found) < len(wanted):
        raise InvalidError("One of the segments is gone. Choose again.", field="include")
    return found


def _check_tier(merchant_id: int, tier_id: int) -> None:
    if db.session.scalar(select(Tier.id).where(Tier.merchant_id == merchant_id, Tier.id == tier_id)) is None:
        raise InvalidError("This tier is gone. Choose again.", field="tier")


# --- what a person does with it ------------------------------------------------------------------


def start(merchant_id: int, campaign_id: int, actor: str, *, seen: int | None = None) -> Campaign:
    """Now, at its time, or from now on for whoever enters. A person has looked: the audience is counted anew.

    `seen` is how many the person was told. Raises `ConflictError` where these are others now, where nobody would get it, or
    nobody can say who is in the audience.
    """
    campaign = find(merchant_id, campaign_id, lock=True)
    if campaign.state not in STARTABLE:
        raise ConflictError("This campaign has begun already, or it has ended.")
    if (said := audiences.obstacle(campaign)) is not None:
        raise ConflictError(said)
    present = audiences.count(campaign)
    _check_audience(campaign, present, seen)
    campaign.audience, campaign.looked_at = present, utcnow()
    if campaign.started_at is not None:
        return _let_joiners(campaign, actor)
    waits = campaign.start == CampaignStart.AT and campaign.state != CampaignState.NEEDS_PERSON
    if waits and (campaign.start_at is None or campaign.start_at <= utcnow()):
        raise ConflictError("Its time has passed. Change the time, or let it start at once.", field="start_at")
    if waits:
        campaign.state, campaign.reason, campaign.due_at = CampaignState.SCHEDULED, None, campaign.start_at
        auditing.record(merchant_id, actor, "campaign scheduled", _in_short(campaign))
        return campaign
    begin(campaign, utcnow())
    auditing.record(merchant_id, actor, "campaign started", _in_short(campaign))
    return campaign


def _check_audience(campaign: Campaign, present: int, seen: int | None) -> None:
    if campaign.start != CampaignStart.ON_ENTERING and not present:
        raise ConflictError(
            "Nobody is in the audience, so nothing would be sent. Choose other segments or another rule."
        )
    if seen is not None and campaign_guard.is_odd(seen, present, campaign.guard_percent):
        raise ConflictError(
            f"While you looked, the audience has changed from {seen:,} to {present:,}. Nothing was sent. Look again, then start it."
        )


def _let_joiners(campaign: Campaign, actor: str) -> Campaign:
    """Those whom a campaign on entering has stopped at."""
    if (following := audiences.next_joining(campaign)) is not None:
        following[0].passed = following[1].generation
    campaign.state, campaign.reason, campaign.due_at = CampaignState.RUNNING, None, utcnow()
    auditing.record(campaign.merchant_id, actor, "campaign sent to many who joined", _in_short(campaign))
    return campaign


def leave_out(merchant_id: int, campaign_id: int, actor: str) -> Campaign:
    """Nothing is sent to those whom a campaign on entering has stopped at; it goes on with whoever joins later."""
    campaign = find(merchant_id, campaign_id, lock=True)
    if campaign.state != CampaignState.NEEDS_PERSON or campaign.started_at is None:
        raise ConflictError("This campaign does not wait for you, so there is nobody to leave out.")
    if (following := audiences.next_joining(campaign)) is not None:
        part, run = following
        part.generation = part.passed = run.generation
    campaign.walked_to = 0
    campaign.audience, campaign.looked_at = audiences.count(campaign), utcnow()
    campaign.state, campaign.reason, campaign.due_at = CampaignState.RUNNING, None, utcnow()
    auditing.record(merchant_id, actor, "campaign went on without those who joined", _in_short(campaign))
    return campaign


def begin(campaign: Campaign, now: datetime) -> None:
    """From now on customers are assigned."""
    campaign.state, campaign.reason, campaign.started_at = CampaignState.RUNNING, None, now
    for part in audiences.segments_of(campaign.id):
        part.generation = db.session.scalar(select(Segment.generation).where(Segment.id == part.segment_id)) or 0
        part.passed = part.generation
    campaign.due_at = now


def pause(merchant_id: int, campaign_id: int, actor: str) -> Campaign:
    campaign = find(merchant_id, campaign_id, lock=True)
    if campaign.state != CampaignState.RUNNING:
        raise ConflictError("This campaign is not running, so there is nothing to pause.")
    stop(campaign, CampaignState.PAUSED, None)
    campaign_pushes.hold(campaign.id)
    auditing.record(merchant_id, actor, "campaign paused", _in_short(campaign))
    return campaign


def resume(merchant_id: int, campaign_id: int, actor: str) -> Campaign:
    campaign = find(merchant_id, campaign_id, lock=True)
    if campaign.state != CampaignState.PAUSED:
        raise ConflictError("This campaign is not paused.")
    if (said := audiences.obstacle(campaign)) is not None:
        raise ConflictError(said)
    campaign.state, campaign.reason, campaign.due_at = CampaignState.RUNNING, None, utcnow()
    campaign_pushes.let_go(campaign.id, utcnow())
    auditing.record(merchant_id, actor, "campaign resumed", _in_short(campaign))
    return campaign


def cancel(merchant_id: int, campaign_id: int, actor: str) -> Campaign:
    campaign = find(merchant_id, campaign_id, lock=True)
    if campaign.has_ended:
        raise ConflictError("This campaign has ended already.")
    stop(campaign, CampaignState.CANCELLED, None)
    campaign.ended_at = utcnow()
    campaign_pushes.let_go(campaign.id, utcnow())
    auditing.record(merchant_id, actor, "campaign cancelled", _in_short(campaign))
    return campaign


def stop(campaign: Campaign, state: CampaignState, reason: str | None) -> None:
    """Nobody is assigned from now on."""
    campaign.state, campaign.reason, campaign.due_at = state, reason, None


def _in_short(campaign: Campaign) -> str:
    return f"{campaign.name}, audience {campaign.audience or 0:,}, assigned {campaign.assigned:,}"
