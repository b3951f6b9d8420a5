"""Phones with Apple's Wallet, as they registered themselves, and what they complain of."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import BigId, Model, UtcDateTime, utcnow

_DUE = text("due_at IS NOT NULL")


class Device(Model):
    """One row is a phone with at least one card of a merchant's; `due_at` is when it is next woken, as schedule, lease and backoff.

    Its id may change at any time: a device is not a person, and cards are counted instead.
    """

    __tablename__ = "devices"
    __table_args__ = (
        UniqueConstraint("library_id", "pass_type_id", "merchant_id"),
        Index("ix_devices_due", "merchant_id", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    library_id: Mapped[str] = mapped_column(String(200))
    pass_type_id: Mapped[str] = mapped_column(String(100))
    push_token: Mapped[str] = mapped_column(String(200))
    registered_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    # Of the push token: Apple's "gone" counts only when it is later.
    token_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    # How often it was woken since it last fetched what is new.
    wakes: Mapped[int] = mapped_column(default=0)
    # Apple's last answer: when, what, and its reason.
    pushed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    outcome: Mapped[str | None] = mapped_column(String(20))
    reason: Mapped[str | None] = mapped_column(String(80))
    # When it last asked what is new, and the newest version it was then told of.
    listed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    offered: Mapped[int] = mapped_column(BigInteger, default=0)


class Registration(Model):
    """One row is a card on a device. A card is installed as long as there is one."""

    __tablename__ = "registrations"

    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True)
    card_id: Mapped[int] = mapped_column(ForeignKey("cards.id", ondelete="CASCADE"), primary_key=True, index=True)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    registered_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    # The version that the device has, as far as it can be told: it was offered that one, and then the card was fetched.
    fetched_version: Mapped[int] = mapped_column(BigInteger, default=0)
    fetched_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class DeviceComplaint(Model):
    """One row is a line of a device's own log about us; of whose card, where it says so."""

    __tablename__ = "device_complaints"
    __table_args__ = (Index("ix_device_complaints_merchant_id_id", "merchant_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    merchant_id: Mapped[int | None] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    card_id: Mapped[int | None] = mapped_column(ForeignKey("cards.id", ondelete="CASCADE"))
    text: Mapped[str] = mapped_column(String(1000))
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
