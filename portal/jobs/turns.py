"""What every turn of calls to Klaviyo needs: an access token, and leave under the account's rate limits."""

from __future__ import annotations

import time
from functools import cache

from portal import config, queue
from portal.beats import fresh_token
from portal.db import db, transaction, utcnow
from portal.klaviyo import NoAnswerError
from portal.klaviyo.limits import Pace, Pacer
from portal.services import connection_health, delivering


class HaltError(Exception):
    """This merchant has nothing to do right now: its connection is broken, gone, or rests."""


def token_for(merchant_id: int, rejected: str | None = None) -> str:
    """An access token that should be taken. Raises `HaltError`, and then the connection says why."""
    try:
        token = fresh_token(merchant_id, rejected=rejected)
    except NoAnswerError as error:
        reason = delivering.explain_trouble(error)
        with transaction():
            connection_health.pause(merchant_id, delivering.soon(utcnow()), reason)
            delivering.note_failure(merchant_id, reason, utcnow())
        raise HaltError from error
    if token is None:
        raise HaltError
    return token


class Access:
    """The token with which one claim's rows are sent. Raises `HaltError`."""

    def __init__(self, merchant_id: int) -> None:
        self._merchant_id, self.token = merchant_id, token_for(merchant_id)

    def renew(self) -> None:
        """Klaviyo has not taken it. Raises `HaltError`."""
        self.token = token_for(self._merchant_id, self.token)


def has_leave(merchant_id: int, pace: Pace, until: float) -> bool:
    """Wait for our share of the rate limit; False when it would not come in time.

    Klaviyo's limits are the account's, and no two merchants are connected with the same.
    """
    if not config.current().klaviyo_pacing:
        return True
    while seconds := pacer().wait(pace, merchant_id):
        db.session.rollback()
        if time.monotonic() + seconds > until:
            return False
        time.sleep(seconds)
    return True


@cache
def pacer() -> Pacer:
    return Pacer(queue.client(), config.current().workers)
