"""A merchant's connection to Klaviyo, the modules switched on over it, and the events chosen."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.crypto import EncryptedText
from portal.db import BigId, Model, UtcDateTime


class ConnectionState(StrEnum):
    CONNECTED = "connected"
    # Klaviyo no longer takes our tokens. What waits is kept until the merchant reconnects.
    RECONNECT = "reconnect"
    # The merchant disconnected. What waits is kept for 72 hours.
    DISCONNECTED = "disconnected"


_LIVE = text("state != 'disconnected'")


class Connection(Model):
    """One row is a merchant's connection to one Klaviyo account; a merchant has at most one, and so has an account."""

    __tablename__ = "connections"
    __table_args__ = (
        Index(
            "uq_connections_live_account", "klaviyo_account_id", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"), unique=True)
    state: Mapped[ConnectionState] = mapped_column(String(20))
    klaviyo_account_id: Mapped[str] = mapped_column(String(64))
    account_name: Mapped[str] = mapped_column(String(200))
    scopes: Mapped[str] = mapped_column(Text, default="")
    access_token_sealed: Mapped[str | None] = mapped_column(Text)
    refresh_token_sealed: Mapped[str | None] = mapped_column(Text)
    access_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    refreshed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Somebody is refreshing the token until then; the others wait for the result.
    refreshing_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    connected_at: Mapped[datetime] = mapped_column(UtcDateTime)
    broken_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    broken_reason: Mapped[str | None] = mapped_column(String(500))
    # Deliveries rest until then: Klaviyo asked us to slow down, or has been failing.
    paused_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    pause_reason: Mapped[str | None] = mapped_column(String(200))
    failures_in_a_row: Mapped[int] = mapped_column(default=0)
    # The least recently served merchant is served first.
    served_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # When Klaviyo is next asked whether it still takes our access, unless a call has shown it by then.
    check_due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Set by a reconnect: the period that was caught up afterwards, for the status page.
    caught_up_from: Mapped[datetime | None] = mapped_column(UtcDateTime)
    caught_up_until: Mapped[datetime | None] = mapped_column(UtcDateTime)

    access_token = EncryptedText("access_token_sealed")
    refresh_token = EncryptedText("refresh_token_sealed")

    @property
    def is_connected(self) -> bool:
        return self.state == ConnectionState.CONNECTED

    @property
    def granted_scopes(self) -> list[str]:
        return self.scopes.split()


class OldGrant(Model):
    """One row is an access that is no longer used, until Klaviyo has been told to revoke it."""

    __tablename__ = "old_grants"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"), index=True)
    klaviyo_account_id: Mapped[str] = mapped_column(String(64), index=True)
    refresh_token_sealed: Mapped[str | None] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(UtcDateTime)

    refresh_token = EncryptedText("refresh_token_sealed")


class Module(StrEnum):
    EVENTS = "events"
    SEGMENTS = "segments"


class ModuleSwitch(Model):
    """One row is a module that a merchant has switched on."""

    __tablename__ = "module_switches"

    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"), primary_key=True)
    module: Mapped[Module] = mapped_column(String(20), primary_key=True)
    on_since: Mapped[datetime] = mapped_column(UtcDateTime)


class EventChoice(Model):
    """One row is an event type that a merchant has chosen not to send; every other type is sent."""

    __tablename__ = "event_choices"

    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"), primary_key=True)
    event_type: Mapped[str] = mapped_column(String(40), primary_key=True)
    off_since: Mapped[datetime] = mapped_column(UtcDateTime)
