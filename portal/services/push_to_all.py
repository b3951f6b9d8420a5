"""A campaign to everybody who has the card at Google: one message to the programme, in place of one to each card, of which Google
takes twenty a second. Only where all of them get the same words, and each may be notified once more today.

A target that was part of it and is not settled goes to its card by itself: that looks first whether the programme has the message.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select, update

from portal.db import db
from portal.models import (
    Assignment,
    Campaign,
    CampaignStart,
    CampaignState,
    GoogleCard,
    GoogleClass,
    Merchant,
    Push,
    PushState,
    PushTarget,
    Wallet,
)
from portal.services import push_outcomes, wallet_accounts, wallet_health
from portal.wallet.google import (
    MOST_MESSAGES,
    NOTIFYING_PER_DAY,
    GoogleWallet,
    Message,
    Outcome,
    has_message,
    message_id,
    messages_of,
)

# What Google takes in a second by itself.
WORTH = 20
LEASE = timedelta(seconds=90)
# So long its first messages wait while a campaign still assigns: whether it reaches everybody is known at its end.
HOLD = timedelta(seconds=5)
SETTLE_AT_ONCE = 500
A_DAY = timedelta(hours=24)


@dataclass(frozen=True)
class Errand:
    campaign_id: int
    merchant_id: int
    wallet: GoogleWallet
    class_id: str
    message: Message


def id_of(campaign_id: int) -> str:
    """Of the campaign's message at Google."""
    return message_id("campaign", campaign_id)


def claim(merchant_id: int, now: datetime) -> Errand | None:
    """The campaign whose messages are due first, leased as a whole, if it goes to everybody; put off while that is not known yet."""
    campaign, holders = _first(merchant_id, now), _holders(merchant_id)
    if campaign is None or holders < WORTH or (campaign.audience or 0) < holders:
        return None
    untouched = _targets(campaign.id, PushTarget.attempts == 0)
    still_assigns = campaign.state == CampaignState.RUNNING and not campaign.has_walked
    if still_assigns or _is_being_written(campaign.id, now):
        _set(untouched, due_at=now + HOLD)
        return None
    # Those that somebody else is claiming at this moment are left out, and then it is not everybody.
    free = db.session.scalars(untouched.with_for_update(of=PushTarget, skip_locked=True)).all()
    issuer, known = wallet_accounts.google_issuer(merchant_id), db.session.get(GoogleClass, merchant_id)
    if len(free) != holders or issuer is None or known is None or _somebody_has_had_enough(merchant_id, now):
        return None
    _set(untouched, due_at=now + LEASE, attempts=1)
    header = db.session.get_one(Merchant, merchant_id).programme_name
    message = Message(id=id_of(campaign.id), header=header, body=campaign.message)
    return Errand(campaign.id, merchant_id, issuer.wallet(), known.class_id, message)


def _first(merchant_id: int, now: datetime) -> Campaign | None:
    """Of those whose message is the same for everybody: no variables, and no link, which is each customer's own."""
    query = (
        select(Campaign)
        .join(Assignment, Assignment.campaign_id == Campaign.id)
        .join(Push, Push.id == Assignment.push_id)
        .join(PushTarget, _is_googles(Push.id))
        .where(PushTarget.merchant_id == merchant_id, PushTarget.due_at <= now, PushTarget.attempts == 0)
        .where(Campaign.start != CampaignStart.ON_ENTERING, Campaign.message == Push.message, Push.url.is_(None))
    )
    found: Campaign | None = db.session.scalar(query.order_by(PushTarget.due_at).limit(1))
    return found


def _holders(merchant_id: int) -> int:
    query = select(func.count()).where(GoogleCard.merchant_id == merchant_id, GoogleCard.has_users)
    return db.session.scalar(query) or 0


def _is_googles(push_id: Any) -> ColumnElement[bool]:
    return and_(PushTarget.push_id == push_id, PushTarget.wallet == Wallet.GOOGLE)


def _targets(campaign_id: int, *which: ColumnElement[bool]) -> Select[Any]:
    query = select(PushTarget.push_id).join(Assignment, _is_googles(Assignment.push_id))
    return query.where(Assignment.campaign_id == campaign_id, PushTarget.state == PushState.SENT, *which)


def _set(targets: Select[Any], **values: object) -> None:
    those = update(PushTarget).where(PushTarget.wallet == Wallet.GOOGLE, PushTarget.push_id.in_(targets))
    db.session.execute(those.values(**values), execution_options={"synchronize_session": False})


def _is_being_written(campaign_id: int, now: datetime) -> bool:
    query = select(Push.id).join(Assignment, Assignment.push_id == Push.id)
    waiting = query.where(Assignment.campaign_id == campaign_id, Push.state == PushState.WAITING, Push.due_at <= now)
    return db.session.scalar(waiting.limit(1)) is not None


def _somebody_has_had_enough(merchant_id: int, now: datetime) -> bool:
    """Of notifications at Google within a day: to them it goes silently, and so to each by itself."""
    notified = (
        select(PushTarget.card_id)
        .where(PushTarget.merchant_id == merchant_id, PushTarget.wallet == Wallet.GOOGLE, PushTarget.notifies)
        .where(PushTarget.attempts > 0, func.coalesce(PushTarget.settled_at, now) > now - A_DAY)
    )
    full = notified.group_by(PushTarget.card_id).having(func.count() >= NOTIFYING_PER_DAY)
    return db.session.scalar(full.limit(1)) is not None


def send(errand: Errand) -> Outcome:
    """Calls Google, once where the answer is clear; where it is not, it is looked whether the message is there."""
    reply = errand.wallet.message_class(errand.class_id, errand.message)
    if reply.outcome not in (Outcome.REFUSED, Outcome.TROUBLE):
        return reply.outcome
    found = errand.wallet.get_class(errand.class_id)
    if found.ok and has_message(found.document, errand.message.id):
        return Outcome.OK
    if reply.outcome is Outcome.REFUSED and found.ok and len(messages_of(found.document)) >= MOST_MESSAGES:
        room = errand.wallet.make_room(found.document)
        return errand.wallet.message_class(errand.class_id, errand.message).outcome if room.ok else room.outcome
    return reply.outcome


def settle(errand: Errand, outcome: Outcome, now: datetime) -> bool:
    """A part of the targets; whether there are more. Where Google did not take it, each card is told by itself."""
    part = _targets(errand.campaign_id, PushTarget.attempts == 1)
    if outcome is not Outcome.OK:
        _set(part, due_at=now)
        return False
    wallet_health.note_well(errand.merchant_id, Wallet.GOOGLE)
    ids = part.order_by(PushTarget.push_id).limit(SETTLE_AT_ONCE)
    mine = (PushTarget.wallet == Wallet.GOOGLE) & PushTarget.push_id.in_(ids.scalar_subquery())
    targets = db.session.scalars(select(PushTarget).where(mine).execution_options(populate_existing=True)).all()
    push_outcomes.settle_all(errand.merchant_id, targets, PushState.DELIVERED, None, now)
    return len(targets) == SETTLE_AT_ONCE
