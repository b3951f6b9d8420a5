"""What Klaviyo has been told about customers beside their events: the `jericommerce_` properties of their profiles."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import BigId, Model, UtcDateTime

_DUE = text("due_at IS NOT NULL")
_LEASED = text("lease IS NOT NULL")
_REFUSED = text("problem IS NOT NULL")
_OPEN = text("decided_at IS NULL")


class ProfileSync(Model):
    """One row is a customer whose profile is kept in step; `due_at` is schedule, lease and backoff, and empty when nothing is due."""

    __tablename__ = "profile_syncs"
    __table_args__ = (
        Index("ix_profile_syncs_due", "merchant_id", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),
        Index("ix_profile_syncs_lease", "lease", sqlite_where=_LEASED, postgresql_where=_LEASED),
        Index(
            "ix_profile_syncs_problem", "merchant_id", "problem_at", sqlite_where=_REFUSED, postgresql_where=_REFUSED
        ),
    )

    customer_id: Mapped[int] = mapped_column(
        ForeignKey("customers.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    merchant_id: Mapped[int] = mapped_column(BigInteger)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The customer's changes since the last claim: what changed while a call was under way is due again afterwards.
    revision: Mapped[int] = mapped_column(default=0)
    # Drawn anew at every claim. One that was never settled leaves open what Klaviyo has, so that all of it is sent again.
    lease: Mapped[int | None] = mapped_column(BigId)
    attempts: Mapped[int] = mapped_column(default=0)
    # A request with this row among others was refused without saying which row was at fault: it goes by itself.
    alone: Mapped[bool] = mapped_column(default=False, server_default="0")
    # Nothing is sent: the profile is another customer's too, and shows that one's values (`IdentityCase`).
    held: Mapped[bool] = mapped_column(default=False, server_default="0")
    # JSON of what Klaviyo last took; empty where that is not known.
    sent: Mapped[str | None] = mapped_column(Text)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Klaviyo does not take the email address: the customer is known to it by phone number, until the address is corrected.
    email_refused: Mapped[bool] = mapped_column(default=False, server_default="0")
    # Why Klaviyo refused it, in our words, for a person.
    problem: Mapped[str | None] = mapped_column(String(500))
    problem_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SentValue(Model):
    """One row is the value of one property that was sent last, for whichever customer: so that a person sees what it looks like."""

    __tablename__ = "sent_values"

    merchant_id: Mapped[int] = mapped_column(
        ForeignKey("merchants.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    # It goes with its customer.
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"), index=True)
    value: Mapped[str] = mapped_column(Text)
    sent_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ProfileImport(Model):
    """One row is a bulk import that Klaviyo is working on; the rows of `profile_syncs` in it have its id as their lease."""

    __tablename__ = "profile_imports"
    __table_args__ = (Index("ix_profile_imports_merchant_id_due_at", "merchant_id", "due_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    klaviyo_job_id: Mapped[str] = mapped_column(String(200))
    submitted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # When Klaviyo is next asked how far it is.
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    looks: Mapped[int] = mapped_column(default=0)


class ProfileSweep(Model):
    """One row is the last time that a merchant's customers were all looked at, and what their properties hung on then."""

    __tablename__ = "profile_sweeps"

    merchant_id: Mapped[int] = mapped_column(
        ForeignKey("merchants.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    klaviyo_account_id: Mapped[str] = mapped_column(String(64))
    programme_version: Mapped[int] = mapped_column(BigId)
    slug: Mapped[str] = mapped_column(String(60))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # Another account than before: nothing that is known of the old one's profiles holds.
    afresh: Mapped[bool] = mapped_column(default=False)
    total: Mapped[int] = mapped_column()
    # The last customer that was marked.
    reached: Mapped[int] = mapped_column(BigId, default=0)
    marked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    done: Mapped[int] = mapped_column(default=0)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # JSON: names of ours that profiles of the account had before anything was sent; empty until Klaviyo was asked.
    found_before: Mapped[str | None] = mapped_column(Text)


class CaseKind(StrEnum):
    # Klaviyo has one profile for two customers.
    SHARED = "shared"
    # The profile was merged into one that may be somebody else's.
    MERGED = "merged"
    # The profile is gone, and there is nothing to look it up by.
    GONE = "gone"
    # Klaviyo says that the identifier belongs to two profiles.
    DUPLICATE = "duplicate"


class IdentityCase(Model):
    """One row is a customer whose profile at Klaviyo is not certain, with a proposal; only a person decides."""

    __tablename__ = "identity_cases"
    __table_args__ = (
        Index("uq_identity_cases_open", "customer_id", "kind", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_identity_cases_open", "merchant_id", "id", sqlite_where=_OPEN, postgresql_where=_OPEN),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"))
    other_customer_id: Mapped[int | None] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"), index=True)
    kind: Mapped[CaseKind] = mapped_column(String(20))
    klaviyo_profile_id: Mapped[str | None] = mapped_column(String(64))
    # By what Klaviyo knows that profile: its email address or phone number.
    profile_label: Mapped[str | None] = mapped_column(String(254))
    found_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decision: Mapped[str | None] = mapped_column(String(20))


class DriftCheck(Model):
    """One row is one comparison of a sample of profiles with the ledger; without `ended_at` it is under way."""

    __tablename__ = "drift_checks"
    __table_args__ = (Index("ix_drift_checks_merchant_id_started_at", "merchant_id", "started_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # Asked for by a person, and not by the daily round.
    by_hand: Mapped[bool] = mapped_column(default=False)
    # A worker has it until then.
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    compared: Mapped[int] = mapped_column(default=0)
    in_step: Mapped[int] = mapped_column(default=0)
    differing: Mapped[int] = mapped_column(default=0)
    # Klaviyo has no such profile.
    missing: Mapped[int] = mapped_column(default=0)
    # Why it could not be done, in our words.
    problem: Mapped[str | None] = mapped_column(String(200))
