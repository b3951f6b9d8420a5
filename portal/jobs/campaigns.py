"""Work on campaigns in short turns that can be cut off at any point: what was assigned is committed, and the next turn goes on after it."""

from __future__ import annotations

import time

from portal import queue
from portal.db import db, repeat, transaction, utcnow
from portal.errors import ForbiddenError
from portal.services import assigning

TURN_SECONDS = 2.0


def advance(campaign_id: int) -> None:
    """RQ job: work for one turn, and ask for another if something is left."""
    if take_turn(campaign_id):
        queue.enqueue(queue.CAMPAIGNS, queue.CAMPAIGN, campaign_id)


def ring_for_due() -> None:
    """Hand to the workers what nobody works on. Without Redis one turn is taken here."""
    for campaign_id in assigning.due(utcnow()):
        with transaction():
            ours = assigning.hold(campaign_id, utcnow())
        if ours and not queue.enqueue(queue.CAMPAIGNS, queue.CAMPAIGN, campaign_id):
            take_turn(campaign_id)
            return


def take_turn(campaign_id: int) -> bool:
    """Work for up to TURN_SECONDS; whether there is more to do at once. Harmless when doubled: the campaign's row is locked."""
    deadline = time.monotonic() + TURN_SECONDS
    try:
        while time.monotonic() < deadline:
            if not repeat(lambda: _step(campaign_id)):
                return False
        return True
    except ForbiddenError as refusal:  # a person has paused all pushes
        db.session.rollback()
        with transaction():
            assigning.give_up(campaign_id, refusal.message)
        return False


def _step(campaign_id: int) -> bool:
    with transaction():
        return assigning.assign_some(campaign_id, utcnow())
