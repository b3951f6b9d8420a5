"""What a person does to a customer, at the portal or at the till: each deed is an event, told as any other.

A form carries an id of its own (`once`), so that pressing its button twice does it once.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from portal.db import db, utcnow
from portal.errors import ConflictError, InvalidError, PortalError
from portal.models import Channel, Event, Reward, Rounding
from portal.services import directory, events, ledger, programme
from portal.services.customers import Identifiers
from portal.services.effects import BALANCE_CHANGED, REWARD_CHANNELS
from portal.services.points import MOST_POINTS, in_words, points_for, to_number
from portal.services.recording import DERIVED, Told

PORTAL, TILL = "portal", "till"
# What a refusal calls a part of the event, and what a form does.
_FIELDS = {"properties.cost": "reward", "properties.reward_id": "reward", "properties.change": "points"}


@dataclass(frozen=True)
class Served:
    """Whom it is done to, where, and by which form."""

    merchant_id: int
    customer_id: int
    once: str
    source: str = PORTAL
    # The shop and the till, where they are known.
    place: dict[str, str] = field(default_factory=dict)

    @property
    def event_id(self) -> str:
        return f"{DERIVED}{self.source}:{self.customer_id}:{self.once[:60]}"


def new_once() -> str:
    return secrets.token_urlsafe(12)


def change_points(served: Served, points: int, reason: str) -> None:
    """Add hundredths of points, or take them away; the balance does not go below zero by it."""
    directory.find(served.merchant_id, served.customer_id)
    if points == 0:
        raise InvalidError("Enter how many points to add or to take away.", field="points")
    standing = ledger.lock([served.customer_id])[served.customer_id]
    if not _is_done(served):
        if points < 0 and standing.balance + points < 0:
            raise ConflictError(
                f"The customer has {in_words(standing.balance)} points, so {in_words(-points)} cannot be taken away.",
                field="points",
            )
        if standing.balance + points > MOST_POINTS * 100:
            raise InvalidError("That makes the balance too large.", field="points")
    told = {"change": to_number(points), **({"reason": reason} if reason else {})}
    _tell(served, BALANCE_CHANGED, told)


def change_points_for(served: Served, amount: Decimal, reason: str) -> int:
    """Add the points that a purchase gives; how many hundredths."""
    rules = programme.programme_of(served.merchant_id)
    points = points_for(amount, rules.points_per_unit, Rounding(rules.rounding))
    if points <= 0:
        raise InvalidError("This amount gives no points.", field="amount")
    change_points(served, points, reason)
    return points


def redeem(served: Served, reward_id: int, channel: Channel, code: str = "") -> Reward:
    """Raises `ConflictError` where it costs too much, is used up, or has been withdrawn by now; then nothing is taken."""
    directory.find(served.merchant_id, served.customer_id)
    reward = programme.reward_of(served.merchant_id, reward_id)
    if reward.withdrawn_at is not None and not _is_done(served):
        raise ConflictError(
            f"{reward.name} was withdrawn and can no longer be redeemed. No points were taken.", field="reward"
        )
    told = {"reward_id": reward.code, **({"code": code} if code else {})}
    if channel is Channel.IN_STORE and (location := served.place.get("location")):
        told["location"] = location
    _tell(served, next(name for name, each in REWARD_CHANNELS.items() if each is channel), told)
    return reward


def verify(served: Served, method: str) -> None:
    _tell(served, "account_verified", {"method": method} if method else {})


def scan(served: Served) -> None:
    _tell(served, "pos_scanned", dict(served.place))


def check_in(served: Served) -> None:
    _tell(served, "checked_in", {name: value for name, value in served.place.items() if name == "location"})


def _is_done(served: Served) -> bool:
    """This very form was sent before: its repeat changes nothing, whatever has become of the customer since."""
    query = select(Event.id).where(Event.merchant_id == served.merchant_id, Event.event_id == served.event_id)
    return db.session.scalar(query) is not None


def _tell(served: Served, event_type: str, properties: dict[str, Any]) -> None:
    customer = directory.find(served.merchant_id, served.customer_id)
    told = Told(
        served.event_id,
        event_type,
        Identifiers(id=customer.id),
        utcnow(),
        properties,
        events.digest_of({"type": event_type, "properties": properties}),
        served.source,
    )
    (outcome,) = events.record(served.merchant_id, [told])
    if outcome is events.CONFLICT:
        raise ConflictError("This form was sent before with other values. Look at the balance, then enter it anew.")
    if isinstance(outcome, PortalError):
        raise type(outcome)(outcome.message, field=_FIELDS.get(outcome.field or ""), code=outcome.code)
