"""Events that show a merchant that all works: tests they send themselves, and the examples of the first connection."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db import Model, UtcDateTime
from portal.models.event import Event


class Trial(Model):
    """One row is a test event, which goes the road of every event; `seen_at` is when it was read back from Klaviyo."""

    __tablename__ = "trials"
    __table_args__ = (Index("ix_trials_merchant_id_event_id", "merchant_id", "event_id"),)

    event_id: Mapped[int] = mapped_column(
        ForeignKey("events.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    event: Mapped[Event] = relationship()


class Examples(Model):
    """One row is what a merchant decided about examples in one Klaviyo account; `due_at` is schedule and lease, empty when done."""

    __tablename__ = "examples"
    __table_args__ = (Index("ix_examples_due_at", "due_at"),)

    merchant_id: Mapped[int] = mapped_column(
        ForeignKey("merchants.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    klaviyo_account_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    wanted: Mapped[bool] = mapped_column()
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
