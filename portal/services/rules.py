"""The rules of a programme as the recording of events reads them: tiers and rewards in order, kept until they change."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

from sqlalchemy import select

from portal.db import db
from portal.models import Channel, FormerTier, Merchant, Programme, Reward, Tier, TierBasis, TierLoss


@dataclass(frozen=True)
class TierRule:
    """`threshold` in hundredths of points."""

    id: int
    name: str
    threshold: int
    valid_months: int | None


@dataclass(frozen=True)
class RewardRule:
    """A reward that can be redeemed now; `cost` in hundredths of points."""

    id: int
    code: str
    name: str
    cost: int
    channel: Channel
    most_per_customer: int | None
    most_in_all: int | None


@dataclass(frozen=True)
class WithdrawnReward:
    """A reward that could be redeemed until then; what happened before may still be told."""

    code: str
    name: str
    cost: int
    withdrawn_at: datetime


@dataclass(frozen=True)
class Rules:
    """Tiers by rising threshold, rewards by rising cost."""

    basis: TierBasis
    loss: TierLoss
    tiers: tuple[TierRule, ...]
    rewards: tuple[RewardRule, ...]
    welcome_points: int
    referral_points: int
    zone: ZoneInfo
    # Tiers that were removed, as long as somebody may still be in one.
    former: tuple[TierRule, ...] = ()
    withdrawn: tuple[WithdrawnReward, ...] = ()

    @cached_property
    def by_period(self) -> bool:
        """Only what was earned in some period counts for the tier."""
        return self.basis in (TierBasis.EARNED_12_MONTHS, TierBasis.EARNED_CALENDAR_YEAR)

    @cached_property
    def _by_id(self) -> dict[int | None, TierRule]:
        return {tier.id: tier for tier in (*self.former, *self.tiers)}

    @cached_property
    def costs(self) -> tuple[int, ...]:
        """Of the rewards, in their order."""
        return tuple(reward.cost for reward in self.rewards)

    @cached_property
    def _thresholds(self) -> tuple[int, ...]:
        return tuple(tier.threshold for tier in self.tiers)

    def tier(self, tier_id: int | None) -> TierRule | None:
        return self._by_id.get(tier_id)

    def tier_for(self, points: int) -> TierRule | None:
        """The highest that so many points are enough for."""
        place = bisect_right(self._thresholds, points)
        return self.tiers[place - 1] if place else None

    def tier_above(self, tier: TierRule | None) -> TierRule | None:
        """The next one up; the first, for who is in none."""
        place = bisect_right(self._thresholds, tier.threshold) if tier else 0
        return self.tiers[place] if place < len(self.tiers) else None

    def reward(self, code: str) -> RewardRule | None:
        return next((reward for reward in self.rewards if reward.code == code), None)

    def withdrawn_reward(self, code: str) -> WithdrawnReward | None:
        return next((reward for reward in self.withdrawn if reward.code == code), None)


# A version is drawn anew at every change and never comes back, not even after a rollback: what is kept under it stays right.
@lru_cache(maxsize=1_000)
def rules_of(merchant_id: int, version: int) -> Rules:
    """The merchant's rules as of this version of the programme, which the caller has read in its transaction."""
    basis, loss, welcome, referral, zone = db.session.execute(
        select(
            Programme.tier_basis,
            Programme.tier_loss,
            Programme.welcome_points,
            Programme.referral_points,
            Merchant.timezone,
        )
        .join(Merchant, Merchant.id == Programme.merchant_id)
        .where(Programme.merchant_id == merchant_id)
    ).one()
    tiers = db.session.execute(
        select(Tier.id, Tier.name, Tier.threshold, Tier.valid_months)
        .where(Tier.merchant_id == merchant_id)
        .order_by(Tier.threshold)
    )
    former = db.session.execute(
        select(FormerTier.id, FormerTier.name, FormerTier.threshold).where(FormerTier.merchant_id == merchant_id)
    )
    rewards = db.session.execute(
        select(
            Reward.id,
            Reward.code,
            Reward.name,
            Reward.cost,
            Reward.channel,
            Reward.most_per_customer,
            Reward.most_in_all,
        )
        .where(Reward.merchant_id == merchant_id, Reward.withdrawn_at.is_(None))
        .order_by(Reward.cost, Reward.code)
    )
    return Rules(
        basis=TierBasis(basis),
        loss=TierLoss(loss),
        tiers=tuple(TierRule(*row) for row in tiers),
        rewards=tuple(RewardRule(*row) for row in rewards),
        welcome_points=welcome,
        referral_points=referral,
        zone=ZoneInfo(zone),
        former=tuple(TierRule(*row, valid_months=None) for row in former),
        withdrawn=_withdrawn(merchant_id),
    )


def _withdrawn(merchant_id: int) -> tuple[WithdrawnReward, ...]:
    query = select(Reward.code, Reward.name, Reward.cost, Reward.withdrawn_at)
    gone = query.where(Reward.merchant_id == merchant_id, Reward.withdrawn_at.is_not(None))
    return tuple(WithdrawnReward(code, name, cost, at) for code, name, cost, at in db.session.execute(gone) if at)


def current_rules(merchant_id: int) -> Rules:
    """As they are in this transaction."""
    version = db.session.scalar(select(Programme.version).where(Programme.merchant_id == merchant_id))
    if version is None:
        raise LookupError(f"merchant {merchant_id} has no programme")
    return rules_of(merchant_id, version)
