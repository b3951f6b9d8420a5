"""A push's message at Google: claim, call, settle. Google shows its own words, and notifies three times a day for each card.

The fourth is known beforehand and goes silently. A call without a clear answer is followed by a look: the message's id is made of
the push's, so that it is found again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func, select

from portal.db import db
from portal.models import (
    Assignment,
    Customer,
    GoogleCard,
    Merchant,
    Push,
    PushReason,
    PushState,
    PushTarget,
    Wallet,
)
from portal.services import card_links, push_outcomes, push_to_all, wallet_accounts, wallet_health
from portal.wallet.google import (
    MOST_MESSAGES,
    NOTIFYING_PER_DAY,
    GoogleWallet,
    Message,
    Outcome,
    Reply,
    has_message,
    message_id,
    messages_of,
)

AT_ONCE = 20
LEASE = timedelta(seconds=90)
RETRY_AFTER = tuple(timedelta(seconds=each) for each in (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 21_600))
A_DAY = timedelta(hours=24)
SILENT = "Google took it without a notification: this card was notified three times within 24 hours."


@dataclass(frozen=True)
class Errand:
    """One message for one card. `attempt` guards the settling: a late worker changes nothing."""

    push_id: int
    merchant_id: int
    wallet: GoogleWallet
    object_id: str
    message: Message
    attempt: int
    # The programme, and the message to all of it that may have been this one already.
    to_all: tuple[str, str] | None = None


def claim(merchant_id: int, now: datetime, limit: int = AT_ONCE) -> list[Errand]:
    """Messages that are due, leased. What Google is not to be told any more is settled here."""
    issuer = wallet_accounts.google_issuer(merchant_id)
    rows = db.session.execute(
        select(PushTarget, Push, GoogleCard, Customer)
        .join(Push, Push.id == PushTarget.push_id)
        .join(Customer, Customer.id == Push.customer_id)
        .join(GoogleCard, GoogleCard.card_id == PushTarget.card_id)
        .where(PushTarget.merchant_id == merchant_id, PushTarget.wallet == Wallet.GOOGLE, PushTarget.due_at <= now)
        .order_by(PushTarget.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True, of=PushTarget)
        .execution_options(populate_existing=True)
    ).all()
    merchant, errands = db.session.get_one(Merchant, merchant_id), []
    for target, push, google_card, customer in rows:
        if target.attempts == 0 and push.expires_at is not None and push.expires_at <= now:
            push_outcomes.settle(target, PushState.SKIPPED, PushReason.EXPIRED, now)
            continue
        if issuer is None or not google_card.has_users:
            push_outcomes.settle(target, PushState.SKIPPED, PushReason.NO_INSTALLED_PASS, now)
            continue
        if target.attempts == 0:
            target.notifies = _notified_today(target, now) < NOTIFYING_PER_DAY
        target.due_at, target.attempts = now + LEASE, target.attempts + 1
        db.session.flush()
        message = _message(push, target, merchant, customer)
        to_all = _to_all(push, google_card) if target.attempts > 1 else None
        wallet, object_id = issuer.wallet(), google_card.object_id
        errands.append(Errand(push.id, merchant_id, wallet, object_id, message, target.attempts, to_all))
    return errands


def _to_all(push: Push, google_card: GoogleCard) -> tuple[str, str] | None:
    campaign_id = db.session.scalar(select(Assignment.campaign_id).where(Assignment.push_id == push.id))
    return (google_card.class_id, push_to_all.id_of(campaign_id)) if campaign_id else None


def _notified_today(target: PushTarget, now: datetime) -> int:
    """Of this card, delivered or under way."""
    query = select(func.count()).where(
        PushTarget.card_id == target.card_id,
        PushTarget.wallet == Wallet.GOOGLE,
        PushTarget.push_id != target.push_id,
        PushTarget.notifies,
        PushTarget.attempts > 0,
        func.coalesce(PushTarget.settled_at, now) > now - A_DAY,
        PushTarget.state.in_((PushState.DELIVERED, PushState.SENT)),
    )
    return db.session.scalar(query) or 0


def _message(push: Push, target: PushTarget, merchant: Merchant, customer: Customer) -> Message:
    body = push.message
    if push.url:
        body = f"{body}\n{card_links.message(merchant, customer, target.message_id)}"
    return Message(
        id=message_id("push", push.id, target.card_id),
        header=push.title or merchant.programme_name,
        body=body,
        notify=target.notifies,
    )


def send(errand: Errand) -> tuple[Reply, Message]:
    """Calls Google: the message is there afterwards, once, or the reply says why not. What notified is the message given back."""
    if errand.attempt > 1:
        found = errand.wallet.get_object(errand.object_id)
        if not found.ok or has_message(found.document, errand.message.id):
            return found, errand.message
        if errand.to_all:
            class_id, said = errand.to_all
            found = errand.wallet.get_class(class_id)
            if not found.ok or has_message(found.document, said):
                return found, errand.message
    message = errand.message
    reply = errand.wallet.message_object(errand.object_id, message)
    if reply.outcome is Outcome.QUOTA:
        message = replace(message, notify=False)
        reply = errand.wallet.message_object(errand.object_id, message)
    if reply.outcome is not Outcome.REFUSED:
        return reply, message
    found = errand.wallet.get_object(errand.object_id)
    if not found.ok or len(messages_of(found.document)) < MOST_MESSAGES:
        return reply, message
    room = errand.wallet.make_room(found.document)
    return (errand.wallet.message_object(errand.object_id, message) if room.ok else room), message


def settle(errand: Errand, reply: Reply, message: Message, now: datetime) -> None:
    """Write down what Google's answer means for the push."""
    target = db.session.get(PushTarget, (errand.push_id, Wallet.GOOGLE), with_for_update=True, populate_existing=True)
    if target is None or target.attempts != errand.attempt or target.state != PushState.SENT:
        return
    target.notifies = message.notify
    if reply.ok:
        wallet_health.note_well(errand.merchant_id, Wallet.GOOGLE)
        target.answer = None if message.notify else SILENT
        push_outcomes.settle(target, PushState.DELIVERED, None, now)
    elif reply.outcome in (Outcome.REFUSED, Outcome.MISSING):
        target.answer = f"Google refused it: {reply.said}"[:500]
        push_outcomes.settle(target, PushState.FAILED, PushReason.REFUSED, now)
    else:
        _put_off(target, reply, now)


def _put_off(target: PushTarget, reply: Reply, now: datetime) -> None:
    if reply.outcome is Outcome.THROTTLED:
        wallet_health.note_trouble(target.merchant_id, Wallet.GOOGLE, now, seconds=2)
        target.answer, target.due_at = "Google asked us to slow down.", now + timedelta(seconds=2)
        return
    wallet_health.note_trouble(target.merchant_id, Wallet.GOOGLE, now)
    if reply.outcome in (Outcome.FORBIDDEN, Outcome.KEY_REFUSED):
        target.answer = "Google does not accept the service account at the moment; see Settings > Integrations."
    else:
        target.answer = f"Google did not answer properly ({reply.said}). It is looked up before it is sent again."[:500]
    if target.attempts > len(RETRY_AFTER):
        push_outcomes.settle(target, PushState.FAILED, PushReason.REFUSED, now)
    else:
        target.due_at = now + RETRY_AFTER[target.attempts - 1]
