"""What is left of customers who were erased: nothing that tells who they were."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.crypto import EncryptedText
from portal.db import BigId, Model, UtcDateTime


class Erasure(Model):
    """One row is somebody whom Klaviyo has yet to be told to erase; it goes when Klaviyo has been told.

    `due_at` is schedule and lease, and empty where Klaviyo has refused: then a person decides.
    """

    __tablename__ = "erasures"
    __table_args__ = (Index("ix_erasures_due_at", "due_at"), Index("ix_erasures_merchant_id", "merchant_id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    klaviyo_account_id: Mapped[str] = mapped_column(String(64))
    # The one identifier by which Klaviyo knows them, as JSON of the request's profile.
    profile_sealed: Mapped[str | None] = mapped_column(Text)
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    # Why it could not be passed on yet, in our words, for a person.
    problem: Mapped[str | None] = mapped_column(String(500))

    profile = EncryptedText("profile_sealed")


class ErasedEvent(Model):
    """One row is the hash of an event's id whose customer was erased: a repeat of it is still a repeat, and makes nobody anew."""

    __tablename__ = "erased_events"

    merchant_id: Mapped[int] = mapped_column(
        ForeignKey("merchants.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    id_hash: Mapped[bytes] = mapped_column(LargeBinary(16), primary_key=True)


class ErasedIdentifier(Model):
    """One row is the hash of an identifier of somebody who was erased while a file of history waited: its rows do not bring them back.

    It goes with the last such file, which would tell more than it does.
    """

    __tablename__ = "erased_identifiers"

    merchant_id: Mapped[int] = mapped_column(
        ForeignKey("merchants.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    id_hash: Mapped[bytes] = mapped_column(LargeBinary(16), primary_key=True)
    erased_at: Mapped[datetime] = mapped_column(UtcDateTime)
