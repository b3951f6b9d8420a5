"""What an event does to a customer's standing, and which further events follow from it.

`apply` changes the standing in memory and says what is to be written; it raises before it has changed anything.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any

from portal.errors import ConflictError, InvalidError
from portal.models import CardStatus, Channel
from portal.services.points import MOST_POINTS, to_hundredths, to_number
from portal.services.rules import RewardRule, Rules
from portal.services.standing import Earning, Standing, follow_tier, score, signals

BALANCE_CHANGED = "balance_changed"
CUSTOMER_CREATED = "customer_created"
REWARD_CHANNELS = {"reward_redeemed_online": Channel.ONLINE, "reward_redeemed_in_store": Channel.IN_STORE}
INCREASE, DECREASE = "increase", "decrease"
UP, DOWN = "tier_upgraded", "tier_downgraded"


@dataclass(slots=True)
class Happening:
    """One event to be written. `name` tells a derived one from the others of its cause; empty for the event itself."""

    type: str
    properties: dict[str, Any]
    occurred_at: datetime
    name: str = ""
    # The common properties as of this event.
    signals: dict[str, Any] = field(default_factory=dict)
    change: Change | None = None
    redeemed: RewardRule | None = None


@dataclass(frozen=True)
class Change:
    """One row of the ledger; `opening` is what has to be added first, where a program knows of points that we do not."""

    points: int
    balance: int
    reason: str
    opening: int = 0


class Subject:
    """The customer an event is about: the standing, the rules, and what was earned in the period that counts."""

    def __init__(self, rules: Rules, standing: Standing, earnings: list[Earning]) -> None:
        self.rules, self.standing, self.earnings = rules, standing, earnings

    def move(self, points: int, reason: str, moment: datetime, *, opening: int = 0) -> Happening:
        """Add hundredths of points, or take them away."""
        before = self.standing.balance + opening
        self._add(opening, moment)
        self._add(points, moment)
        told: dict[str, Any] = {
            "direction": DECREASE if points < 0 else INCREASE,
            "change": to_number(abs(points)),
            "balance": to_number(before + points),
            "previous_balance": to_number(before),
        }
        if reason:
            told["reason"] = reason
        change = Change(points, before + points, reason[:200], opening)
        return Happening(BALANCE_CHANGED, told, moment, "balance", change=change)

    def _add(self, points: int, moment: datetime) -> None:
        if not points:
            return
        self.standing.balance += points
        self.standing.changed = True
        if points > 0:
            self.standing.earned += points
            if self.rules.by_period:
                insort(self.earnings, Earning(moment, points), key=attrgetter("occurred_at"))

    def follow(self, moment: datetime) -> list[Happening]:
        """The tier that follows, as an event where it is another one. Time does not run backwards for it."""
        moment = max(moment, self.standing.tier_entered_at or moment)
        moved = follow_tier(self.rules, self.standing, self.earnings, moment)
        if moved is None:
            return []
        before, after = moved
        # Whoever joins is in the first tier: nobody has risen to it.
        if after is not None and before is None and after.threshold == 0:
            return []
        risen = after is not None and (before is None or after.threshold > before.threshold)
        told = {name: tier.name for name, tier in (("tier", after), ("previous_tier", before)) if tier}
        return [Happening(UP if risen else DOWN, told, moment, "tier")]

    def signals(self, moment: datetime) -> dict[str, Any]:
        return signals(self.rules, self.standing, score(self.rules, self.standing, self.earnings, moment))


# Takes one of a reward for the customer. Raises `ConflictError` when there is none left.
Reserve = Callable[[RewardRule], None]


def welcome(subject: Subject, moment: datetime, source: str) -> list[Happening]:
    """What happens when a customer is first seen."""
    subject.follow(moment)
    created = Happening(CUSTOMER_CREATED, {"source": source}, moment, "created", subject.signals(moment))
    if not subject.rules.welcome_points:
        return [created]
    return [created, *_with_signals(subject, [subject.move(subject.rules.welcome_points, "Welcome", moment)], moment)]


def review(subject: Subject, moment: datetime) -> list[Happening]:
    """What follows from time alone, or from rules that have changed."""
    follows = subject.follow(moment)
    for each in follows:
        each.signals = subject.signals(moment)
    return follows


def check_alone(event_type: str, properties: dict[str, Any]) -> None:
    """What is wrong whoever the customer is. Raises a `PortalError` that names the property at fault."""
    if event_type == BALANCE_CHANGED:
        _told_change(properties, _points(properties, "balance"), 0)
    elif event_type in REWARD_CHANNELS:
        _told_cost(properties)


def apply(
    event_type: str, properties: dict[str, Any], moment: datetime, subject: Subject, reserve: Reserve
) -> list[Happening]:
    """The event itself and what follows from it, in order. Raises a `PortalError` that names the property at fault."""
    if event_type == BALANCE_CHANGED:
        happenings = [_told_balance(properties, moment, subject)]
    elif event_type in REWARD_CHANNELS:
        happenings = _redeemed(event_type, properties, moment, subject, reserve)
    elif event_type == "referral_completed":
        happenings = _referred(properties, moment, subject)
    else:
        _note(event_type, properties, moment, subject.standing)
        happenings = [Happening(event_type, properties, moment)]
    return _with_signals(subject, happenings, moment)


def _with_signals(subject: Subject, happenings: Sequence[Happening], moment: datetime) -> list[Happening]:
    """With the tier that follows; every event of one cause tells the same standing, the one that it led to."""
    # Only points that move can move a tier, and time: that is looked after by a job.
    follows = subject.follow(moment) if any(each.change for each in happenings) else []
    told = subject.signals(moment)
    for each in (*happenings, *follows):
        each.signals = told
    return [*happenings, *follows]


# --- points --------------------------------------------------------------------------------------


def _told_balance(properties: dict[str, Any], moment: datetime, subject: Subject) -> Happening:
    stated = _points(properties, "balance")
    change = _told_change(properties, stated, subject.standing.balance)
    # A program that states the balance knows better: what we did not know of is added first, so that the sum is right.
    opening = 0 if stated is None else stated - change - subject.standing.balance
    _check_total(subject.standing.balance + opening + change)
    moved = subject.move(change, str(properties.get("reason", "")), moment, opening=opening)
    if properties.get("direction") == DECREASE:
        moved.properties["direction"] = DECREASE
    moved.properties = properties | moved.properties
    moved.name = ""
    return moved


def _told_change(properties: dict[str, Any], stated: int | None, balance: int) -> int:
    change = _points(properties, "change")
    direction = properties.get("direction")
    if change is None:
        if stated is None:
            raise InvalidError(
                "properties.change is missing. Say how many points were added or taken away, or the new balance.",
                field="properties.change",
            )
        before = _points(properties, "previous_balance")
        return stated - (balance if before is None else before)
    if change < 0 and direction == INCREASE:
        raise InvalidError(
            'properties.change is below 0 although the direction is "increase". Send points without a sign.',
            field="properties.change",
        )
    return -abs(change) if direction == DECREASE else change


def without_balance(properties: dict[str, Any]) -> dict[str, Any]:
    """Only how many points were moved, where both that and the balance were told."""
    before, after = properties.get("previous_balance"), properties.get("balance")
    told = {name: value for name, value in properties.items() if name not in ("balance", "previous_balance")}
    if "change" not in told and before is not None and after is not None:
        told["change"] = abs(after - before)
        told.setdefault("direction", DECREASE if after < before else INCREASE)
    return told


def _points(properties: dict[str, Any], name: str) -> int | None:
    if name not in properties:
        return None
    try:
        return to_hundredths(properties[name])
    except ValueError as error:
        raise InvalidError(f"properties.{name} {error}.", field=f"properties.{name}") from error


def _check_total(hundredths: int) -> None:
    if abs(hundredths) > MOST_POINTS * 100:
        raise InvalidError("properties.change makes the balance too large.", field="properties.change")


def _referred(properties: dict[str, Any], moment: datetime, subject: Subject) -> list[Happening]:
    awarded = _points(properties, "points_awarded")
    if awarded is None and subject.rules.referral_points:
        awarded = subject.rules.referral_points
        properties = {**properties, "points_awarded": to_number(awarded)}
    if awarded is not None and awarded < 0:
        raise InvalidError("properties.points_awarded must not be below 0.", field="properties.points_awarded")
    told = Happening("referral_completed", properties, moment)
    return [told, subject.move(awarded, "Referral", moment)] if awarded else [told]


# --- rewards -------------------------------------------------------------------------------------


def _redeemed(
    event_type: str, properties: dict[str, Any], moment: datetime, subject: Subject, reserve: Reserve
) -> list[Happening]:
    code = str(properties.get("reward_id", ""))
    reward, withdrawn = subject.rules.reward(code), subject.rules.withdrawn_reward(code)
    if withdrawn is not None and withdrawn.withdrawn_at <= moment:
        raise ConflictError(
            f"{withdrawn.name} was withdrawn and can no longer be redeemed. No points were taken.",
            field="properties.reward_id",
            code="reward_withdrawn",
        )
    known, cost = reward or withdrawn, _told_cost(properties)
    if cost is None:
        if known is None:
            raise InvalidError(
                f'There is no reward "{code}" in your programme. Send the id of one that there is, or its cost too.',
                field="properties.reward_id",
            )
        cost = known.cost
    if cost > subject.standing.balance:
        raise ConflictError(
            f"The customer has {to_number(subject.standing.balance):,} points, and this reward costs {to_number(cost):,}.",
            field="properties.cost",
            code="not_enough_points",
        )
    told = dict(properties)
    if reward is not None:
        _check_channel(reward, REWARD_CHANNELS[event_type])
        reserve(reward)
    if known is not None:
        told = {"reward_name": known.name, **told}
    told["cost"] = to_number(cost)
    redeemed = Happening(event_type, told, moment, redeemed=reward)
    name = told.get("reward_name") or told.get("reward_id")
    return [redeemed, subject.move(-cost, f"Reward: {name}" if name else "Reward", moment)] if cost else [redeemed]


def _told_cost(properties: dict[str, Any]) -> int | None:
    """None where the reward that is named says it."""
    cost = _points(properties, "cost")
    if cost is None and not properties.get("reward_id"):
        raise InvalidError(
            "properties.cost is missing. Send the points it cost, or the id of a reward of your programme as reward_id.",
            field="properties.cost",
        )
    if cost is not None and cost < 0:
        raise InvalidError("properties.cost must not be below 0.", field="properties.cost")
    return cost


def _check_channel(reward: RewardRule, channel: Channel) -> None:
    if reward.channel not in (Channel.BOTH, channel):
        only = "in store" if channel is Channel.ONLINE else "online"
        raise ConflictError(
            f"{reward.name} can be redeemed {only} only.", field="properties.reward_id", code="wrong_channel"
        )


# --- the rest ------------------------------------------------------------------------------------


def _note(event_type: str, properties: dict[str, Any], moment: datetime, standing: Standing) -> None:
    if event_type == "card_installed":
        _note_card(standing, properties.get("platform"), installed=True)
    elif event_type == "card_uninstalled":
        _note_card(standing, properties.get("platform"), installed=False)
    elif event_type == "pos_scanned":
        standing.change(
            pos_scans=standing.pos_scans + 1, last_pos_scan_at=max(moment, standing.last_pos_scan_at or moment)
        )
    elif event_type == "account_verified" and standing.verified_at is None:
        standing.change(verified_at=moment)


def _note_card(standing: Standing, platform: str | None, *, installed: bool) -> None:
    """Without a platform: the card is taken to have left every phone."""
    if installed:
        standing.change(card_status=CardStatus.INSTALLED.value)
    for name, own in (("ios", "on_ios"), ("android", "on_android")):
        if platform == name or (platform is None and not installed):
            standing.change(**{own: installed})
    if not installed and not (standing.on_ios or standing.on_android):
        standing.change(card_status=CardStatus.UNINSTALLED.value)
