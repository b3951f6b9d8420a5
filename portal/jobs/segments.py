"""The importer: a process that looks every second which segments are due, and imports several of them beside each other.

The database says what is due and how far each has come, so any number of importers may run, and any of them may be killed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from sqlalchemy.exc import OperationalError, SQLAlchemyError

from portal import config
from portal.db import db, in_own_session, transaction, utcnow
from portal.jobs import schedule, segment_counts, segment_tidying, segment_turn
from portal.services import segment_schedule
from portal.services.segment_schedule import Claim

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0
# Segments beside each other, in all and of one merchant: the others' have room whatever one of them has.
AT_ONCE = 8
OF_ONE_MERCHANT = 4


def run(name: str, stopping: threading.Event) -> None:
    """Import until told to stop. A database that is away for a moment is waited for."""
    with ThreadPoolExecutor(AT_ONCE) as pool, ThreadPoolExecutor(1) as aside:
        under_way: dict[Future[None], Claim] = {}
        beside: Future[None] | None = None
        while not stopping.is_set():
            under_way = {future: claim for future, claim in under_way.items() if not future.done()}
            try:
                schedule.beat(name, "importer")
                for claim in claim_due(under_way.values()):
                    under_way[pool.submit(in_own_session(segment_turn.take_turn), claim, stopping)] = claim
                if beside is None or beside.done():
                    importing = {claim.merchant_id for claim in under_way.values()}
                    beside = aside.submit(in_own_session(_work_aside), importing, stopping)
            except SQLAlchemyError as error:
                schedule.note_database_trouble(error)
            finally:
                db.session.remove()
            _wait(under_way, stopping)


def _work_aside(importing: Collection[int], stopping: threading.Event) -> None:
    """What has time: it never holds an import up."""
    try:
        segment_counts.count_next(importing)
        segment_tidying.tidy_if_due(stopping)
    except OperationalError as error:
        schedule.note_database_trouble(error)
    except Exception:  # settled here: whatever was left comes due again
        log.exception("work beside the imports failed")
    finally:
        db.session.remove()


def _wait(under_way: dict[Future[None], Claim], stopping: threading.Event) -> None:
    """Until it is time to look again: at once where a turn has ended and others may be waiting for the place."""
    deadline = time.monotonic() + LOOK_EVERY_SECONDS
    while time.monotonic() < deadline and not stopping.wait(0.1):
        if len(under_way) == AT_ONCE and any(future.done() for future in under_way):
            return


def claim_due(under_way: Iterable[Claim] = ()) -> list[Claim]:
    """What is due, as far as there is room for it."""
    claims = list(under_way)
    room = AT_ONCE - len(claims)
    if room <= 0:
        return []
    busy = Counter(claim.merchant_id for claim in claims)
    with transaction():
        return segment_schedule.claim(utcnow(), config.current().lease_seconds, busy, OF_ONE_MERCHANT, room)


def import_due(stopping: threading.Event | None = None) -> int:
    """One look, with the turns one after the other: for a shell and for tests. How many turns it was."""
    claims = claim_due()
    for claim in claims:
        segment_turn.take_turn(claim, stopping or threading.Event())
    return len(claims)
