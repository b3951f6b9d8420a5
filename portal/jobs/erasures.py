"""Tell Klaviyo whom to erase, in three beats; what could not be told is tried again for as long as it takes."""

from __future__ import annotations

import logging

from portal import beats, config, queue
from portal.db import db, transaction, utcnow
from portal.klaviyo import Client, NoAnswerError, UnauthorizedError, bodies, verdict
from portal.services import delivering, erasing

log = logging.getLogger(__name__)

# In one tick; the others follow in the next. Klaviyo takes sixty a minute.
AT_ONCE = 3
NO_ACCESS = "Klaviyo does not accept our access at the moment. Reconnect to continue."


def ring_for_due() -> None:
    """Hand what is due to the workers. Without Redis one is passed on here: the ticker has events to deliver."""
    for erasure_id in erasing.due(utcnow(), AT_ONCE):
        if not queue.enqueue(queue.UPKEEP, queue.ERASE, erasure_id):
            pass_on(erasure_id)
            return


def pass_on(erasure_id: int) -> None:
    """RQ job."""
    with transaction():
        taken = erasing.take(erasure_id, utcnow())
    if taken is None:
        return
    merchant_id, body = taken
    try:
        token = beats.fresh_token(merchant_id)
        answer = token and _client(token).send("POST", bodies.ERASURE_PATH, body=body)
        if answer and isinstance(verdict(answer), UnauthorizedError):
            token = beats.fresh_token(merchant_id, rejected=token)
            answer = token and _client(token).send("POST", bodies.ERASURE_PATH, body=body)
    except NoAnswerError as error:
        with transaction():
            erasing.put_off(erasure_id, delivering.explain_trouble(error), utcnow())
        return
    finally:
        db.session.rollback()
    with transaction():
        if answer:
            erasing.settle(erasure_id, answer, utcnow())
        else:
            erasing.put_off(erasure_id, NO_ACCESS, utcnow())
    log.info("erasure passed on", extra={"merchant_id": merchant_id, "status": answer.status if answer else None})


def _client(token: str) -> Client:
    return Client(config.current().klaviyo_api_url, token)
