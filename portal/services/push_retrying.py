"""Trying a push again because a person wants it: only where that can help, and never where it was shown.

The message keeps its place on the card and its id at Google, so that whoever has seen it is not notified a second time.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

from sqlalchemy import or_, select, update

from portal import queue
from portal.db import db, on_commit
from portal.errors import ConflictError
from portal.models import (
    Device,
    Push,
    PushReason,
    PushState,
    PushTarget,
    Registration,
    Wallet,
    WalletHealth,
)
from portal.services import push_google, push_sending, pushing, waking

SHOWN = "It was shown, and trying again would notify the customer twice. Send a new push to say something else."
NEVER_PROMISED = (
    "It was refused when it was asked for, and whoever asked was told. Once the reason is gone, send a new push; "
    "this one stays as it is."
)
HELD = "Its campaign is paused. It goes out when the campaign goes on."
STILL: dict[push_sending.Objection, str] = {
    PushReason.EXPIRED: "The time until which it may be shown has passed. Send a new push, with a later time or none.",
    PushReason.NO_INSTALLED_PASS: "The customer still has no card on a phone. It can be tried again once there is one.",
    PushReason.SUPPRESSED: "The customer still gets no pushes. Lift that under Push > Suppressed, then try again.",
    PushReason.CANCELLED: "Its campaign was cancelled, so nothing of it goes out any more. Send a new push to say it after all.",
    PushReason.FREQUENCY_CAP: "The customer has still had as many pushes within 24 hours as you allow. Try again later.",
}


def hindrance(push: Push, now: datetime) -> str | None:
    """Why trying again makes no sense, in words that say what does; None where it can help."""
    if push.state == PushState.DELIVERED:
        return SHOWN
    if not push.channels:
        return NEVER_PROMISED
    if push.state == PushState.WAITING:
        return HELD if push.due_at is None else "It has not gone out yet, and does so by itself."
    reason = push_sending.objection(push, now)
    # What has gone out was counted then.
    if reason is None or (reason is PushReason.FREQUENCY_CAP and push.sent_at is not None):
        return None
    return STILL[reason]


def retry(merchant_id: int, push_id: int, now: datetime) -> Push:
    """Raises `NotFoundError`, and `ConflictError` with the `hindrance`."""
    push = pushing.find(merchant_id, push_id)
    db.session.refresh(push, with_for_update=True)
    if (said := hindrance(push, now)) is not None:
        raise ConflictError(said)
    _end_rests(merchant_id)
    if push.sent_at is None:
        push.state, push.due_at = PushState.WAITING, now
    else:
        push.state = PushState.SENT
        _open_targets(push, now)
    push.reason = push.settled_at = None
    push.retried_at = now
    on_commit(partial(queue.ring, merchant_id, queue.PUSHES))
    on_commit(partial(queue.ring, merchant_id, queue.CARDS))
    return push


def _end_rests(merchant_id: int) -> None:
    """Apple and Google are asked at once, whatever was put off after trouble."""
    db.session.execute(
        update(WalletHealth).where(WalletHealth.merchant_id == merchant_id).values(paused_until=None),
        execution_options={"synchronize_session": False},
    )


def _open_targets(push: Push, now: datetime) -> None:
    query = select(PushTarget).where(PushTarget.push_id == push.id).with_for_update()
    for target in db.session.scalars(query.execution_options(populate_existing=True)):
        if target.state == PushState.DELIVERED or _is_under_way(target, now):
            continue
        target.state, target.reason, target.settled_at = PushState.SENT, None, None
        target.sent_at = now
        if target.wallet == Wallet.APPLE:
            target.due_at = now + push_sending.FIRST_LOOK
            _wake(target.card_id, now)
        else:
            # Not the first try: it is looked up at Google before anything is sent.
            target.due_at, target.attempts = now, max(1, min(target.attempts, 2))
            target.answer = None


def _is_under_way(target: PushTarget, now: datetime) -> bool:
    """A worker may be calling Google for it at this moment."""
    waits = target.wallet == Wallet.GOOGLE and target.state == PushState.SENT and target.due_at is not None
    return waits and target.due_at <= now + push_google.LEASE  # type: ignore[operator]


def _wake(card_id: int, now: datetime) -> None:
    """The phones with this card that have not fetched it, unless they are about to be woken anyway."""
    phones = select(Registration.device_id).where(Registration.card_id == card_id)
    later = or_(Device.due_at.is_(None), Device.due_at > now + waking.LEASE)
    db.session.execute(
        update(Device).where(Device.id.in_(phones), later).values(due_at=now, attempts=0, wakes=0),
        execution_options={"synchronize_session": False},
    )
