"""How many members each segment of the list has, which Klaviyo tells for one at a time: so that a person knows before choosing one.

Asked for beside the imports, and never of a merchant who has one under way: its own questions come first.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from portal import config
from portal.db import db, transaction, utcnow
from portal.jobs import turns
from portal.klaviyo import Client, KlaviyoError, segments
from portal.klaviyo.limits import SEGMENT_COUNT
from portal.services import segment_counts

# Klaviyo counts one every four seconds.
WAIT_SECONDS = 10.0


def count_next(importing: Collection[int] = ()) -> bool:
    """Whether there was one to ask about. What Klaviyo does not tell now is asked for again in an hour."""
    with transaction():
        wanted = segment_counts.next_uncounted(utcnow(), importing)
    if wanted is None:
        return False
    try:
        if not turns.has_leave(wanted.merchant_id, SEGMENT_COUNT, time.monotonic() + WAIT_SECONDS):
            return True
        client = Client(config.current().klaviyo_api_url, turns.token_for(wanted.merchant_id))
        told = segments.read_overview(client, wanted.klaviyo_segment_id, counted=True)
    except (KlaviyoError, turns.HaltError):
        return True
    finally:
        db.session.remove()
    with transaction():
        segment_counts.note(wanted.id, told, utcnow())
    return True
