"""Assigning customers to a campaign, a batch in a transaction: the assignment, the event that tells of it, and the push.

The campaign's row is locked first, so that two workers take turns; an assignment that is there already brings neither event nor push.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update

from portal.db import changed_rows, db, insert_or_update
from portal.errors import PortalError
from portal.models import (
    Assignment,
    Campaign,
    CampaignSegment,
    CampaignStart,
    CampaignState,
    Customer,
    Push,
    PushSource,
    SegmentRun,
)
from portal.models.campaign import WALKED
from portal.services import (
    audiences,
    auditing,
    campaign_guard,
    campaign_pushes,
    campaigns,
    directory,
    events,
    outbox,
    personalising,
    pushing,
)
from portal.services.customers import Identifiers
from portal.services.events import digest_of
from portal.services.push_orders import PushOrder, key_of
from portal.services.recording import DERIVED, Told
from portal.services.rules import Rules, current_rules

AT_ONCE = 200
# How often it is looked whether somebody has entered.
LOOK_EVERY = timedelta(seconds=5)
# For whoever works on it: after that it comes due again by itself.
HELD = timedelta(seconds=15)
# With so many pushes or events of the merchant's waiting nobody else is assigned for a moment.
MOST_PUSHES, MOST_EVENTS = 1_000, 5_000
BUSY_FOR = timedelta(seconds=1)


def due(now: datetime) -> Sequence[int]:
    return db.session.scalars(select(Campaign.id).where(Campaign.due_at <= now).order_by(Campaign.due_at)).all()


def hold(campaign_id: int, now: datetime) -> bool:
    """For whoever is told of it next; nobody else is for a while."""
    held = update(Campaign).where(Campaign.id == campaign_id, Campaign.due_at <= now)
    return changed_rows(db.session.execute(held.values(due_at=now + HELD))) > 0


def assign_some(campaign_id: int, now: datetime) -> bool:
    """The next batch; whether there is more to do at once.

    Raises `ForbiddenError` where pushes are paused, and then nothing has changed; `IntegrityError` as `events.record` does.
    """
    query = select(Campaign).where(Campaign.id == campaign_id).with_for_update()
    campaign = db.session.scalar(query.execution_options(populate_existing=True))
    if campaign is None or campaign.due_at is None or not _may_go_on(campaign, now):
        return False
    if campaign.has_walked:
        return _finish(campaign, now)
    if _is_busy(campaign.merchant_id, now):
        campaign.due_at = now + BUSY_FOR
        return False
    campaign.due_at = now + HELD
    if campaign.start == CampaignStart.ON_ENTERING:
        return _assign_joiners(campaign, now)
    found = audiences.next_members(campaign, AT_ONCE)
    _assign(campaign, found, now)
    if len(found) == AT_ONCE:
        return True
    campaign.walked_to = WALKED
    return _finish(campaign, now)


def _finish(campaign: Campaign, now: datetime) -> bool:
    """Not before the last push is on its way: until then the campaign can be paused and cancelled."""
    if campaign_pushes.are_waiting(campaign.id):
        campaign.due_at = now + LOOK_EVERY
        return False
    campaigns.stop(campaign, CampaignState.FINISHED, None)
    campaign.ended_at = now
    return False


def _is_busy(merchant_id: int, now: datetime) -> bool:
    """So much of the merchant's waits to go out that more would only make the line longer. What cannot go out now is no line."""
    due = select(Push.id).where(Push.merchant_id == merchant_id, Push.due_at <= now)
    if db.session.scalar(due.offset(MOST_PUSHES - 1).limit(1)) is not None:
        return True
    return outbox.has_waiting(merchant_id, MOST_EVENTS) and outbox.is_due(merchant_id, now)


def give_up(campaign_id: int, reason: str) -> None:
    """It cannot go on by itself; a person resumes it."""
    campaign = db.session.scalar(select(Campaign).where(Campaign.id == campaign_id).with_for_update())
    if campaign is not None and campaign.state == CampaignState.RUNNING:
        campaigns.stop(campaign, CampaignState.PAUSED, reason)


def _may_go_on(campaign: Campaign, now: datetime) -> bool:
    if campaign.state == CampaignState.RUNNING and campaign.has_walked:
        return True
    said = audiences.obstacle(campaign)
    if campaign.state == CampaignState.RUNNING:
        if said is not None:
            campaigns.stop(campaign, CampaignState.PAUSED, said)
        return said is None
    if campaign.state != CampaignState.SCHEDULED or campaign.start_at is None or campaign.start_at > now:
        return False
    if (said := said or campaign_guard.objection(campaign, audiences.count(campaign))) is not None:
        campaigns.stop(campaign, CampaignState.NEEDS_PERSON, f"{said} Nothing was sent.")
        return False
    campaigns.begin(campaign, now)
    auditing.record(campaign.merchant_id, auditing.PORTAL, "campaign started", campaign.name)
    return True


