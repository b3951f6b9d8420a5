"""The last refusals of push requests, by kind: what a merchant sees beside the webhook, for Klaviyo shows them a status only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select

from portal.db import db, insert_or_update
from portal.errors import PortalError
from portal.models import PushRefusal

MOST_KINDS = 50
REMEDIES = {
    "malformed_json": "A value with a quotation mark or a line break in it breaks the JSON that the template makes. Leave names and "
    "other free texts out of the body, or take them from a property without such characters.",
    "customer_not_found": "Copy the body of the webhook from here: it names the customer in four ways. Whoever is in no programme yet "
    "cannot be reached by a push.",
    "no_installed_pass": "Expected for customers without a card. Let the flow go on with an email that carries the card's link.",
    "expired": "The push came too late to be shown. Choose a later expires_at, or leave it out.",
    "conflict": "The idempotency key is the same for different messages. Put the flow's name and the event's id into it.",
    "unsupported_media_type": "Add the header Content-Type with the value application/json to the webhook.",
    "pushes_paused": "Resume pushes under Push > Settings.",
}


def note(merchant_id: int, error: PortalError, now: datetime) -> None:
    kind = {"merchant_id": merchant_id, "code": error.code[:40], "field": (error.field or "")[:60]}
    last = {"status": error.status, "message": error.message[:500], "last_at": now}
    row = insert_or_update(PushRefusal).values(**kind, **last, times=1)
    db.session.execute(
        row.on_conflict_do_update(
            index_elements=["merchant_id", "code", "field"], set_={**last, "times": PushRefusal.times + 1}
        )
    )
    kept = select(PushRefusal.last_at).where(PushRefusal.merchant_id == merchant_id)
    oldest = kept.order_by(PushRefusal.last_at.desc()).offset(MOST_KINDS).limit(1).scalar_subquery()
    db.session.execute(
        delete(PushRefusal).where(PushRefusal.merchant_id == merchant_id, PushRefusal.last_at <= oldest),
        execution_options={"synchronize_session": False},
    )


def latest(merchant_id: int, limit: int = 10) -> Sequence[PushRefusal]:
    query = select(PushRefusal).where(PushRefusal.merchant_id == merchant_id)
    return db.session.scalars(query.order_by(PushRefusal.last_at.desc()).limit(limit)).all()


def remedy(refusal: PushRefusal) -> str:
    """What the merchant can do about it."""
    if refusal.code in REMEDIES:
        return REMEDIES[refusal.code]
    if refusal.field:
        return f"Correct {refusal.field} in the body of the webhook."
    return "Compare the webhook with the one that is shown here."
