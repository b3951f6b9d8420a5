"""Giving pushes that are due to their cards: one transaction decides and does it, so that each is said once, whoever dies.

What must not be shown is skipped with its reason; what may be shown later waits. Apple's part ends here: the card's new version
wakes the phones. For Google a target is left that a call delivers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from portal.bulk import insert_rows
from portal.db import db, one_of
from portal.models import (
    Card,
    Customer,
    GoogleCard,
    Merchant,
    Push,
    PushReason,
    PushRules,
    PushSource,
    PushState,
    PushSuppression,
    PushTarget,
    Registration,
    Wallet,
)
from portal.services import campaign_pushes, cards, push_outcomes

AT_ONCE = 200
# A phone that is on fetches within a second or two.
FIRST_LOOK = timedelta(seconds=1)
A_DAY = timedelta(hours=24)
# Why a push that is due is not shown.
Objection = Literal[
    PushReason.EXPIRED,
    PushReason.CANCELLED,
    PushReason.NO_INSTALLED_PASS,
    PushReason.SUPPRESSED,
    PushReason.FREQUENCY_CAP,
]


@dataclass(frozen=True)
class _Place:
    """A customer's card, and the wallets that it is in at this moment."""

    card_id: int
    wallets: tuple[Wallet, ...]


def merchants_due(now: datetime) -> Sequence[int]:
    return db.session.scalars(select(Push.merchant_id).where(Push.due_at <= now).distinct()).all()


def send_due(merchant_id: int, now: datetime, limit: int = AT_ONCE) -> int:
    """Decide about the merchant's pushes that are due; how many there were."""
    pushes = db.session.scalars(
        select(Push)
        .where(Push.merchant_id == merchant_id, Push.due_at <= now)
        .order_by(Push.due_at, Push.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    if not pushes:
        return 0
    places, screen = _places([push.customer_id for push in pushes]), _Screen(merchant_id, pushes, now)
    going: list[tuple[Push, _Place]] = []
    for push in pushes:
        place = places.get(push.customer_id)
        if (reason := screen.objection(push, place)) is not None:
            _skip(push, reason, now)
        elif (later := screen.waits_until(push)) is not None:
            push.due_at = later
        elif place is not None:
            going.append((push, place))
            screen.count(push)
    _say(merchant_id, going, now)
    push_outcomes.tell(merchant_id, [push for push in pushes if push.is_settled])
    return len(pushes)


def objection(push: Push, now: datetime) -> Objection | None:
    """Why this push would be skipped if it were due at this moment."""
    place = _places([push.customer_id]).get(push.customer_id)
    return _Screen(push.merchant_id, [push], now).objection(push, place)


class _Screen:
    """What a merchant's rules say about a list of pushes; read once."""

    def __init__(self, merchant_id: int, pushes: Sequence[Push], now: datetime) -> None:
        self._now, self._rules = now, db.session.get(PushRules, merchant_id)
        zone = db.session.scalar(select(Merchant.timezone).where(Merchant.id == merchant_id)) or "UTC"
        self._quiet_ends = quiet_end(self._rules, zone, now)
        ids = sorted({push.customer_id for push in pushes})
        listed = select(PushSuppression.customer_id).where(one_of(PushSuppression.customer_id, ids))
        self._suppressed = set(db.session.scalars(listed))
        self._cancelled = campaign_pushes.of_cancelled(
            [push.id for push in pushes if push.source == PushSource.CAMPAIGN]
        )
        self._today: Counter[int] = Counter()
        if self._rules and self._rules.most_per_day is not None:
            said = (
                select(Push.customer_id, func.count())
                .where(one_of(Push.customer_id, ids), Push.sent_at > now - A_DAY)
                .group_by(Push.customer_id)
            )
            self._today = Counter({row.customer_id: row[1] for row in db.session.execute(said)})

    def objection(self, push: Push, place: _Place | None) -> Objection | None:
        if push.expires_at is not None and push.expires_at <= self._now:
            return PushReason.EXPIRED
        if push.id in self._cancelled:
            return PushReason.CANCELLED
        if place is None:
            return PushReason.NO_INSTALLED_PASS
        if push.customer_id in self._suppressed:
            return PushReason.SUPPRESSED
        cap = self._rules.most_per_day if self._rules else None
        if cap is not None and push.source != PushSource.TEST and self._today[push.customer_id] >= cap:
            return PushReason.FREQUENCY_CAP
        return None

    def waits_until(self, push: Push) -> datetime | None:
        return self._quiet_ends if push.source != PushSource.TEST else None

    def count(self, push: Push) -> None:
        self._today[push.customer_id] += 1


def quiet_end(rules: PushRules | None, zone: str, now: datetime) -> datetime | None:
    """When the merchant's quiet hours end, where it is quiet at this moment."""
    if rules is None or rules.quiet_from is None or rules.quiet_until is None or rules.quiet_from == rules.quiet_until:
        return None
    local = now.astimezone(ZoneInfo(zone))
    minute, start, end = local.hour * 60 + local.minute, rules.quiet_from, rules.quiet_until
    quiet = start <= minute < end if start < end else minute >= start or minute < end
    if not quiet:
        return None
    ends = local.replace(hour=end // 60, minute=end % 60, second=0, microsecond=0)
    return ends if ends > local else (ends + timedelta(days=1))


def _skip(push: Push, reason: PushReason, now: datetime) -> None:
    push.state, push.reason, push.due_at, push.settled_at = PushState.SKIPPED, reason, None, now


def _places(customer_ids: Sequence[int]) -> dict[int, _Place]:
    on_a_phone = select(Registration.card_id).where(Registration.card_id == Card.id).exists()
    query = (
        select(Card.customer_id, Card.id, on_a_phone.label("apple"), GoogleCard.has_users.label("google"))
        .outerjoin(GoogleCard, GoogleCard.card_id == Card.id)
        .join(Customer, Customer.id == Card.customer_id)
        .where(one_of(Card.customer_id, sorted(set(customer_ids))), Card.voided.is_(False))
    )
    found = {}
    for row in db.session.execute(query):
        wallets = tuple(wallet for wallet in (Wallet.APPLE, Wallet.GOOGLE) if getattr(row, wallet.value))
        if wallets:
            found[row.customer_id] = _Place(row.id, wallets)
    return found


def _say(merchant_id: int, going: Sequence[tuple[Push, _Place]], now: datetime) -> None:
    """Give each card its message."""
    said = [cards.Said(push.customer_id, shown_text(push), push.url) for push, _ in going]
    targets = []
    for (push, place), message_id in zip(going, cards.show_messages(merchant_id, said), strict=True):
        if message_id is None:  # the card went away at this moment; the next turn sees that
            continue
        push.state, push.due_at, push.sent_at = PushState.SENT, None, now
        targets += [_target(push, place, wallet, message_id, now) for wallet in place.wallets]
    if targets:
        db.session.flush()
        insert_rows(PushTarget, targets)


def shown_text(push: Push) -> str:
    return f"{push.title}\n{push.message}" if push.title else push.message


def _target(push: Push, place: _Place, wallet: Wallet, message_id: int, now: datetime) -> dict[str, object]:
    return {
        "push_id": push.id,
        "wallet": wallet.value,
        "merchant_id": push.merchant_id,
        "card_id": place.card_id,
        "message_id": message_id,
        "state": PushState.SENT.value,
        "due_at": now + FIRST_LOOK if wallet is Wallet.APPLE else now,
        "attempts": 0,
        "notifies": True,
        "sent_at": now,
    }
