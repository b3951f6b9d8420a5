"""`POST /google-wallet/callback/<merchant>`: Google tells that a card was saved or removed. Believed only when Google signed it."""

from __future__ import annotations

import logging

from flask import Blueprint, request

from portal.blueprints.limiting import limit_by_address
from portal.db import db, repeat, transaction, utcnow
from portal.services import google_saving
from portal.services.card_links import CALLBACK_PATH
from portal.web.guards import public

log = logging.getLogger(__name__)
bp = Blueprint("google_callbacks", __name__, url_prefix=CALLBACK_PATH)


@bp.post("/<int:merchant_id>")
@public
def receive(merchant_id: int) -> tuple[str, int]:
    """204 for what is believed, once or again; 400 for what is not; 503 where that cannot be told now."""
    limit_by_address("google callbacks", per_second=100)
    try:
        callback = google_saving.verify(merchant_id, request.get_data())
    except google_saving.AskAgainError:
        return "", 503
    except google_saving.NotBelievedError as error:
        log.warning("callback refused", extra={"merchant_id": merchant_id, "error": type(error).__name__})
        return "", 400
    finally:
        db.session.rollback()

    def write() -> None:
        with transaction():
            google_saving.act(merchant_id, callback, utcnow())

    repeat(write)
    return "", 204
