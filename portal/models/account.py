"""Who uses the portal: merchants, their users and logins, and the keys of their programs."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from flask_login import UserMixin
from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db import BigId, Model, UtcDateTime, utcnow


class Role(StrEnum):
    OWNER = "owner"
    MEMBER = "member"


class Merchant(Model):
    """One row is a shop with a loyalty programme; everything else belongs to one."""

    __tablename__ = "merchants"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    # The programme's part of public links: /{slug}/download.
    slug: Mapped[str] = mapped_column(String(60), unique=True)
    programme_name: Mapped[str] = mapped_column(String(100))
    timezone: Mapped[str] = mapped_column(String(60), default="UTC")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)


class FormerSlug(Model):
    """One row is a short name that a programme had: links that were shared under it go on working, and nobody else gets it."""

    __tablename__ = "former_slugs"

    slug: Mapped[str] = mapped_column(String(60), primary_key=True)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"), index=True)


class User(UserMixin, Model):
    """One row is a person who can log in to one merchant's portal."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"), index=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(100), default="")
    password_hash: Mapped[str] = mapped_column(String(200))
    role: Mapped[Role] = mapped_column(String(10), default=Role.MEMBER)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    merchant: Mapped[Merchant] = relationship(lazy="joined")

    @property
    def is_owner(self) -> bool:
        return self.role == Role.OWNER


class LoginSession(Model):
    """One row is a browser that is logged in. Deleting it logs that browser out at once."""

    __tablename__ = "login_sessions"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    user: Mapped[User] = relationship(lazy="joined")


class LoginFailure(Model):
    """One row is a wrong password, kept for the throttle; `subject` is a hash of the account or of the address."""

    __tablename__ = "login_failures"
    __table_args__ = (Index("ix_login_failures_subject_at", "subject", "at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subject: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)


class ApiKey(Model):
    """One row is a key of a merchant's program. The secret is shown once; only its hash is kept."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(60))
    prefix: Mapped[str] = mapped_column(String(20), unique=True)
    secret_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
