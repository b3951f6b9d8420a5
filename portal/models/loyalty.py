"""The loyalty programme: its rules, tiers and rewards, and the ledger of points.

Points are whole hundredths in every column (`services/points.py`), so that sums are exact.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import BigId, Model, UtcDateTime, new_id, utcnow


class TierBasis(StrEnum):
    """Which points decide about a customer's tier."""

    EARNED_EVER = "earned_ever"
    EARNED_12_MONTHS = "earned_12_months"
    EARNED_CALENDAR_YEAR = "earned_calendar_year"
    BALANCE = "balance"


class TierLoss(StrEnum):
    """When a customer who no longer has the points for a tier loses it."""

    AT_ONCE = "at_once"
    AT_EXPIRY = "at_expiry"
    NEVER = "never"


class Rounding(StrEnum):
    """What becomes of a part of a point when points follow from an amount."""

    DOWN = "down"
    NEAREST = "nearest"
    NONE = "none"


class Channel(StrEnum):
    """Where a reward can be redeemed."""

    ONLINE = "online"
    IN_STORE = "in_store"
    BOTH = "both"


class Programme(Model):
    """One row is the rules of a merchant's programme; there is one for each merchant."""

    __tablename__ = "programmes"

    merchant_id: Mapped[int] = mapped_column(
        ForeignKey("merchants.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    # Drawn anew whenever rules, tiers or rewards change, so that what was read of them can be kept for as long as it is the same.
    version: Mapped[int] = mapped_column(BigId, default=new_id)
    tier_basis: Mapped[TierBasis] = mapped_column(String(30), default=TierBasis.EARNED_EVER)
    tier_loss: Mapped[TierLoss] = mapped_column(String(20), default=TierLoss.AT_ONCE)
    # Points for one unit of money.
    points_per_unit: Mapped[int] = mapped_column(default=100)
    rounding: Mapped[Rounding] = mapped_column(String(10), default=Rounding.DOWN)
    currency: Mapped[str] = mapped_column(String(3), default="EUR")
    welcome_points: Mapped[int] = mapped_column(BigInteger, default=0)
    referral_points: Mapped[int] = mapped_column(BigInteger, default=0)
    # After a change every customer is looked at again, by rising id: how far that is. Empty when it is done.
    reviewed_to: Mapped[int | None] = mapped_column(BigId)


class Tier(Model):
    """One row is a tier: whoever has at least `threshold` points, as the programme counts them, is in it."""

    __tablename__ = "tiers"
    __table_args__ = (
        UniqueConstraint("merchant_id", "name"),
        UniqueConstraint("merchant_id", "threshold"),
        CheckConstraint("threshold >= 0", name="threshold"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(60))
    threshold: Mapped[int] = mapped_column(BigInteger)
    # How long it is kept before it is looked at anew; without, for as long as the points are there.
    valid_months: Mapped[int | None] = mapped_column()


class FormerTier(Model):
    """One row is a tier that was removed, kept until everybody who was in it has been moved: they fall from it, or rise."""

    __tablename__ = "former_tiers"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(60))
    threshold: Mapped[int] = mapped_column(BigInteger)


class Reward(Model):
    """One row is something that points can be exchanged for. One that is withdrawn stays, for its past redemptions."""

    __tablename__ = "rewards"
    __table_args__ = (UniqueConstraint("merchant_id", "code"), CheckConstraint("cost > 0", name="cost"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    # The merchant's own id of it: `reward_id` in events.
    code: Mapped[str] = mapped_column(String(60))
    name: Mapped[str] = mapped_column(String(100))
    cost: Mapped[int] = mapped_column(BigInteger)
    channel: Mapped[Channel] = mapped_column(String(10), default=Channel.BOTH)
    most_per_customer: Mapped[int | None] = mapped_column()
    most_in_all: Mapped[int | None] = mapped_column()
    redeemed: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PointsChange(Model):
    """One row is one change of one customer's balance; the balance is the sum of them. Never changed, never removed."""

    __tablename__ = "points_changes"
    __table_args__ = (Index("ix_points_changes_customer_id_occurred_at", "customer_id", "occurred_at"),)

    # Shared with the Balance changed event that tells of it, where there is one.
    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"))
    change: Mapped[int] = mapped_column(BigInteger)
    balance: Mapped[int] = mapped_column(BigInteger)
    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime)
    reason: Mapped[str] = mapped_column(String(200), default="")


class Redemption(Model):
    """One row is one reward of the catalogue that one customer redeemed; it shares the id of the event that tells of it."""

    __tablename__ = "redemptions"
    __table_args__ = (Index("ix_redemptions_customer_id_reward_id", "customer_id", "reward_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"))
    reward_id: Mapped[int] = mapped_column(ForeignKey("rewards.id", ondelete="CASCADE"), index=True)
    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime)
