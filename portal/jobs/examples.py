"""Put the example profile and its events into Klaviyo, in three beats; tried again on the schedule of every delivery."""

from __future__ import annotations

from portal import beats, queue
from portal.db import db, transaction, utcnow
from portal.services import example_events


def ring_for_due() -> None:
    """Without Redis one merchant's are sent here: the ticker has events to deliver."""
    for merchant_id in example_events.due(utcnow()):
        if not queue.enqueue(queue.UPKEEP, queue.EXAMPLES, merchant_id):
            send(merchant_id)
            return


def send(merchant_id: int) -> None:
    """RQ job."""
    with transaction():
        ours = example_events.take(merchant_id, utcnow())
    if not ours:
        return
    taken = beats.send_examples(merchant_id)
    db.session.rollback()
    with transaction():
        example_events.settle(merchant_id, taken, utcnow())
