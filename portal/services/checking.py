"""Asking Klaviyo now and then whether it still takes our access, so that a quiet shop learns soon that it was uninstalled."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update

from portal.db import db
from portal.klaviyo import Client
from portal.models import Call, Connection, ConnectionState

EVERY = timedelta(minutes=5)
SPREAD = 0.1
# However often somebody looks at the page, it is not asked again within about this time.
NOT_WITHIN = timedelta(minutes=1)
ACCOUNTS_PATH = "/api/accounts"


def due(now: datetime, limit: int) -> Sequence[int]:
    """Merchants whose connection is to be checked, longest due first; one that rests is left alone."""
    query = (
        select(Connection.merchant_id)
        .where(
            Connection.state == ConnectionState.CONNECTED,
            or_(Connection.check_due_at.is_(None), Connection.check_due_at <= now),
            or_(Connection.paused_until.is_(None), Connection.paused_until <= now),
        )
        .order_by(Connection.check_due_at.nulls_first())
        .limit(limit)
    )
    return db.session.scalars(query).all()


def take(merchant_id: int, now: datetime) -> bool:
    """Whether to ask now: only one process is told so, and none where a call has succeeded lately. It is next due later."""
    query = select(Connection).where(Connection.merchant_id == merchant_id).with_for_update()
    connection = db.session.scalar(query.execution_options(populate_existing=True))
    if connection is None or not connection.is_connected or not _is_due(connection, now):
        return False
    lately = NOT_WITHIN if connection.check_due_at is None else EVERY * (1 - SPREAD)
    spoken = _last_success(merchant_id, now - lately)
    connection.check_due_at = (spoken or now) + EVERY * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311 - spread
    return spoken is None


def _is_due(connection: Connection, now: datetime) -> bool:
    return connection.check_due_at is None or connection.check_due_at <= now


def _last_success(merchant_id: int, since: datetime) -> datetime | None:
    query = (
        select(Call.started_at)
        .where(Call.merchant_id == merchant_id, Call.started_at > since, Call.status < 300)
        .order_by(Call.started_at.desc())
        .limit(1)
    )
    return db.session.scalar(query)


def may_be_sooner(connection: Connection | None, now: datetime) -> bool:
    """For somebody who looks: the last check was a while ago, and none is due."""
    if connection is None or not connection.is_connected or _is_due(connection, now):
        return False
    return connection.check_due_at is not None and connection.check_due_at < now + EVERY - NOT_WITHIN


def hasten(merchant_id: int) -> None:
    """Due at once, though a call may have succeeded some minutes ago."""
    query = update(Connection).where(Connection.merchant_id == merchant_id).values(check_due_at=None)
    db.session.execute(query.execution_options(synchronize_session=False))


def ask(client: Client) -> None:
    """The cheapest question that needs our access. Raises a `KlaviyoError`."""
    client.read(ACCOUNTS_PATH, {"fields[account]": "test_account"})
