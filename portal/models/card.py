"""Loyalty cards: how a merchant's cards look, each customer's card, and what it shows.

What a card shows is told apart by versions, which come from a sequence and never from a clock.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.crypto import EncryptedText
from portal.db import BigId, Model, UtcDateTime, utcnow
from portal.models.customer import Customer

TOKEN_CHARACTERS = 32


def new_serial() -> str:
    """What phones know a card by; says nothing about the customer."""
    return secrets.token_hex(10)


def new_card_token() -> str:
    return secrets.token_hex(TOKEN_CHARACTERS // 2)


class CardPicture(Model):
    """One row is a picture of a merchant's, drawn in the three sizes that phones ask for. Never changed: designs refer to it."""

    __tablename__ = "card_pictures"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"), index=True)
    slot: Mapped[str] = mapped_column(String(10))
    # PNG for screens of one, two and three pixels a point.
    small: Mapped[bytes] = mapped_column(LargeBinary)
    medium: Mapped[bytes] = mapped_column(LargeBinary)
    large: Mapped[bytes] = mapped_column(LargeBinary)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)


class CardDesign(Model):
    """One row is one version of how a merchant's cards look; the newest is the one in use. Never changed."""

    __tablename__ = "card_designs"
    __table_args__ = (UniqueConstraint("merchant_id", "number"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column()
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    made_by: Mapped[str] = mapped_column(String(254), default="")
    # Colours as #rrggbb.
    background: Mapped[str] = mapped_column(String(7))
    foreground: Mapped[str] = mapped_column(String(7))
    label: Mapped[str] = mapped_column(String(7))
    organisation: Mapped[str] = mapped_column(String(100))
    logo_text: Mapped[str] = mapped_column(String(40))
    balance_label: Mapped[str] = mapped_column(String(30))
    tier_label: Mapped[str] = mapped_column(String(30))
    next_tier_label: Mapped[str] = mapped_column(String(30))
    next_reward_label: Mapped[str] = mapped_column(String(30))
    # What a phone says when the balance changes, with %@ for the new one; empty: nothing.
    balance_message: Mapped[str] = mapped_column(String(100))
    icon_id: Mapped[int | None] = mapped_column(ForeignKey("card_pictures.id"))
    logo_id: Mapped[int | None] = mapped_column(ForeignKey("card_pictures.id"))
    strip_id: Mapped[int | None] = mapped_column(ForeignKey("card_pictures.id"))
    # Ids of `card_links`, in the order in which they are shown.
    link_ids: Mapped[list[int]] = mapped_column(JSON)
    # [{"latitude", "longitude", "text"}]
    locations: Mapped[list[dict[str, Any]]] = mapped_column(JSON)


class CardLink(Model):
    """One row is a link on a merchant's cards. Its address never changes: a card that is not fetched anew leads where it said."""

    __tablename__ = "card_links"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"), index=True)
    label: Mapped[str] = mapped_column(String(60))
    url: Mapped[str] = mapped_column(String(2000))
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)


_DUE = text("due_at IS NOT NULL")
_WAITING = text("version IS NULL")


class Card(Model):
    """One row is a customer's card, whatever wallets it is in. Serial and token never change: phones could not update it."""

    __tablename__ = "cards"
    __table_args__ = (
        Index("ix_cards_merchant_id_id", "merchant_id", "id"),
        Index("ix_cards_due", "merchant_id", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"), unique=True)
    serial: Mapped[str] = mapped_column(String(32), unique=True, default=new_serial)
    token_sealed: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    # From `card_sequence`; 0 until the card is first shown.
    version: Mapped[int] = mapped_column(BigInteger, default=0)
    # When it became this version, in whole seconds and always later than before: phones compare it to the second.
    modified_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # What this version shows, as `services/card_face.py` has it.
    face: Mapped[dict[str, Any]] = mapped_column(JSON)
    # What it shows may be out of date; looked at then. Empty when there is nothing to look at.
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The version of the file that was last handed out by the download link.
    issued_version: Mapped[int] = mapped_column(BigInteger, default=0)
    voided: Mapped[bool] = mapped_column(default=False)
    # How often it came onto a first phone, and left the last: tells one such event from the next.
    installs: Mapped[int] = mapped_column(default=0)
    customer: Mapped[Customer] = relationship()

    token = EncryptedText("token_sealed")


class CardMessage(Model):
    """One row is a message for one card. It waits until a version of its own shows it, and stays as what was said."""

    __tablename__ = "card_messages"
    __table_args__ = (
        Index("ix_card_messages_card_id_id", "card_id", "id"),
        Index("ix_card_messages_waiting", "card_id", "id", sqlite_where=_WAITING, postgresql_where=_WAITING),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    card_id: Mapped[int] = mapped_column(ForeignKey("cards.id", ondelete="CASCADE"))
    text: Mapped[str] = mapped_column(Text)
    url: Mapped[str | None] = mapped_column(String(2000))
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    # The card's version that was the first to show it.
    version: Mapped[int | None] = mapped_column(BigInteger)
    shown_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class CardSequence(Model):
    """The one row is the last version that any card was given. Held until the commit, so that versions appear in their order."""

    __tablename__ = "card_sequence"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column(BigInteger)
