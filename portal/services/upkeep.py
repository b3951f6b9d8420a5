"""Periodic work that needs no call to the outside: heartbeats, due times, pruning. Harmless when doubled."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from portal.config import Settings
from portal.db import changed_rows, db, first_id_at, insert_or_update, one_of
from portal.models import (
    Call,
    Delivery,
    DeliveryLag,
    DeliveryMinute,
    DeliveryState,
    Event,
    Heartbeat,
    LoginFailure,
    LoginSession,
    PeriodicTask,
    Push,
    PushSource,
    Unsent,
    in_state,
)
from portal.services import outbox, revoking

PRUNE_AT_ONCE = 5_000
KEEP_MINUTES = timedelta(days=8)
# Only the last hour is looked at.
KEEP_LAGS = timedelta(days=1)
KEEP_HEARTBEATS = timedelta(days=1)
# Far beyond the hours in which a repeat is told from a new push.
KEEP_PUSHES = timedelta(days=90)


def beat(name: str, kind: str, now: datetime) -> None:
    """Say that this process is alive."""
    statement = insert_or_update(Heartbeat).values(name=name, kind=kind, at=now)
    db.session.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"at": now}))


def due_tasks(names: Iterable[str], now: datetime) -> list[str]:
    """Those of them that somebody may take now. Reads only: they are asked about every second, and due every few minutes."""
    later = set(db.session.scalars(select(PeriodicTask.name).where(PeriodicTask.due_at > now)))
    return [name for name in names if name not in later]


def take_due(name: str, every: timedelta, now: datetime) -> bool:
    """Whether this task is due; if so it is next due after `every`, and only one process is told so."""
    task = insert_or_update(PeriodicTask).values(name=name, due_at=now)
    db.session.execute(task.on_conflict_do_nothing(index_elements=["name"]))
    taken = (
        update(PeriodicTask)
        .where(PeriodicTask.name == name, PeriodicTask.due_at <= now)
        .values(due_at=now + every, ran_at=now)
        .execution_options(synchronize_session=False)
    )
    return changed_rows(db.session.execute(taken)) == 1


def prune(settings: Settings, now: datetime) -> int:
    """Remove what has been kept long enough, a bounded number at a time; how many deliveries went.

    Their events stay: they are the customer's history, and their ids still tell a repeat.
    """
    gone = 0
    for state, days in (
        (DeliveryState.DELIVERED, settings.keep_delivered_days),
        (DeliveryState.DEAD, settings.keep_failed_days),
    ):
        gone += _prune_deliveries(state, now - timedelta(days=days))
    keep_calls = now - timedelta(days=max(settings.keep_delivered_days, settings.keep_failed_days))
    old_calls = select(Call.id).where(Call.id < first_id_at(keep_calls)).order_by(Call.id).limit(PRUNE_AT_ONCE)
    _change(delete(Call).where(Call.id.in_(old_calls)))
    _change(delete(DeliveryMinute).where(DeliveryMinute.minute < now - KEEP_MINUTES))
    _change(delete(DeliveryLag).where(DeliveryLag.minute < now - KEEP_LAGS))
    _change(delete(Heartbeat).where(Heartbeat.at < now - KEEP_HEARTBEATS))
    _change(delete(LoginSession).where(LoginSession.expires_at < now))
    _change(delete(LoginFailure).where(LoginFailure.at < now - timedelta(days=1)))
    _prune_pushes(now - KEEP_PUSHES)
    return gone


def _prune_deliveries(state: DeliveryState, before: datetime) -> int:
    # What was settled by then was made by then, and ids tell when: only the old end of the table is looked at.
    old = db.session.scalars(
        select(Delivery.id)
        .where(in_state(Delivery, state), Delivery.id < first_id_at(before), Delivery.settled_at < before)
        .order_by(Delivery.id)
        .limit(PRUNE_AT_ONCE)
    ).all()
    if state is DeliveryState.DEAD:
        _change(update(Event).where(one_of(Event.id, old)).values(unsent=Unsent.GIVEN_UP))
    return _change(delete(Delivery).where(one_of(Delivery.id, old)))


def _prune_pushes(before: datetime) -> None:
    """With what became of them. A campaign's stay with it: its results are counted from them."""
    old = (
        select(Push.id)
        .where(
            Push.id < first_id_at(before),
            Push.settled_at < before,
            Push.source != PushSource.CAMPAIGN,
        )
        .order_by(Push.id)
        .limit(PRUNE_AT_ONCE)
    )
    _change(delete(Push).where(Push.id.in_(old.scalar_subquery())))


def give_up(now: datetime) -> None:
    """End what waits in vain: events of merchants who disconnected, tokens that cannot be revoked."""
    outbox.give_up_disconnected(now)
    revoking.give_up(now)


def _change(statement: object) -> int:
    return changed_rows(db.session.execute(statement.execution_options(synchronize_session=False)))  # type: ignore[attr-defined]
