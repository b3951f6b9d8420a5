"""What became of a push: a target is settled once, the push follows from its targets, and Klaviyo is told where that is wanted.

Delivered means that a phone has fetched the card, or that Google has taken the message; that Apple accepted a push proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from portal.db import db, one_of
from portal.models import CardMessage, Push, PushReason, PushRules, PushState, PushTarget, Registration, Wallet
from portal.services import events
from portal.services.catalogue import PUSH_OUTCOME
from portal.services.customers import Identifiers
from portal.services.events import digest_of
from portal.services.recording import DERIVED, Told

AT_ONCE = 500
# After this long a phone that was off has forgotten that it was to be woken.
GIVEN_UP_AFTER = timedelta(hours=72)
# Of a push's age, and how long until the next look at it.
_LOOKS = (
    (timedelta(seconds=15), timedelta(seconds=1)),
    (timedelta(minutes=2), timedelta(seconds=10)),
    (timedelta(minutes=15), timedelta(minutes=1)),
    (timedelta(hours=6), timedelta(minutes=10)),
)
_SELDOM = timedelta(hours=1)


def merchants_due(now: datetime, wallet: Wallet) -> Sequence[int]:
    query = select(PushTarget.merchant_id).where(PushTarget.due_at <= now, PushTarget.wallet == wallet)
    return db.session.scalars(query.distinct()).all()


def look(merchant_id: int, now: datetime, limit: int = AT_ONCE) -> int:
    """See which iPhones have fetched what they were to show; how many were looked at."""
    targets = db.session.scalars(
        select(PushTarget)
        .where(PushTarget.merchant_id == merchant_id, PushTarget.wallet == Wallet.APPLE, PushTarget.due_at <= now)
        .order_by(PushTarget.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    if not targets:
        return 0
    fetched, settled = _fetched(targets), []
    for target in targets:
        state, reason = _seen(target, fetched, now)
        if state is PushState.SENT:
            target.due_at = now + _next_look(now - target.sent_at)
        else:
            _close(target, state, reason, now)
            settled.append(target)
    conclude(merchant_id, settled, now)
    return len(targets)


def _seen(target: PushTarget, fetched: dict[int, tuple[bool, int]], now: datetime) -> tuple[PushState, Any]:
    has_it, phones = fetched.get(target.message_id, (False, 0))
    if has_it:
        return PushState.DELIVERED, None
    if not phones:
        return PushState.SKIPPED, PushReason.NO_INSTALLED_PASS
    if now - target.sent_at > GIVEN_UP_AFTER:
        return PushState.FAILED, PushReason.NOT_FETCHED
    return PushState.SENT, None


def _fetched(targets: Sequence[PushTarget]) -> dict[int, tuple[bool, int]]:
    """By message: whether a phone has a version that shows it, and how many phones have the card."""
    query = (
        select(CardMessage.id, CardMessage.version, func.max(Registration.fetched_version), func.count())
        .join(Registration, Registration.card_id == CardMessage.card_id)
        .where(one_of(CardMessage.id, sorted(target.message_id for target in targets)))
        .group_by(CardMessage.id, CardMessage.version)
    )
    return {
        message_id: (version is not None and newest >= version, phones)
        for message_id, version, newest, phones in db.session.execute(query)
    }


def _next_look(age: timedelta) -> timedelta:
    return next((pause for until, pause in _LOOKS if age < until), _SELDOM)


def settle(target: PushTarget, state: PushState, reason: PushReason | None, now: datetime) -> None:
    """One target has come to its end."""
    settle_all(target.merchant_id, [target], state, reason, now)


def settle_all(
    merchant_id: int, targets: Sequence[PushTarget], state: PushState, reason: PushReason | None, now: datetime
) -> None:
    """Many of them have, all the same."""
    for target in targets:
        _close(target, state, reason, now)
    conclude(merchant_id, targets, now)


def _close(target: PushTarget, state: PushState, reason: PushReason | None, now: datetime) -> None:
    target.state, target.reason, target.due_at, target.settled_at = state, reason, None, now


def conclude(merchant_id: int, targets: Sequence[PushTarget], now: datetime) -> None:
    """What these targets mean for their pushes: one wallet that shows it is enough."""
    if not targets:
        return
    db.session.flush()
    ids = sorted({target.push_id for target in targets})
    locked = select(Push).where(one_of(Push.id, ids)).order_by(Push.id).with_for_update()
    pushes = db.session.scalars(locked.execution_options(populate_existing=True)).all()
    found: dict[int, list[PushTarget]] = {push_id: [] for push_id in ids}
    for target in db.session.scalars(select(PushTarget).where(one_of(PushTarget.push_id, ids))):
        found[target.push_id].append(target)
    settled = []
    for push in pushes:
        if push.is_settled:
            continue
        state, reason = _sum(found[push.id])
        if state is not PushState.SENT:
            push.state, push.reason, push.settled_at = state, reason, now
            settled.append(push)
    tell(merchant_id, settled)


def _sum(targets: Sequence[PushTarget]) -> tuple[PushState, PushReason | None]:
    by_state = {PushState(target.state): target for target in reversed(targets)}
    for state in (PushState.DELIVERED, PushState.SENT, PushState.FAILED, PushState.SKIPPED):
        if state in by_state:
            return state, by_state[state].reason
    return PushState.SKIPPED, PushReason.NO_INSTALLED_PASS


def tell(merchant_id: int, pushes: Sequence[Push]) -> None:
    """Record the outcomes as events for Klaviyo, where the merchant wants them."""
    rules = db.session.get(PushRules, merchant_id)
    if pushes and rules is not None and rules.tells_klaviyo:
        db.session.flush()
        events.record(merchant_id, [_told(push) for push in pushes])


def _told(push: Push) -> Told:
    # After a person's retry there is a second end to tell of.
    again = f":{push.retried_at:%Y%m%dT%H%M%S%f}" if push.retried_at else ""
    event_id = f"{DERIVED}{PUSH_OUTCOME.type}:{push.id}{again}"
    properties = {"outcome": push.state, "push_id": push.public_id, "message": push.message}
    if push.reason:
        properties["reason"] = push.reason
    return Told(
        event_id=event_id,
        type=PUSH_OUTCOME.type,
        customer=Identifiers(id=push.customer_id),
        occurred_at=push.settled_at or push.created_at,
        properties={name: str(value) for name, value in properties.items()},
        digest=digest_of({"id": event_id}),
        source="push",
    )
