"""Ask Klaviyo about connections that have been quiet, so that an uninstalled app is noticed without an event."""

from __future__ import annotations

import logging

from portal import beats, queue
from portal.db import db, transaction, utcnow
from portal.klaviyo import KlaviyoError
from portal.services import checking

log = logging.getLogger(__name__)

# In one tick; with more connections than that the others follow in the next.
AT_ONCE = 10


def ring_for_due() -> None:
    """Hand what is due to the workers. Without Redis one of them is checked here: the ticker has events to deliver."""
    for merchant_id in checking.due(utcnow(), AT_ONCE):
        with transaction():
            ours = checking.take(merchant_id, utcnow())
        if ours and not queue.enqueue(queue.UPKEEP, queue.CHECK, merchant_id):
            check(merchant_id)
            return


def check(merchant_id: int) -> None:
    """RQ job. What cannot be told now is asked again when it is next due."""
    try:
        beats.confirm(merchant_id)
    except KlaviyoError as error:
        log.warning("check postponed", extra={"merchant_id": merchant_id, "error": type(error).__name__})
    finally:
        db.session.rollback()
