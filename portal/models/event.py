"""What happened to customers, as the merchant told it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db import BigId, Model, UtcDateTime
from portal.models.customer import Customer


class Unsent(StrEnum):
    """Why an event was recorded and not sent."""

    NOT_CONNECTED = "not_connected"
    MODULE_OFF = "module_off"
    TYPE_OFF = "type_off"
    UNREACHABLE = "unreachable"
    # It was to be sent, failed for good, and its delivery is no longer kept.
    GIVEN_UP = "given_up"


_UNSENT = text("unsent IS NOT NULL")


class Event(Model):
    """One row is one wallet event. It is written once; only `unsent` changes, when it is sent after all, or is given up."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("event_id", "merchant_id"),
        Index("ix_events_merchant_id_id", "merchant_id", "id"),
        Index("ix_events_merchant_id_type_id", "merchant_id", "type", "id"),
        Index("ix_events_customer_id_id", "customer_id", "id"),
        Index("ix_events_unsent", "merchant_id", "id", sqlite_where=_UNSENT, postgresql_where=_UNSENT),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    # The merchant's own id: the idempotency key, and `unique_id` at Klaviyo.
    event_id: Mapped[str] = mapped_column(String(200))
    type: Mapped[str] = mapped_column(String(40))
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"))
    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # JSON object, as it was told.
    properties: Mapped[str] = mapped_column(Text)
    # Of the whole event as told; tells a repeat from a conflict.
    digest: Mapped[bytes] = mapped_column(LargeBinary(16))
    unsent: Mapped[Unsent | None] = mapped_column(String(20))
    customer: Mapped[Customer] = relationship()
