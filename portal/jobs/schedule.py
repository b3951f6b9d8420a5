"""The ticker: looks into the database every second, rings for what is due, and drains by itself when Redis refuses.

Its periodic table is harmless when doubled: due times are rows, and only one process is given each.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import ParamSpec

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from portal import config, queue
from portal.db import db, transaction, utcnow
from portal.jobs import (
    birthdays,
    campaigns,
    cards,
    checks,
    deliveries,
    drift,
    erasures,
    examples,
    imports,
    profiles,
    pushes,
    reviews,
    tokens,
)
from portal.services import outbox, upkeep

P = ParamSpec("P")

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
BEAT_SECONDS = 5.0


def _prune() -> None:
    with transaction():
        upkeep.prune(config.current(), utcnow())


def _give_up() -> None:
    with transaction():
        upkeep.give_up(utcnow())


PERIODIC: dict[str, tuple[timedelta, Callable[[], None]]] = {
    "prune": (timedelta(minutes=10), _prune),
    "give up": (timedelta(minutes=10), _give_up),
    "revoke": (timedelta(minutes=5), tokens.revoke_outstanding),
    "let imports go": (timedelta(hours=1), imports.let_go),
    "compare profiles": (timedelta(hours=1), drift.begin_daily),
    "keep tokens alive": (timedelta(hours=1), tokens.keep_alive),
    "review tiers": (timedelta(minutes=1), reviews.ring_for_due),
    # Often, so that nobody's morning is missed; each birthday is told once.
    "birthdays": (timedelta(minutes=10), birthdays.tell_due),
    "reconcile Google cards": (timedelta(hours=24), cards.reconcile),
    "forget messages": (timedelta(hours=24), cards.forget_messages),
}


def tick() -> None:
    """One look: whoever has something due is rung for, or served here if the bell is out of order."""
    db.session.rollback()
    for merchant_id in outbox.merchants_due(utcnow()):
        if not queue.ring(merchant_id):
            _alone(deliveries.take_turn, merchant_id)
    for merchant_id in profiles.merchants_due():
        if not queue.ring(merchant_id, queue.PROFILES):
            _alone(profiles.take_turn, merchant_id)
    _alone(pushes.ring_for_due)
    _alone(cards.ring_for_due)
    _alone(campaigns.ring_for_due)
    _alone(checks.ring_for_due)
    _alone(drift.ring_for_waiting)
    _alone(erasures.ring_for_due)
    _alone(imports.ring_for_due)
    _alone(examples.ring_for_due)
    for name in upkeep.due_tasks(PERIODIC, utcnow()):
        every, task = PERIODIC[name]
        with transaction():
            ours = upkeep.take_due(name, every, utcnow())
        if ours:
            _alone(task)


def _alone(work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """A mistake of ours with one merchant or task is logged, and the others have their turn."""
    try:
        work(*args, **kwargs)
    except SQLAlchemyError:
        raise
    except Exception:  # settled here: what it held comes due again by itself
        log.exception("a part of the tick failed")
        db.session.remove()


def run(name: str, stopping: threading.Event) -> None:
    """Tick until told to stop. A database that is away for a moment is waited for."""
    while not stopping.is_set():
        started = time.monotonic()
        try:
            beat(name, "ticker")
            tick()
        except SQLAlchemyError as error:
            note_database_trouble(error)
        finally:
            db.session.remove()
        stopping.wait(max(0.05, TICK_SECONDS - (time.monotonic() - started)))


def note_database_trouble(error: SQLAlchemyError) -> None:
    """For a loop that goes on all the same. What is no word of the database's own is told in full: it may be our fault."""
    theirs = isinstance(error, (DBAPIError, PoolTimeoutError))
    said = {} if theirs else {"said": str(error)[:500]}
    log.warning("database unreachable", extra={"error": type(error).__name__, **said})


def beat(name: str, kind: str) -> None:
    with transaction():
        upkeep.beat(name, kind, utcnow())


def beat_until(name: str, kind: str, stopping: threading.Event) -> None:
    """For a thread beside a worker: say every few seconds that it is alive."""
    while not stopping.is_set():
        try:
            beat(name, kind)
        except SQLAlchemyError as error:
            note_database_trouble(error)
        finally:
            db.session.remove()
        stopping.wait(BEAT_SECONDS)
