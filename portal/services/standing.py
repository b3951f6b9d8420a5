"""Where a customer stands in the programme: balance, tier, card, and the signals that follow from them.

Nothing here reads or writes the database: what a rule needs is given to it, so that it can be tried out before it is saved.
"""

from __future__ import annotations

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from portal.models import CardStatus, TierBasis, TierLoss
from portal.services.points import to_number
from portal.services.rules import RewardRule, Rules, TierRule

A_YEAR_OF_MONTHS = 12


@dataclass
class Standing:
    """One customer's state, locked while it is changed. Points are hundredths."""

    customer_id: int
    balance: int = 0
    earned: int = 0
    tier_id: int | None = None
    tier_entered_at: datetime | None = None
    tier_expires_at: datetime | None = None
    tier_review_at: datetime | None = None
    card_status: str = CardStatus.NOT_INSTALLED.value
    on_ios: bool = False
    on_android: bool = False
    pos_scans: int = 0
    last_pos_scan_at: datetime | None = None
    verified_at: datetime | None = None
    changed: bool = False

    def change(self, **values: Any) -> None:
        for name, value in values.items():
            if getattr(self, name) != value:
                setattr(self, name, value)
                self.changed = True

    def state(self) -> dict[str, Any]:
        """The columns of the customer's row, in the order of `STATE`."""
        return {name: getattr(self, name) for name in STATE}


STATE = tuple(name for name in Standing.__dataclass_fields__ if name not in ("customer_id", "changed"))


@dataclass(frozen=True)
class Earning:
    """Points that were added once; `points` in hundredths."""

    occurred_at: datetime
    points: int


# --- tiers ---------------------------------------------------------------------------------------


def add_months(moment: datetime, months: int) -> datetime:
    """The same day so many months later; the month's last day where it has no such day."""
    years, month = divmod(moment.month - 1 + months, A_YEAR_OF_MONTHS)
    year, month = moment.year + years, month + 1
    return moment.replace(year=year, month=month, day=min(moment.day, monthrange(year, month)[1]))


def counts_since(rules: Rules, moment: datetime) -> datetime | None:
    """Where the period begins whose earnings count at this moment; None where all of them do."""
    if rules.basis is TierBasis.EARNED_12_MONTHS:
        return add_months(moment, -A_YEAR_OF_MONTHS)
    if rules.basis is TierBasis.EARNED_CALENDAR_YEAR:
        return _new_year(rules, moment.astimezone(rules.zone).year)
    return None


def _new_year(rules: Rules, year: int) -> datetime:
    return datetime(year, 1, 1, tzinfo=rules.zone).astimezone(UTC)


def score(rules: Rules, standing: Standing, earnings: Sequence[Earning], moment: datetime) -> int:
    """The points that decide about the tier. `earnings` are needed, by rising time, where only a period's count."""
    if rules.basis is TierBasis.BALANCE:
        return max(0, standing.balance)  # whoever owes points is still in the first tier
    since = counts_since(rules, moment)
    if since is None:
        return standing.earned
    return sum(earning.points for earning in earnings if since <= earning.occurred_at <= moment)


def follow_tier(
    rules: Rules, standing: Standing, earnings: Sequence[Earning], moment: datetime
) -> tuple[TierRule | None, TierRule | None] | None:
    """Put the customer into the tier that the rules give at this moment: (before, after) where that is another one."""
    before = rules.tier(standing.tier_id)
    wanted = rules.tier_for(score(rules, standing, earnings, moment))
    after = tier_after(rules, standing, wanted, moment)
    if after is not before or (after is None) != (standing.tier_id is None):
        standing.change(
            tier_id=after and after.id,
            tier_entered_at=moment if after else None,
            tier_expires_at=_expiry(after, moment),
        )
    elif _is_over(standing, moment) or (standing.tier_expires_at is None) != (_expiry(after, moment) is None):
        # Also where the tier has got months, or has none any more, since the customer entered it.
        standing.change(tier_expires_at=_expiry(after, moment))
    review_at = _review(rules, standing, earnings, moment)
    if review_at != standing.tier_review_at:
        standing.change(tier_review_at=review_at)
    return (before, after) if after is not before else None


