"""What Klaviyo has been told about customers beside their events: the `jericommerce_` properties of their profiles."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import BigId, Model, UtcDateTime

_DUE = text("due_at IS NOT NULL")


class ProfileSync(Model):
    """One row is a customer whose profile is kept in step; `due_at` is schedule, lease and backoff, and empty when nothing is due."""

    __tablename__ = "profile_syncs"
    __table_args__ = (Index("ix_profile_syncs_due", "merchant_id", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),)

    customer_id: Mapped[int] = mapped_column(
        ForeignKey("customers.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    merchant_id: Mapped[int] = mapped_column(BigInteger)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Counts the customer's changes: what changed while a call was under way is due again afterwards.
    revision: Mapped[int] = mapped_column(default=0)
    lease: Mapped[int | None] = mapped_column(BigId)
    attempts: Mapped[int] = mapped_column(default=0)
    # JSON of what Klaviyo last took.
    sent: Mapped[str | None] = mapped_column(Text)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Why Klaviyo refused it, in our words, for a person.
    problem: Mapped[str | None] = mapped_column(String(500))
    problem_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
