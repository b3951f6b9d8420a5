"""Keeping a programme and its cards at Google in step with ours: claim, call, settle. Repeating any of it does no harm.

Google calls them loyalty class and loyalty object; nothing can be deleted there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update

from portal import config
from portal.db import changed_rows, db, insert_or_update
from portal.models import Card, GoogleCard, GoogleClass, Merchant, Wallet
from portal.services import card_designs, google_face, wallet_accounts, wallet_health
from portal.services.apple_cards import dress
from portal.services.wallet_accounts import Issuer
from portal.wallet.google import GoogleWallet, LoyaltyClass, LoyaltyObject, Outcome, Reply, save_link

LEASE = timedelta(seconds=60)
RETRY_AFTER = tuple(timedelta(seconds=each) for each in (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 21_600))
AT_ONCE = 20


@dataclass(frozen=True)
class ClassErrand:
    """`digest` is of what is to be told; `known` says that Google has the class already."""

    merchant_id: int
    wallet: GoogleWallet
    resource: LoyaltyClass
    digest: str
    known: bool


@dataclass(frozen=True)
class CardErrand:
    """`attempt` guards the settling: a late worker changes nothing."""

    merchant_id: int
    card_id: int
    wallet: GoogleWallet
    resource: LoyaltyObject
    version: int
    attempt: int
    known: bool


# --- the programme -------------------------------------------------------------------------------


def class_errand(merchant_id: int) -> ClassErrand | None:
    """What Google is to be told about the programme; None where it knows, or cannot be called."""
    issuer = wallet_accounts.google_issuer(merchant_id)
    if issuer is None:
        return None
    merchant = db.session.get_one(Merchant, merchant_id)
    resource = google_face.programme(issuer, card_designs.current(merchant), merchant.programme_name)
    digest = hashlib.sha256(json.dumps(resource.for_insert(), sort_keys=True).encode()).hexdigest()
    known = db.session.get(GoogleClass, merchant_id)
    same = known is not None and known.class_id == resource.id
    if same and known is not None and known.digest == digest:
        return None
    return ClassErrand(merchant_id, issuer.wallet(), resource, digest, bool(same and known and known.digest))


def tell_class(errand: ClassErrand) -> Reply:
    """Calls Google."""
    if not errand.known:
        return errand.wallet.put(errand.resource)
    reply = errand.wallet.patch(errand.resource)
    return errand.wallet.insert(errand.resource) if reply.outcome is Outcome.MISSING else reply


def settle_class(errand: ClassErrand, reply: Reply, now: datetime) -> None:
    if not _is_taken(errand.merchant_id, reply, now):
        if reply.outcome is Outcome.REFUSED:
            wallet_health.note_problem(errand.merchant_id, Wallet.GOOGLE, _refusal("the programme", reply), now)
        return
    values = {"class_id": errand.resource.id, "digest": errand.digest, "due_at": None, "attempts": 0}
    row = insert_or_update(GoogleClass).values(merchant_id=errand.merchant_id, **values)
    db.session.execute(row.on_conflict_do_update(index_elements=["merchant_id"], set_=values))


# --- cards ---------------------------------------------------------------------------------------


def want_card(card: Card, now: datetime) -> GoogleCard | None:
    """The card's row, due at once where Google does not have it as it is; None where Google cannot be called."""
    issuer = wallet_accounts.google_issuer(card.merchant_id)
    if issuer is None:
        return None
    object_id = google_face.object_id(issuer, card.serial)
    made = insert_or_update(GoogleCard).values(
        card_id=card.id,
        merchant_id=card.merchant_id,
        object_id=object_id,
        class_id=google_face.class_id(issuer, card.merchant_id),
        due_at=now,
    )
    db.session.execute(made.on_conflict_do_nothing(index_elements=["card_id"]))
    row = db.session.get_one(GoogleCard, card.id, populate_existing=True)
    if row.object_id != object_id:  # another issuer than before: Google does not have it there
        row.object_id, row.class_id = object_id, google_face.class_id(issuer, card.merchant_id)
        row.synced_version, row.has_users = 0, False
    if row.synced_version < card.version:
        row.due_at, row.attempts = now, 0
    return row


def merchants_due(now: datetime) -> Sequence[int]:
    return db.session.scalars(select(GoogleCard.merchant_id).where(GoogleCard.due_at <= now).distinct()).all()


