"""Revoke tokens that are no longer used at Klaviyo, and keep idle ones alive."""

from __future__ import annotations

import logging

from portal import beats
from portal.db import db, transaction, utcnow
from portal.klaviyo import NoAnswerError
from portal.services import revoking, tokens

log = logging.getLogger(__name__)


def revoke(grant_id: int) -> None:
    """RQ job: tell Klaviyo, then forget the token. If Klaviyo cannot be reached the ticker comes back to it."""
    refresh_token = revoking.token_of(grant_id)
    db.session.rollback()
    if refresh_token:
        try:
            beats.klaviyo_app().revoke(refresh_token)
        except NoAnswerError:
            log.warning("revoke postponed", extra={"grant": grant_id})
            return
    with transaction():
        revoking.forget(grant_id)


def revoke_outstanding() -> None:
    for grant_id in revoking.outstanding():
        revoke(grant_id)


def keep_alive() -> None:
    """Refresh what has not been used for a week: Klaviyo lets a refresh token die after 90 days."""
    for merchant_id in tokens.idle(utcnow()):
        with transaction():
            ours = tokens.begin_refresh(merchant_id, None, utcnow(), even_if_usable=True)
        if ours is None:
            continue
        try:
            beats.refresh(merchant_id, ours)
        except NoAnswerError:
            log.warning("refresh postponed", extra={"merchant_id": merchant_id})
