"""What calls tell about a connection: it works, it rests until a time, or only the merchant can mend it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import and_, or_, update

from portal.db import changed_rows, db
from portal.models import Connection, ConnectionState
from portal.services import auditing


def note_success(merchant_id: int, began_at: datetime) -> None:
    """Klaviyo answers again; writes only where that is news.

    A call that began before a rest was over says nothing about it: another may have been told to rest since.
    """
    over = or_(Connection.paused_until.is_(None), Connection.paused_until <= began_at)
    news = and_(Connection.failures_in_a_row > 0, over)
    _change(merchant_id, news, failures_in_a_row=0, paused_until=None, pause_reason=None)


def pause(merchant_id: int, until: datetime, reason: str) -> None:
    """Rest until then; a rest that is already longer stays."""
    shorter = or_(Connection.paused_until.is_(None), Connection.paused_until < until)
    connected = Connection.state == ConnectionState.CONNECTED
    _change(merchant_id, and_(connected, shorter), paused_until=until, pause_reason=reason[:200])


def break_off(merchant_id: int, reason: str, now: datetime) -> None:
    """Stop sending until the merchant reconnects; what waits is kept."""
    broken = _change(
        merchant_id,
        Connection.state == ConnectionState.CONNECTED,
        state=ConnectionState.RECONNECT,
        broken_at=now,
        broken_reason=reason[:500],
        refreshing_until=None,
    )
    if broken:
        auditing.record(merchant_id, auditing.PORTAL, "Klaviyo access lost", reason)


def _change(merchant_id: int, where: Any, **values: Any) -> bool:
    query = update(Connection).where(Connection.merchant_id == merchant_id, where).values(**values)
    return changed_rows(db.session.execute(query.execution_options(synchronize_session="fetch"))) > 0