def claim(merchant_id: int, now: datetime, *, card_id: int | None = None, limit: int = AT_ONCE) -> list[CardErrand]:
    """Cards that Google is to be told about, leased; one of them, or those that have been due longest."""
    issuer = wallet_accounts.google_issuer(merchant_id)
    if issuer is None:
        return []
    due = select(GoogleCard).where(GoogleCard.merchant_id == merchant_id, GoogleCard.due_at <= now)
    due = due.where(GoogleCard.card_id == card_id) if card_id else due.order_by(GoogleCard.due_at).limit(limit)
    errands = []
    for row in db.session.scalars(due.with_for_update(skip_locked=True)):
        row.due_at, row.attempts = now + LEASE, row.attempts + 1
        card = db.session.get_one(Card, row.card_id)
        errands.append(
            CardErrand(
                merchant_id,
                card.id,
                issuer.wallet(),
                google_face.card(issuer, dress(card)),
                card.version,
                row.attempts,
                row.synced_version > 0,
            )
        )
    return errands


def tell_card(errand: CardErrand) -> Reply:
    """Calls Google."""
    if not errand.known:
        return errand.wallet.put(errand.resource)
    reply = errand.wallet.patch(errand.resource)
    return errand.wallet.insert(errand.resource) if reply.outcome is Outcome.MISSING else reply


def settle(errand: CardErrand, reply: Reply, now: datetime) -> bool:
    """Whether Google has the card now."""
    if _is_taken(errand.merchant_id, reply, now):
        version = db.session.scalar(select(Card.version).where(Card.id == errand.card_id))
        again = now if version != errand.version else None
        return _set(errand, synced_version=errand.version, due_at=again, attempts=0, problem=None)
    if reply.outcome is Outcome.REFUSED:
        _set(errand, due_at=None, problem=_refusal("the card", reply))
    elif reply.outcome is Outcome.THROTTLED:
        _set(errand, due_at=now, attempts=errand.attempt - 1)
    elif errand.attempt > len(RETRY_AFTER):
        _set(errand, due_at=now + RETRY_AFTER[-1])
    else:
        _set(errand, due_at=now + RETRY_AFTER[errand.attempt - 1])
    if reply.outcome is Outcome.MISSING:  # the class is gone: it is told anew
        db.session.execute(update(GoogleClass).where(GoogleClass.merchant_id == errand.merchant_id).values(digest=""))
    return False


def release(errands: Sequence[CardErrand], now: datetime) -> None:
    """They were not called after all."""
    for errand in errands:
        _set(errand, due_at=now, attempts=errand.attempt - 1)


def _set(errand: CardErrand, **values: object) -> bool:
    ours = (GoogleCard.card_id == errand.card_id) & (GoogleCard.attempts == errand.attempt)
    return changed_rows(db.session.execute(update(GoogleCard).where(ours).values(**values))) == 1


def save_url(card_id: int) -> str | None:
    """The link behind the button, made for this click; None where Google does not have the card."""
    row = db.session.get(GoogleCard, card_id)
    issuer = wallet_accounts.google_issuer(row.merchant_id) if row else None
    if row is None or issuer is None or not row.synced_version:
        return None
    return _save_link(issuer, row)


def _save_link(issuer: Issuer, row: GoogleCard) -> str:
    settings = config.current()
    origins = (settings.public_url,)
    return save_link(issuer.account, row.object_id, row.class_id, origins=origins, save_url=settings.google_save_url)


# --- what answers mean ---------------------------------------------------------------------------


def _is_taken(merchant_id: int, reply: Reply, now: datetime) -> bool:
    if reply.ok:
        wallet_health.note_well(merchant_id, Wallet.GOOGLE)
    elif reply.outcome in _ABOUT_THE_ACCOUNT:
        wallet_health.note_problem(merchant_id, Wallet.GOOGLE, _ABOUT_THE_ACCOUNT[reply.outcome], now)
    elif reply.outcome is Outcome.THROTTLED:
        wallet_health.note_trouble(merchant_id, Wallet.GOOGLE, now, seconds=2)
    elif reply.outcome is Outcome.TROUBLE:
        wallet_health.note_trouble(merchant_id, Wallet.GOOGLE, now)
    return reply.ok


_ABOUT_THE_ACCOUNT = {
    Outcome.KEY_REFUSED: "Google no longer accepts the service account's key. Cards on Android phones are not updated "
    "until there is a new one. Create a key in the Google Cloud console and upload it.",
    Outcome.FORBIDDEN: "Google says that the service account may not act for this issuer. Cards on Android phones are not "
    "updated. In the Google Pay & Wallet console, invite the service account as a developer.",
}


def _refusal(what: str, reply: Reply) -> str:
    return f"Google refused {what}: {reply.said}"[:500]
