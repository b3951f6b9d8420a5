"""Erasures that Klaviyo has not carried out yet, as a person deals with them: why, what to do, and trying again.

Whoever was erased here is known by nothing but the one identifier that Klaviyo needs; it is read here for a person, and goes with the row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import func, select, update

from portal import queue
from portal.crypto import SealError
from portal.db import LARGEST_ID, db, on_commit
from portal.errors import NotFoundError
from portal.models import ConnectionState, Erasure
from portal.services import auditing, connecting

UNREADABLE = "somebody whose identifier can no longer be read"
RECONNECT = "Reconnect Klaviyo, and it is passed on by itself."
BY_HAND = "Erase this profile in Klaviyo by hand, then say here that it is done. Or try again."
BY_ITSELF = "It is tried again by itself, for as long as it takes."


@dataclass(frozen=True)
class Outstanding:
    """`who` is what Klaviyo knows them by; `refused` needs a person."""

    id: int
    who: str
    asked_at: datetime
    reason: str
    remedy: str
    due_at: datetime | None

    @property
    def refused(self) -> bool:
        return self.due_at is None


def outstanding(merchant_id: int, limit: int) -> Sequence[Outstanding]:
    """Those that a person decides first, then by age."""
    query = (
        select(Erasure)
        .where(Erasure.merchant_id == merchant_id)
        .order_by(Erasure.due_at.is_not(None), Erasure.id)
        .limit(limit)
    )
    unconnected = _unconnected(merchant_id)
    return [_shown(each, unconnected) for each in db.session.scalars(query.execution_options(populate_existing=True))]


def _unconnected(merchant_id: int) -> str | None:
    """The account to which nothing can be passed on, in words; None where there is access."""
    connection = connecting.connection_of(merchant_id)
    if connection is None or connection.state == ConnectionState.DISCONNECTED:
        return "Klaviyo is not connected."
    return (
        "Klaviyo does not accept our access at the moment." if connection.state == ConnectionState.RECONNECT else None
    )


def _shown(erasure: Erasure, unconnected: str | None) -> Outstanding:
    reason, remedy = erasure.problem or "Klaviyo is told in a moment.", BY_ITSELF
    if unconnected:
        reason, remedy = unconnected, RECONNECT
    elif erasure.due_at is None:
        remedy = BY_HAND
    return Outstanding(erasure.id, _who(erasure), erasure.asked_at, reason, remedy, erasure.due_at)


def _who(erasure: Erasure) -> str:
    try:
        profile = json.loads(erasure.profile or "{}").get("data", {})
    except SealError:
        return UNREADABLE
    named = {"id": profile.get("id"), **profile.get("attributes", {})}
    return next((str(value) for value in named.values() if value), UNREADABLE)


def count_in_trouble(merchant_id: int, at_most: int) -> int:
    """Those that were tried at least once, and are not done."""
    bounded = select(Erasure.id).where(Erasure.merchant_id == merchant_id, Erasure.problem.is_not(None)).limit(at_most)
    return db.session.scalar(select(func.count()).select_from(bounded.subquery())) or 0


def try_again(merchant_id: int, now: datetime, erasure_id: int | None = None) -> int:
    """One, or all that are in trouble, now; how many."""
    which = [Erasure.merchant_id == merchant_id, Erasure.problem.is_not(None)]
    if erasure_id is not None:
        which.append(Erasure.id == min(erasure_id, LARGEST_ID))
    again = update(Erasure).where(*which).values(due_at=now, attempts=0).returning(Erasure.id)
    ids = db.session.scalars(again.execution_options(synchronize_session=False)).all()
    for each in ids:
        on_commit(partial(queue.enqueue, queue.UPKEEP, queue.ERASE, each))
    return len(ids)


def is_done(merchant_id: int, erasure_id: int, actor: str) -> None:
    """Somebody has erased the profile in Klaviyo by hand. Raises `NotFoundError`, also for one that is not refused."""
    query = select(Erasure).where(
        Erasure.merchant_id == merchant_id, Erasure.id == min(erasure_id, LARGEST_ID), Erasure.due_at.is_(None)
    )
    erasure = db.session.scalar(query.with_for_update())
    if erasure is None:
        raise NotFoundError("This is done already. The list shows what is left.")
    auditing.record(merchant_id, actor, "erased in Klaviyo by hand")
    db.session.delete(erasure)
