"""Drain a merchant's outbox: claim, call, settle, in bounded turns, so that no merchant waits behind another's backlog."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from portal import config, queue
from portal.db import db, in_own_session, transaction, utcnow
from portal.jobs.turns import Access, HaltError, has_leave
from portal.klaviyo import Client
from portal.klaviyo.limits import EVENT, EVENT_BULK
from portal.services import delivering, outbox
from portal.services.delivering import Judgement, Outcome
from portal.services.outbox import Batch, Mode, Parcel

log = logging.getLogger(__name__)

TURN_SECONDS = 2.0
# Where events come faster than one by one, a moment's patience turns many small requests into few.
LINGER_SECONDS = 0.05
# A claim's requests must end well before its lease does.
LEASE_SHARE = 0.5
PACES = {Mode.SINGLE: EVENT, Mode.BULK: EVENT_BULK}


def drain(merchant_id: int) -> None:
    """RQ job: deliver what is due for one turn, and ring again if something is left.

    While it runs it counts as rung for, so that what is committed meanwhile needs no job of its own.
    """
    more = take_turn(merchant_id)
    queue.answer(merchant_id)
    # Looked at once more after the answer: what was committed before it has not rung.
    if more or outbox.is_due(merchant_id, utcnow()):
        queue.ring(merchant_id)


def take_turn(merchant_id: int) -> bool:
    """Deliver for up to TURN_SECONDS, with several requests under way while there is a backlog. Is something left?"""
    deadline = time.monotonic() + TURN_SECONDS
    backlog = threading.Event()
    lanes = config.current().lanes
    with ThreadPoolExecutor(lanes) as pool:
        more = _deliver(merchant_id, deadline, backlog if lanes > 1 else None)
        if backlog.is_set():
            helpers = [pool.submit(in_own_session(_deliver), merchant_id, deadline, None) for _ in range(lanes - 1)]
            more = _deliver(merchant_id, deadline, None)
            more = any([more, *(helper.result() for helper in helpers)])
    return more


def _deliver(merchant_id: int, deadline: float, backlog: threading.Event | None) -> bool:
    """One lane; ends at the deadline (True), when nothing is due (False), or once it has seen a backlog."""
    busy = False
    try:
        while time.monotonic() < deadline:
            db.session.rollback()
            mode = outbox.mode_for(merchant_id, utcnow())
            if mode is None and busy:
                busy = False
                time.sleep(LINGER_SECONDS)
                continue
            if mode is None:
                return False
            if mode is Mode.BULK and backlog is not None:
                backlog.set()
                return True
            if not has_leave(merchant_id, PACES[mode], deadline):
                return True
            access = Access(merchant_id)
            with transaction():
                batch = outbox.claim(merchant_id, mode, utcnow(), config.current().lease_seconds)
            if batch is None:
                return False
            _carry(batch, access, deadline)
            busy = len(batch.parcels) > 1
    except HaltError:
        return False
    finally:
        db.session.remove()
    return True


def _carry(batch: Batch, access: Access, deadline: float) -> None:
    """Send a batch in as many requests as fit into the turn, and at least one; whatever is not sent is given back."""
    until = min(deadline, time.monotonic() + config.current().lease_seconds * LEASE_SHARE)
    left = list(batch.parcels)
    held: set[int] = set()  # customers with an unsettled row: what follows for them must wait
    try:
        while left and (len(left) == len(batch.parcels) or time.monotonic() < until):
            parcels = left[:1] if batch.mode is Mode.SINGLE else delivering.fitting(left)
            if held & {parcel.customer_id for parcel in parcels}:
                break
            if len(left) < len(batch.parcels) and not has_leave(batch.merchant_id, PACES[batch.mode], until):
                break
            # From here on they may have arrived: if we fail now, their lease runs out before they are tried again.
            left = left[len(parcels) :]
            judgement = _exchange(batch, parcels, access)
            if judgement.outcome not in (Outcome.DELIVERED, Outcome.REFUSED):
                break
            if judgement.outcome is Outcome.REFUSED and batch.mode is Mode.BULK:
                held.update(parcel.customer_id for parcel in parcels)
    finally:
        if left:
            with transaction():
                outbox.release(batch, [parcel.id for parcel in left], utcnow())


def _exchange(batch: Batch, parcels: list[Parcel], access: Access) -> Judgement:
    """One request and what it means, with one refresh of the access token if it is not taken."""
    judgement = _call_and_settle(batch, parcels, access.token, last_try=False)
    if judgement.outcome is not Outcome.EXPIRED:
        return judgement
    try:
        access.renew()
    except HaltError:
        with transaction():
            outbox.release(batch, [parcel.id for parcel in parcels], utcnow())
        raise
    return _call_and_settle(batch, parcels, access.token, last_try=True)


def _call_and_settle(batch: Batch, parcels: list[Parcel], token: str, *, last_try: bool) -> Judgement:
    answer = delivering.send(Client(config.current().klaviyo_api_url, token), batch, parcels)
    judgement = delivering.judge(answer)
    if judgement.outcome is Outcome.EXPIRED and not last_try:
        return judgement
    with transaction():
        delivering.settle(batch, parcels, answer, judgement, utcnow())
    log.info(
        "delivery attempted",
        extra={
            "merchant_id": batch.merchant_id,
            "outcome": judgement.outcome.value,
            "events": len(parcels),
            "status": answer.status,
            "duration_ms": answer.duration_ms,
        },
    )
    return judgement
