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
# Pending too, in other words. PostgreSQL, whose statistics are often of an empty outbox, takes any index for any search of what is
# pending, and would look for a customer's rows among all that waits.
_UNSETTLED = text("settled_at IS NULL")


class Delivery(Model):
    """One row is the promise to deliver one event; it shares the event's id. `due_at` is schedule, lease and backoff at once."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("ix_deliveries_pending", "merchant_id", "id", sqlite_where=_PENDING, postgresql_where=_PENDING),
        Index("ix_deliveries_unsettled", "customer_id", "id", sqlite_where=_UNSETTLED, postgresql_where=_UNSETTLED),
        Index("ix_deliveries_dead", "merchant_id", "id", sqlite_where=_DEAD, postgresql_where=_DEAD),
    )

    id: Mapped[int] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(BigId)
    customer_id: Mapped[int] = mapped_column(BigId)
    state: Mapped[DeliveryState] = mapped_column(String(10))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # Tries since it was last to be tried anew; the schedule goes by them.
    attempts: Mapped[int] = mapped_column(default=0)
    attempts_before: Mapped[int] = mapped_column(default=0, server_default="0")
    # Drawn anew at every claim: a late worker's lease no longer matches and changes nothing.
    lease: Mapped[int | None] = mapped_column(BigId)
    # Frozen JSON: the profile's one identifier, and the event's attributes. A repeat is byte-identical.
    profile: Mapped[str] = mapped_column(Text)
    payload: Mapped[str] = mapped_column(Text)
    # Ids of the calls that carried it, oldest first, each followed by a space.
    calls: Mapped[str] = mapped_column(Text, default="")
    # Empty while it is pending, and never otherwise.
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # In our words, for a person.
    reason: Mapped[str | None] = mapped_column(String(500))
    event: Mapped[Event] = relationship()

    @property
    def tries(self) -> int:
        """All of them, as a person counts."""
        return self.attempts + self.attempts_before

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


class DeliveryMinute(Model):
    """One row is what happened in one minute for one merchant: counts, so that the panel never counts rows."""

    __tablename__ = "delivery_minutes"

    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"), primary_key=True)
    minute: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    delivered: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    retried: Mapped[int] = mapped_column(default=0)
    throttled: Mapped[int] = mapped_column(default=0)


# Upper ends in seconds of the lag histogram's buckets, each about half as long again as the one before; the last one is open.
# fmt: off
LAG_BUCKETS = (
    0.1, 0.15, 0.2, 0.3, 0.45, 0.7, 1.0, 1.5, 2.0, 3.0, 4.5, 7.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0,
    120.0, 180.0, 270.0, 420.0, 600.0, 900.0, 1200.0, 1800.0, 2700.0, 3600.0,
)
# fmt: on


class DeliveryLag(Model):
    """One row is how many deliveries of one minute took so long, from the event's arrival here to Klaviyo's answer.

    `bucket` is a place in `LAG_BUCKETS`, or the one after its last; a bucket that is empty has no row.
    """

    __tablename__ = "delivery_lags"

    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"), primary_key=True)
    minute: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    bucket: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    deliveries: Mapped[int] = mapped_column()
