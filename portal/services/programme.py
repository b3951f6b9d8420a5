"""Changing the rules of a programme: tiers, rewards, points. Every change draws a new version, and lets customers be looked at again
where it may concern them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select

from portal.db import db, new_id, utcnow
from portal.errors import ConflictError, InvalidError, NotFoundError
from portal.models import Channel, FormerTier, Programme, Reward, Rounding, Tier, TierBasis, TierLoss
from portal.services import reviewing
from portal.services.rules import Rules, TierRule

MOST_TIERS = 10
CHANGED_MEANWHILE = "Somebody changed the programme in the meantime, and nothing was saved. Look at it again."


def programme_of(merchant_id: int, *, lock: bool = False) -> Programme:
    """As it is now; with `lock`, and stays until the transaction ends."""
    query = select(Programme).where(Programme.merchant_id == merchant_id).execution_options(populate_existing=True)
    return db.session.scalars(query.with_for_update() if lock else query).one()


# --- tiers ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TierPlan:
    """How tiers shall be: those that are there keep their ids, and a new one has none yet."""

    basis: TierBasis
    loss: TierLoss
    tiers: Sequence[TierRule]

    def rules(self, present: Rules) -> Rules:
        """The rules as they would be."""
        kept = {tier.id for tier in self.tiers}
        removed = tuple(tier for tier in (*present.tiers, *present.former) if tier.id not in kept)
        return Rules(
            basis=self.basis,
            loss=self.loss,
            tiers=tuple(self.tiers),
            rewards=present.rewards,
            welcome_points=present.welcome_points,
            referral_points=present.referral_points,
            zone=present.zone,
            former=removed,
            withdrawn=present.withdrawn,
        )


def tiers_of(merchant_id: int) -> Sequence[Tier]:
    return db.session.scalars(select(Tier).where(Tier.merchant_id == merchant_id).order_by(Tier.threshold)).all()


def save_tiers(merchant_id: int, plan: TierPlan, version: int) -> None:
    """Raises `ConflictError` where the programme is no longer the one that was looked at."""
    programme = programme_of(merchant_id, lock=True)
    if programme.version != version:
        raise ConflictError(CHANGED_MEANWHILE)
    programme.tier_basis, programme.tier_loss = plan.basis, plan.loss
    kept = {tier.id for tier in plan.tiers}
    for tier in tiers_of(merchant_id):
        if tier.id not in kept:
            db.session.add(FormerTier(id=tier.id, merchant_id=merchant_id, name=tier.name, threshold=tier.threshold))
        db.session.expunge(tier)
    # Taken away and put back: on the way from one order to another two would have the same name or threshold.
    db.session.execute(delete(Tier).where(Tier.merchant_id == merchant_id))
    for rule in plan.tiers:
        db.session.add(
            Tier(
                id=rule.id if rule.id > 0 else new_id(),
                merchant_id=merchant_id,
                name=rule.name,
                threshold=rule.threshold,
                valid_months=rule.valid_months,
            )
        )
    db.session.flush()
    reviewing.begin(merchant_id)


# --- points --------------------------------------------------------------------------------------


def save_points(
    merchant_id: int, *, points_per_unit: int, rounding: Rounding, currency: str, welcome: int, referral: int
) -> None:
    """Points in hundredths. What customers have already stays as it is."""
    programme = programme_of(merchant_id, lock=True)
    programme.points_per_unit, programme.rounding, programme.currency = points_per_unit, rounding, currency
    programme.welcome_points, programme.referral_points = welcome, referral
    programme.version = new_id()


# --- rewards -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RewardPlan:
    """How a reward shall be; `cost` in hundredths of points."""

    code: str
    name: str
    cost: int
    channel: Channel
    most_per_customer: int | None
    most_in_all: int | None


def rewards_of(merchant_id: int) -> Sequence[Reward]:
    """Those on offer by rising cost, and then those that were withdrawn."""
    query = select(Reward).where(Reward.merchant_id == merchant_id)
    return db.session.scalars(query.order_by(Reward.withdrawn_at.is_not(None), Reward.cost, Reward.code)).all()


def reward_of(merchant_id: int, reward_id: int) -> Reward:
    """Raises `NotFoundError`."""
    reward = db.session.scalar(select(Reward).where(Reward.merchant_id == merchant_id, Reward.id == reward_id))
    if reward is None:
        raise NotFoundError("There is no such reward.")
    return reward


def add_reward(merchant_id: int, plan: RewardPlan) -> Reward:
    """Raises `InvalidError` that names the field."""
    _check_code(merchant_id, plan.code)
    reward = Reward(id=new_id(), merchant_id=merchant_id)
    _fill(reward, plan)
    db.session.add(reward)
    db.session.flush()
    reviewing.begin(merchant_id)
    return reward


def change_reward(merchant_id: int, reward_id: int, plan: RewardPlan) -> Reward:
    """Raises `NotFoundError`, or `InvalidError` that names the field."""
    reward = reward_of(merchant_id, reward_id)
    _check_code(merchant_id, plan.code, reward_id)
    _fill(reward, plan)
    db.session.flush()
    reviewing.begin(merchant_id)
    return reward


def offer_reward(merchant_id: int, reward_id: int, on_offer: bool) -> Reward:
    """Withdraw it, or put it back on offer. Past redemptions stay."""
    reward = reward_of(merchant_id, reward_id)
    if on_offer != (reward.withdrawn_at is None):
        reward.withdrawn_at = None if on_offer else utcnow()
        db.session.flush()
        reviewing.begin(merchant_id)
    return reward


def _fill(reward: Reward, plan: RewardPlan) -> None:
    reward.code, reward.name, reward.cost, reward.channel = plan.code, plan.name, plan.cost, plan.channel
    reward.most_per_customer, reward.most_in_all = plan.most_per_customer, plan.most_in_all


def _check_code(merchant_id: int, code: str, own_id: int | None = None) -> None:
    taken = db.session.scalar(select(Reward).where(Reward.merchant_id == merchant_id, Reward.code == code))
    if taken is not None and taken.id != own_id:
        where = "a withdrawn reward, which you can offer again" if taken.withdrawn_at else "another reward"
        raise InvalidError(f"The id {code} already belongs to {where}: {taken.name}. Choose another id.", field="code")
