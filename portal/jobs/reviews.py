"""Move customers into the tiers that fit them, batch by batch: after a change of the programme, and as time passes."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from portal import queue
from portal.db import transaction, utcnow
from portal.services import reviewing

# For so long one job goes on; then other work has its turn.
TURN_SECONDS = 2.0
# So many batches the ticker does by itself, where no worker could be told: it has events to deliver.
ALONE = 10


def ring_for_due() -> None:
    """Hand what is due to the workers."""
    for merchant_id in reviewing.merchants_due(utcnow()):
        if not queue.enqueue(queue.UPKEEP, queue.REVIEW, merchant_id):
            _go_on(merchant_id, batches=ALONE)
            return


def review(merchant_id: int) -> None:
    """RQ job. What is left after a turn is handed on; if that gets lost, the ticker finds it."""
    ends = time.monotonic() + TURN_SECONDS
    while _go_on(merchant_id, batches=1):
        if time.monotonic() > ends:
            queue.enqueue(queue.UPKEEP, queue.REVIEW, merchant_id)
            return


def _go_on(merchant_id: int, *, batches: int) -> bool:
    """Whether there is more to do."""
    return any(_all_of(step, merchant_id, batches) for step in (reviewing.continue_changed, reviewing.continue_timed))


def _all_of(step: Callable[[int, datetime], bool], merchant_id: int, batches: int) -> bool:
    for _ in range(batches):
        with transaction():
            more = step(merchant_id, utcnow())
        if not more:
            return False
    return True
