"""Access that is no longer used, kept until Klaviyo has been told: after a disconnect, or when another account takes its place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import delete, select

from portal import queue
from portal.crypto import SealError
from portal.db import db, on_commit
from portal.models import Connection, OldGrant

KEPT = timedelta(days=3)


def hand_over(connection: Connection, now: datetime) -> None:
    """Take over the connection's refresh token; a job revokes it at Klaviyo after the commit."""
    try:
        refresh_token = connection.refresh_token
    except SealError:
        refresh_token = None
    connection.refresh_token = None
    if refresh_token is None:
        return
    grant = OldGrant(merchant_id=connection.merchant_id, klaviyo_account_id=connection.klaviyo_account_id, since=now)
    grant.refresh_token = refresh_token
    db.session.add(grant)
    db.session.flush()
    on_commit(partial(queue.enqueue, queue.UPKEEP, queue.REVOKE, grant.id))


def spare(account_id: str) -> None:
    """This account is connected again: revoking an older token of it would end the new access too."""
    db.session.execute(delete(OldGrant).where(OldGrant.klaviyo_account_id == account_id))


def outstanding() -> Sequence[int]:
    """What Klaviyo has not been told yet, oldest first."""
    return db.session.scalars(select(OldGrant.id).order_by(OldGrant.id)).all()


def token_of(grant_id: int) -> str | None:
    """The refresh token to revoke; None where there is nothing left to do, or it cannot be read."""
    grant = db.session.get(OldGrant, grant_id, populate_existing=True)
    try:
        return None if grant is None else grant.refresh_token
    except SealError:
        return None


def forget(grant_id: int) -> None:
    db.session.execute(delete(OldGrant).where(OldGrant.id == grant_id))


def give_up(now: datetime) -> None:
    """A token that could not be revoked for three days is forgotten all the same."""
    db.session.execute(delete(OldGrant).where(OldGrant.since < now - KEPT))
