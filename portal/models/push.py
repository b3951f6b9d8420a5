"""Pushes: what was asked for, where each went and what became of it, and the rules and refusals of a merchant's."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, SmallInteger, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db import BigId, Model, UtcDateTime, utcnow
from portal.models.customer import Customer
from portal.models.wallet_account import Wallet

PUSH_PREFIX = "psh_"


class PushState(StrEnum):
    # Not given to the card yet: it is about to be, or waits for the end of quiet hours.
    WAITING = "waiting"
    # On its way: the phone has not fetched it yet.
    SENT = "sent"
    DELIVERED = "delivered"
    SKIPPED = "skipped"
    FAILED = "failed"


class PushReason(StrEnum):
    """Why a push was skipped or failed."""

    EXPIRED = "expired"
    NO_INSTALLED_PASS = "no_installed_pass"
    SUPPRESSED = "suppressed"
    FREQUENCY_CAP = "frequency_cap"
    NOT_FETCHED = "not_fetched"
    REFUSED = "refused"
    CANCELLED = "cancelled"


class PushSource(StrEnum):
    API = "api"
    TEST = "test"
    CAMPAIGN = "campaign"


_DUE = text("due_at IS NOT NULL")


class Push(Model):
    """One row is one message for one customer. While `due_at` is set it is to be given to the card then."""

    __tablename__ = "pushes"
    __table_args__ = (
        UniqueConstraint("dedupe_key", "merchant_id"),
        Index("ix_pushes_merchant_id_id", "merchant_id", "id"),
        Index("ix_pushes_merchant_id_state_id", "merchant_id", "state", "id"),
        Index("ix_pushes_customer_id_id", "customer_id", "id"),
        Index("ix_pushes_due", "merchant_id", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"))
    source: Mapped[PushSource] = mapped_column(String(10))
    title: Mapped[str | None] = mapped_column(String(60))
    message: Mapped[str] = mapped_column(Text)
    url: Mapped[str | None] = mapped_column(String(2048))
    # Hash of what makes a repeat; emptied when it has been kept long enough, so that the same may be said again.
    dedupe_key: Mapped[str | None] = mapped_column(String(64))
    # Of the request; tells a repeat from another push under the same key.
    digest: Mapped[bytes] = mapped_column(LargeBinary(16))
    # The wallets it goes to, as they were answered, each followed by a space.
    channels: Mapped[str] = mapped_column(String(20))
    state: Mapped[PushState] = mapped_column(String(10))
    reason: Mapped[PushReason | None] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # When a person last let it be tried again.
    retried_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    customer: Mapped[Customer] = relationship()

    @property
    def public_id(self) -> str:
        return f"{PUSH_PREFIX}{self.id}"

    @property
    def wallets(self) -> list[Wallet]:
        return [Wallet(name) for name in self.channels.split()]

    @property
    def is_settled(self) -> bool:
        return self.state not in (PushState.WAITING, PushState.SENT)


class PushTarget(Model):
    """One row is a push in one wallet; `due_at` is schedule, lease and backoff, of the call to Google or of the look whether
    a phone has fetched it.
    """

    __tablename__ = "push_targets"
    __table_args__ = (
        Index("ix_push_targets_due", "merchant_id", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),
        Index("ix_push_targets_card_id_wallet_settled_at", "card_id", "wallet", "settled_at"),
    )

    push_id: Mapped[int] = mapped_column(ForeignKey("pushes.id", ondelete="CASCADE"), primary_key=True)
    wallet: Mapped[Wallet] = mapped_column(String(10), primary_key=True)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    card_id: Mapped[int] = mapped_column(ForeignKey("cards.id", ondelete="CASCADE"))
    # Of the `card_messages` row.
    message_id: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[PushState] = mapped_column(String(10))
    reason: Mapped[PushReason | None] = mapped_column(String(20))
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    # Google showed a notification for it, or was asked to; the limit of three a day goes by it.
    notifies: Mapped[bool] = mapped_column(default=True)
    # What was answered last, in words.
    answer: Mapped[str | None] = mapped_column(String(500))
    sent_at: Mapped[datetime] = mapped_column(UtcDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PushRules(Model):
    """One row is how a merchant wants pushes to behave; without one, as the defaults say."""

    __tablename__ = "push_rules"

    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"), primary_key=True)
    # No push is taken at all.
    paused: Mapped[bool] = mapped_column(default=False)
    # Minutes after midnight in the merchant's zone; both empty: no quiet hours.
    quiet_from: Mapped[int | None] = mapped_column(SmallInteger)
    quiet_until: Mapped[int | None] = mapped_column(SmallInteger)
    # At most so many for a customer in 24 hours; empty: no cap.
    most_per_day: Mapped[int | None] = mapped_column(SmallInteger)
    tells_klaviyo: Mapped[bool] = mapped_column(default=False)


class PushSuppression(Model):
    """One row is a customer who gets no pushes."""

    __tablename__ = "push_suppressions"

    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"), primary_key=True)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"), index=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    by: Mapped[str] = mapped_column(String(254), default="")
    # Why, in the words of whoever did it.
    reason: Mapped[str] = mapped_column(String(200), default="")
    customer: Mapped[Customer] = relationship()


class PushRefusal(Model):
    """One row is a kind of refusal of push requests of a merchant's, with the last of them; only so many kinds are kept."""

    __tablename__ = "push_refusals"

    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"), primary_key=True)
    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    # The part at fault; empty where it is about none.
    field: Mapped[str] = mapped_column(String(60), primary_key=True)
    status: Mapped[int] = mapped_column(SmallInteger)
    message: Mapped[str] = mapped_column(String(500))
    times: Mapped[int] = mapped_column(default=1)
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)
