"""Access tokens: who refreshes, and what its result means. One refresh at a time per connection, across all processes.

Beats: `begin_refresh` (tx) -> HTTP -> `finish_refresh` or `refuse_refresh` (tx). `portal.beats` strings them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update

from portal.crypto import SealError
from portal.db import db
from portal.klaviyo.oauth import Tokens
from portal.models import Connection, ConnectionState
from portal.services import connection_health

REFRESH_BEFORE = timedelta(minutes=5)
REFRESH_LEASE = timedelta(seconds=30)
# Klaviyo lets a refresh token die after 90 days unused.
KEEP_ALIVE = timedelta(days=7)

LOST = "Klaviyo no longer accepts our access"
UNREADABLE = "The stored access to Klaviyo cannot be read with the present encryption keys"


@dataclass(frozen=True)
class Ours:
    """It is up to the caller to refresh, with this token."""

    refresh_token: str


def look(merchant_id: int, rejected: str | None, now: datetime) -> tuple[str | None, bool]:
    """(what `usable` says, whether somebody has taken the refresh on and neither ended it nor run out of time) at one moment."""
    connection = _read(merchant_id)
    if connection is None:
        return None, False
    under_way = connection.refreshing_until is not None and connection.refreshing_until > now
    return _usable(connection, rejected, now), under_way


def usable(merchant_id: int, rejected: str | None, now: datetime) -> str | None:
    """The access token, if it is still good for a while and is not the one that was just rejected."""
    return look(merchant_id, rejected, now)[0]


def _usable(connection: Connection, rejected: str | None, now: datetime) -> str | None:
    if not connection.is_connected or connection.access_expires_at is None:
        return None
    if connection.access_expires_at - now < _margin(connection):
        return None
    try:
        token = connection.access_token
    except SealError:
        return None
    return None if token == rejected else token


def _margin(connection: Connection) -> timedelta:
    """How long before its end a token is refreshed: never more than half of its life, or it would be at once."""
    if connection.refreshed_at is None or connection.access_expires_at is None:
        return REFRESH_BEFORE
    return min(REFRESH_BEFORE, (connection.access_expires_at - connection.refreshed_at) / 2)


def is_connected(merchant_id: int) -> bool:
    connection = _read(merchant_id)
    return connection is not None and connection.is_connected


def begin_refresh(
    merchant_id: int, rejected: str | None, now: datetime, *, even_if_usable: bool = False
) -> Ours | None:
    """Take on the refresh; None where another process has it, has done it, or the connection is gone."""
    connection = _read(merchant_id, lock=True)
    if connection is None or not connection.is_connected:
        return None
    if not even_if_usable and _usable(connection, rejected, now):
        return None
    if connection.refreshing_until is not None and connection.refreshing_until > now:
        return None
    try:
        refresh_token = connection.refresh_token
    except SealError:
        refresh_token = None
    if refresh_token is None:
        connection_health.break_off(merchant_id, UNREADABLE, now)
        return None
    connection.refreshing_until = now + REFRESH_LEASE
    return Ours(refresh_token)


def finish_refresh(merchant_id: int, used: str, tokens: Tokens, now: datetime) -> None:
    """Keep whatever came back: Klaviyo may or may not rotate the refresh token.

    Nothing is kept where the merchant has connected anew meanwhile, perhaps to another account: `used` is then an older token.
    """
    connection = _read(merchant_id, lock=True)
    if connection is None or connection.state == ConnectionState.DISCONNECTED or connection.refresh_token != used:
        return
    connection.access_token = tokens.access
    if tokens.refresh:
        connection.refresh_token = tokens.refresh
    connection.access_expires_at = tokens.expires_at
    connection.refreshed_at = now
    connection.refreshing_until = None


def refuse_refresh(merchant_id: int, used: str, now: datetime) -> None:
    """Klaviyo refused this refresh token for good, unless somebody has stored another one meanwhile."""
    connection = _read(merchant_id, lock=True)
    if connection is not None and connection.refresh_token == used:
        connection_health.break_off(merchant_id, LOST, now)


def postpone_refresh(merchant_id: int) -> None:
    """The token endpoint was not reachable: nothing is lost, somebody tries again."""
    db.session.execute(update(Connection).where(Connection.merchant_id == merchant_id).values(refreshing_until=None))


def idle(now: datetime) -> list[int]:
    """Merchants whose tokens have not been refreshed for a week."""
    query = select(Connection.merchant_id).where(
        Connection.state == ConnectionState.CONNECTED, Connection.refreshed_at < now - KEEP_ALIVE
    )
    return list(db.session.scalars(query))


def _read(merchant_id: int, *, lock: bool = False) -> Connection | None:
    query = select(Connection).where(Connection.merchant_id == merchant_id).execution_options(populate_existing=True)
    return db.session.scalar(query.with_for_update() if lock else query)