def tier_after(rules: Rules, standing: Standing, wanted: TierRule | None, moment: datetime) -> TierRule | None:
    """The tier at this moment of a customer whose points are enough for the one that is `wanted`."""
    before = rules.tier(standing.tier_id)
    return wanted if _may_change(rules, standing, before, wanted, moment) else before


def _may_change(
    rules: Rules, standing: Standing, before: TierRule | None, wanted: TierRule | None, moment: datetime
) -> bool:
    if before is None or before in rules.former or (wanted is not None and wanted.threshold > before.threshold):
        return True
    if rules.loss is TierLoss.AT_ONCE:
        # A tier that is valid for a time is kept for that time.
        return not before.valid_months or standing.tier_expires_at is None or _is_over(standing, moment)
    return rules.loss is TierLoss.AT_EXPIRY and bool(before.valid_months) and _is_over(standing, moment)


def _is_over(standing: Standing, moment: datetime) -> bool:
    return standing.tier_expires_at is not None and standing.tier_expires_at <= moment


def _expiry(tier: TierRule | None, moment: datetime) -> datetime | None:
    return add_months(moment, tier.valid_months) if tier and tier.valid_months else None


def _review(rules: Rules, standing: Standing, earnings: Sequence[Earning], moment: datetime) -> datetime | None:
    """When the tier, or how far it is to the next one, may change by time alone."""
    leave_at = _points_leave_at(rules, standing, earnings, moment) if rules.by_period else None
    expires_at = standing.tier_expires_at
    return min(leave_at, expires_at) if leave_at and expires_at else leave_at or expires_at


def _points_leave_at(
    rules: Rules, standing: Standing, earnings: Sequence[Earning], moment: datetime
) -> datetime | None:
    """When points leave the period that counts, whatever the rules make of that."""
    since = counts_since(rules, moment)
    oldest = next((each for each in earnings if since is not None and each.occurred_at >= since), None)
    if rules.basis is TierBasis.EARNED_CALENDAR_YEAR and (oldest or standing.tier_id is not None):
        return _new_year(rules, moment.astimezone(rules.zone).year + 1)
    if rules.basis is TierBasis.EARNED_12_MONTHS and oldest:
        return add_months(oldest.occurred_at, A_YEAR_OF_MONTHS) + timedelta(seconds=1)
    return None


# --- signals -------------------------------------------------------------------------------------


def next_tier(rules: Rules, standing: Standing, points: int) -> tuple[TierRule, int] | None:
    """The tier above the customer's, and how many hundredths of points are missing."""
    tier = rules.tier_above(rules.tier(standing.tier_id))
    return (tier, max(0, tier.threshold - points)) if tier else None


def rewards_within(rules: Rules, balance: int) -> int:
    """How many rewards the balance is enough for."""
    return bisect_right(rules.costs, balance)


def next_reward(rules: Rules, balance: int) -> RewardRule | None:
    """The cheapest reward that the balance is not yet enough for."""
    place = rewards_within(rules, balance)
    return rules.rewards[place] if place < len(rules.rewards) else None


def signals(rules: Rules, standing: Standing, points: int) -> dict[str, Any]:
    """The common properties of an event, `source` apart. `points` is the customer's score; what is not known is left out."""
    told: dict[str, Any] = {"balance": to_number(standing.balance)}
    if present := rules.tier(standing.tier_id):
        told["tier"] = present.name
    if above := next_tier(rules, standing, points):
        told |= {"next_tier": above[0].name, "points_to_next_tier": to_number(above[1])}
    if reward := next_reward(rules, standing.balance):
        told |= {
            "next_reward": reward.name,
            "points_to_next_reward": to_number(reward.cost - standing.balance),
        }
    if rules.rewards:
        told["rewards_available"] = rewards_within(rules, standing.balance)
    told["wallet_pass_status"] = standing.card_status
    return told
