"""The merchant's customers."""

from __future__ import annotations

import secrets
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, SmallInteger, String, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import BigId, Model, UtcDateTime, utcnow
from portal.models.card_number import card_number

ID_PREFIX = "cus_"


class CardStatus(StrEnum):
    """Whether the customer's card is on a phone; the values are those of `jericommerce_wallet_pass_status`."""

    INSTALLED = "installed"
    UNINSTALLED = "uninstalled"
    NOT_INSTALLED = "not_installed"


def new_link_token() -> str:
    """128 bits: whoever has the link has the card."""
    return secrets.token_urlsafe(16)


_REVIEW_DUE = text("tier_review_at IS NOT NULL")
_NAMELESS = text("email IS NULL AND phone IS NULL AND klaviyo_profile_id IS NULL")
_BORN = text("birthday IS NOT NULL")


class Customer(Model):
    """One row is a person in one merchant's programme, known by at least one identifier, and where they stand in it."""

    __tablename__ = "customers"
    __table_args__ = (
        # The identifier comes first: were it the merchant, PostgreSQL might take any of the four to look for any identifier.
        UniqueConstraint("external_id", "merchant_id"),
        UniqueConstraint("email", "merchant_id"),
        UniqueConstraint("phone", "merchant_id"),
        UniqueConstraint("klaviyo_profile_id", "merchant_id"),
        Index("uq_customers_link_token", "link_token", unique=True),
        Index("ix_customers_merchant_id_id", "merchant_id", "id"),
        Index("ix_customers_merchant_id_tier_id_id", "merchant_id", "tier_id", "id"),
        Index("ix_customers_merchant_id_tier_id_card_status_id", "merchant_id", "tier_id", "card_status", "id"),
        Index("ix_customers_merchant_id_card_status_id", "merchant_id", "card_status", "id"),
        Index("ix_customers_tier_review", "tier_review_at", sqlite_where=_REVIEW_DUE, postgresql_where=_REVIEW_DUE),
        Index("ix_customers_unreachable", "merchant_id", "id", sqlite_where=_NAMELESS, postgresql_where=_NAMELESS),
        Index("ix_customers_birthday", "birthday", "id", sqlite_where=_BORN, postgresql_where=_BORN),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    # The shop's own id. Read and matched, never written to Klaviyo: it may belong to a shop connector there.
    external_id: Mapped[str | None] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(254))
    phone: Mapped[str | None] = mapped_column(String(20))
    klaviyo_profile_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)

    first_name: Mapped[str | None] = mapped_column(String(100))
    last_name: Mapped[str | None] = mapped_column(String(100))
    # Month * 100 + day. The year is not asked for: an age is never told.
    birthday: Mapped[int | None] = mapped_column(SmallInteger)
    # The year, in the merchant's time zone, whose birthday has been told.
    birthday_told_in: Mapped[int | None] = mapped_column(SmallInteger)
    # When they joined, where that was before they were known here.
    joined_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    # Hundredths of points: now, and all that was ever added.
    balance: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    earned: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    tier_id: Mapped[int | None] = mapped_column(BigId)
    tier_entered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    tier_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # When the tier, or how far it is to the next, may change without an event: it expires, or points leave the period that counts.
    tier_review_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    # The secret part of the smart link: stable, and drawn anew where the link is withdrawn.
    link_token: Mapped[str] = mapped_column(String(32), default=new_link_token, server_default="")
    card_status: Mapped[CardStatus] = mapped_column(
        String(15), default=CardStatus.NOT_INSTALLED, server_default=CardStatus.NOT_INSTALLED.value
    )
    on_ios: Mapped[bool] = mapped_column(default=False, server_default="0")
    on_android: Mapped[bool] = mapped_column(default=False, server_default="0")
    pos_scans: Mapped[int] = mapped_column(default=0, server_default="0")
    last_pos_scan_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def public_id(self) -> str:
        return f"{ID_PREFIX}{self.id}"

    @property
    def card_number(self) -> str:
        """What the card's barcode says, and staff may type."""
        return card_number(self.id)

    @property
    def label(self) -> str:
        """The identifier by which a person finds this customer again."""
        return self.email or self.phone or self.external_id or self.klaviyo_profile_id or self.public_id

    @property
    def name(self) -> str:
        """What a person calls this customer."""
        return " ".join(part for part in (self.first_name, self.last_name) if part) or self.label

    @property
    def reachable(self) -> bool:
        """Klaviyo can be told about this customer."""
        return bool(self.klaviyo_profile_id or self.email or self.phone)

    @property
    def member_since(self) -> datetime:
        return self.joined_at or self.created_at


def _by_beginning(name: str, column: str, expression: Any) -> Index:
    """An index for `services/directory.py`, which looks for what begins with a text.

    PostgreSQL can only be asked so where the order is that of the characters, whatever the database's language.
    """
    return Index(name, Customer.merchant_id, expression.label(column), postgresql_ops={column: "text_pattern_ops"})


_by_beginning("ix_customers_merchant_id_email", "email", Customer.email)
_by_beginning("ix_customers_merchant_id_phone", "phone", Customer.phone)
_by_beginning("ix_customers_merchant_id_first_name", "first_name", func.lower(Customer.first_name))
_by_beginning("ix_customers_merchant_id_last_name", "last_name", func.lower(Customer.last_name))
