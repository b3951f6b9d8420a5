"""What a merchant has at Apple and at Google: certificate and service account, how they fare, and the cards as Google has them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.crypto import EncryptedText
from portal.db import Model, UtcDateTime, utcnow

_DUE = text("due_at IS NOT NULL")


class Wallet(StrEnum):
    APPLE = "apple"
    GOOGLE = "google"


class AppleCertificate(Model):
    """One row is the certificate that a merchant brought; without one, the portal's own is used."""

    __tablename__ = "apple_certificates"

    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"), primary_key=True)
    certificate_pem: Mapped[str] = mapped_column(Text)
    intermediate_pem: Mapped[str] = mapped_column(Text)
    key_sealed: Mapped[str] = mapped_column(Text)
    pass_type_id: Mapped[str] = mapped_column(String(100))
    team_id: Mapped[str] = mapped_column(String(40))
    fingerprint: Mapped[str] = mapped_column(String(64))
    not_after: Mapped[datetime] = mapped_column(UtcDateTime)
    uploaded_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    uploaded_by: Mapped[str] = mapped_column(String(254), default="")

    key_pem = EncryptedText("key_sealed")


class GoogleAccount(Model):
    """One row is the service account that a merchant brought; without one, the portal's own is used."""

    __tablename__ = "google_accounts"

    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"), primary_key=True)
    issuer_id: Mapped[str] = mapped_column(String(30))
    client_email: Mapped[str] = mapped_column(String(254))
    file_sealed: Mapped[str] = mapped_column(Text)
    uploaded_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    uploaded_by: Mapped[str] = mapped_column(String(254), default="")

    file = EncryptedText("file_sealed")


class WalletHealth(Model):
    """One row is how Apple or Google has been taking a merchant's calls; without one, well."""

    __tablename__ = "wallet_health"

    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"), primary_key=True)
    wallet: Mapped[Wallet] = mapped_column(String(10), primary_key=True)
    # What is wrong, in our words, for a person; empty while it only rests.
    problem: Mapped[str | None] = mapped_column(String(500))
    since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    paused_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failures_in_a_row: Mapped[int] = mapped_column(default=0)


class GoogleClass(Model):
    """One row is a merchant's programme as Google has it; `due_at` is schedule, lease and backoff."""

    __tablename__ = "google_classes"
    __table_args__ = (Index("ix_google_classes_due", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),)

    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"), primary_key=True)
    class_id: Mapped[str] = mapped_column(String(120))
    # Of what Google last took; empty until it has taken it at all.
    digest: Mapped[str] = mapped_column(String(64), default="")
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)


class GoogleCard(Model):
    """One row is a customer's card as Google has it; `due_at` is schedule, lease and backoff."""

    __tablename__ = "google_cards"
    __table_args__ = (Index("ix_google_cards_due", "merchant_id", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),)

    card_id: Mapped[int] = mapped_column(
        ForeignKey("cards.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    object_id: Mapped[str] = mapped_column(String(120), unique=True)
    class_id: Mapped[str] = mapped_column(String(120))
    # Somebody holds it in their wallet, by Google's callbacks and its own list.
    has_users: Mapped[bool] = mapped_column(default=False)
    # The card's version that Google has; 0 until it has the card at all.
    synced_version: Mapped[int] = mapped_column(BigInteger, default=0)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    # How often it was saved and removed: tells one such event from the next.
    installs: Mapped[int] = mapped_column(default=0)
    # Why Google refused it, in our words, for a person.
    problem: Mapped[str | None] = mapped_column(String(500))


class GoogleNonce(Model):
    """One row is a callback of Google's that was acted upon; a copy of it is not."""

    __tablename__ = "google_nonces"

    nonce_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, index=True)
