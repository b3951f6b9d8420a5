"""Compare a sample of profiles with the ledger: once a day, and when a person asks for it."""

from __future__ import annotations

import time

from portal import beats, queue
from portal.db import db, transaction, utcnow
from portal.errors import PortalError
from portal.jobs.turns import HaltError, has_leave
from portal.klaviyo.limits import PROFILE_LIST
from portal.services import drift

LONGEST_WAIT_SECONDS = 5.0


def begin_daily() -> None:
    """Whoever is due for a comparison gets one."""
    for merchant_id in drift.merchants_for_daily(utcnow()):
        with transaction():
            drift.begin(merchant_id, utcnow(), by_hand=False)


def ring_for_waiting() -> None:
    """Hand what waits to the workers, one in a tick; without Redis it is done here."""
    with transaction():
        check_id = drift.take(utcnow())
    if check_id is not None and not queue.enqueue(queue.UPKEEP, queue.DRIFT, check_id):
        check(check_id)


def check(check_id: int) -> None:
    """RQ job; asked for twice it counts once."""
    merchant_id = drift.merchant_of(check_id)
    if merchant_id is None:
        return
    try:
        _compare(merchant_id, check_id)
    except (HaltError, PortalError) as error:
        reason = error.message if isinstance(error, PortalError) else "Klaviyo is not connected"
        with transaction():
            drift.give_up(check_id, reason, utcnow())
    finally:
        db.session.rollback()


def _compare(merchant_id: int, check_id: int) -> None:
    drawn = drift.draw(merchant_id)
    db.session.rollback()
    # A few requests at most; the bucket's room is for them.
    if drawn and not has_leave(merchant_id, PROFILE_LIST, time.monotonic() + LONGEST_WAIT_SECONDS):
        raise HaltError
    found = beats.ask_klaviyo(merchant_id, lambda client: drift.ask(client, drawn)) if drawn else {}
    with transaction():
        drift.save(check_id, drawn, found, utcnow())
