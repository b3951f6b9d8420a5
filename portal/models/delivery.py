"""The outbox: what is promised to Klaviyo, the calls that carried it, and the counts behind the status panel."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, String, Text, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db import BigId, Model, UtcDateTime
from portal.models.event import Event


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


def in_state(delivery: Any, state: DeliveryState) -> ColumnElement[bool]:
    """The state as a literal: with a parameter in its place neither database would use the partial indexes below."""
    same: ColumnElement[bool] = delivery.state == literal_column(f"'{state.value}'")
    return same


_PENDING = text("state = 'pending'")
_DEAD = text("state = 'dead'")


class Delivery(Model):
    """One row is the promise to deliver one event; it shares the event's id. `due_at` is schedule, lease and backoff at once."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("ix_deliveries_pending", "merchant_id", "id", sqlite_where=_PENDING, postgresql_where=_PENDING),
        Index("ix_deliveries_pending_customer", "customer_id", "id", sqlite_where=_PENDING, postgresql_where=_PENDING),
        Index("ix_deliveries_dead", "merchant_id", "id", sqlite_where=_DEAD, postgresql_where=_DEAD),
    )

    id: Mapped[int] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(BigId)
    customer_id: Mapped[int] = mapped_column(BigId)
    state: Mapped[DeliveryState] = mapped_column(String(10))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    # Drawn anew at every claim: a late worker's lease no longer matches and changes nothing.
    lease: Mapped[int | None] = mapped_column(BigId)
    # Frozen JSON: the profile's one identifier, and the event's attributes. A repeat is byte-identical.
    profile: Mapped[str] = mapped_column(Text)
    payload: Mapped[str] = mapped_column(Text)
    # Ids of the calls that carried it, oldest first, each followed by a space.
    calls: Mapped[str] = mapped_column(Text, default="")
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # In our words, for a person.
    reason: Mapped[str | None] = mapped_column(String(500))
    event: Mapped[Event] = relationship()

    @property
    def call_ids(self) -> list[int]:
        return [int(call_id) for call_id in self.calls.split()]


class Call(Model):
    """One row is one request to Klaviyo that carried deliveries, with what came back. Never a token."""

    __tablename__ = "calls"
    __table_args__ = (Index("ix_calls_merchant_id_started_at", "merchant_id", "started_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    duration_ms: Mapped[int] = mapped_column()
    method: Mapped[str] = mapped_column(String(8))
    path: Mapped[str] = mapped_column(String(200))
    items: Mapped[int] = mapped_column()
    # HTTP status; none where no answer came, and then `failure` says why.
    status: Mapped[int | None] = mapped_column()
    failure: Mapped[str | None] = mapped_column(String(200))
    # The first part of the answer.
    answer: Mapped[str] = mapped_column(Text, default="")


# Upper ends in seconds of the lag histogram's buckets; the last one is open.
LAG_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 3600.0)


class DeliveryMinute(Model):
    """One row is what happened in one minute for one merchant: counts, so that the panel never counts rows.

    `lag_0` to `lag_10` count deliveries by seconds from the event's arrival here to Klaviyo's answer (`LAG_BUCKETS`).
    """

    __tablename__ = "delivery_minutes"

    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"), primary_key=True)
    minute: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    delivered: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    retried: Mapped[int] = mapped_column(default=0)
    throttled: Mapped[int] = mapped_column(default=0)
    lag_0: Mapped[int] = mapped_column(default=0)
    lag_1: Mapped[int] = mapped_column(default=0)
    lag_2: Mapped[int] = mapped_column(default=0)
    lag_3: Mapped[int] = mapped_column(default=0)
    lag_4: Mapped[int] = mapped_column(default=0)
    lag_5: Mapped[int] = mapped_column(default=0)
    lag_6: Mapped[int] = mapped_column(default=0)
    lag_7: Mapped[int] = mapped_column(default=0)
    lag_8: Mapped[int] = mapped_column(default=0)
    lag_9: Mapped[int] = mapped_column(default=0)
    lag_10: Mapped[int] = mapped_column(default=0)