def _assign_joiners(campaign: Campaign, now: datetime) -> bool:
    if (following := audiences.next_joining(campaign)) is None:
        campaign.due_at = now + LOOK_EVERY
        return False
    part, run = following
    if run.generation > part.passed and not _let_pass(campaign, part, run, now):
        return False
    found = audiences.next_joiners(campaign, run.id, AT_ONCE)
    _assign(campaign, found, now)
    if len(found) < AT_ONCE:
        part.generation, campaign.walked_to = run.generation, 0
    return True


def _let_pass(campaign: Campaign, part: CampaignSegment, run: SegmentRun, now: datetime) -> bool:
    """Once for each import, before the first of its joiners is assigned."""
    present = audiences.count(campaign)
    if (said := campaign_guard.objection_to_joiners(campaign, part, run, present)) is not None:
        campaigns.stop(campaign, CampaignState.NEEDS_PERSON, f"{said} Nothing was sent to them.")
        return False
    part.passed, campaign.audience, campaign.looked_at = run.generation, present, now
    return True


def _assign(campaign: Campaign, found: Sequence[Customer], now: datetime) -> None:
    if not found:
        return
    rows = [{"campaign_id": campaign.id, "customer_id": each.id, "assigned_at": now} for each in found]
    making = insert_or_update(Assignment).values(rows).on_conflict_do_nothing()
    fresh = set(db.session.scalars(making.returning(Assignment.customer_id)))
    customers = [each for each in found if each.id in fresh]
    segments = audiences.leads(campaign, fresh)
    events.record(campaign.merchant_id, [_told(campaign, each.id, segments.get(each.id), now) for each in customers])
    rules = current_rules(campaign.merchant_id)
    _push(campaign, customers, rules, now)
    campaign.walked_to, campaign.assigned = found[-1].id, campaign.assigned + len(fresh)


def _told(campaign: Campaign, customer_id: int, segment: str | None, now: datetime) -> Told:
    properties = {"campaign_id": campaign.public_id, "campaign_name": campaign.name}
    if segment:
        properties["segment_name"] = segment
    event_id = f"{DERIVED}campaign:{campaign.id}:{customer_id}"
    who = Identifiers(id=customer_id)
    return Told(event_id, "campaign_assigned", who, now, properties, digest_of(properties), source="campaign")


def _push(campaign: Campaign, customers: Sequence[Customer], rules: Rules, now: datetime) -> None:
    if not customers:
        return
    orders = [
        (
            each,
            order_for(campaign, each, rules, PushSource.CAMPAIGN, key_of("campaign", str(campaign.id), str(each.id))),
        )
        for each in customers
    ]
    pushes = pushing.accept_all(campaign.merchant_id, orders, now)
    rows = [
        {
            "campaign_id": campaign.id,
            "customer_id": push.customer_id,
            "push_id": None if push.is_settled else push.id,
            "refused": push.reason,
        }
        for push in pushes
    ]
    db.session.execute(update(Assignment), rows)


def order_for(campaign: Campaign, customer: Customer, rules: Rules, source: PushSource, key: str) -> PushOrder:
    """The campaign's push as this customer reads it."""
    message = personalising.render(campaign.message, customer, rules)
    return PushOrder(
        who={"customer_id": customer.public_id},
        message=message,
        title=None,
        url=campaign.url,
        expires_at=None,
        dry_run=False,
        key=key,
        digest=digest_of({"message": message, "url": campaign.url}),
        source=source,
    )


def send_test(merchant_id: int, campaign_id: int, customer_id: int, once: str, now: datetime) -> PortalError | None:
    """The campaign's push to one card, whether or not its customer is in the audience; the reason where there is nothing to show it on."""
    campaign = campaigns.find(merchant_id, campaign_id)
    customer = directory.find(merchant_id, customer_id)
    key = key_of("try", str(campaign_id), str(customer_id), once[:60])
    order = order_for(campaign, customer, current_rules(merchant_id), PushSource.TEST, key)
    accepted = pushing.accept(merchant_id, order, now)
    return None if isinstance(accepted, pushing.Accepted) else accepted
