"""Who holds a card in Google Wallet: by Google's callbacks, each acted upon once, and every night by Google's own list."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from portal import config
from portal.db import changed_rows, db, insert_or_update, one_of
from portal.models import Card, GoogleCard, GoogleNonce
from portal.services import card_events, google_face, ledger, wallet_accounts
from portal.wallet.google import (
    Callback,
    CallbackError,
    GoogleWallet,
    Happened,
    Holding,
    KeysUnavailableError,
    root_keys,
    verify_callback,
)

# What an edge has to tell apart; it does not know the library.
NotBelievedError, AskAgainError = CallbackError, KeysUnavailableError
KEEP_NONCES = timedelta(days=30)


def verify(merchant_id: int, body: bytes) -> Callback:
    """May fetch Google's keys. Raises `CallbackError`, or `KeysUnavailableError`: ask for a repeat."""
    issuer = wallet_accounts.google_issuer(merchant_id)
    if issuer is None:
        raise CallbackError("there is no account at Google here")
    return verify_callback(body, issuer.issuer_id, root_keys(config.current().google_keys_url))


def act(merchant_id: int, callback: Callback, now: datetime) -> bool:
    """Note that a card was saved or removed; False for a copy, and for a card that is not the merchant's."""
    digest = hashlib.sha256(f"{merchant_id}:{callback.nonce}".encode()).hexdigest()
    first = insert_or_update(GoogleNonce).values(nonce_hash=digest, at=now)
    if not changed_rows(db.session.execute(first.on_conflict_do_nothing(index_elements=["nonce_hash"]))):
        return False
    row = db.session.scalar(
        select(GoogleCard).where(GoogleCard.merchant_id == merchant_id, GoogleCard.object_id == callback.object_id)
    )
    return row is not None and hold(row.card_id, callback.happened is Happened.SAVED)


def hold(card_id: int, held: bool) -> bool:
    """Somebody has the card, or nobody has it any more. False where that was known."""
    card = db.session.get_one(Card, card_id)
    ledger.lock([card.customer_id])
    query = select(GoogleCard).where(GoogleCard.card_id == card_id).with_for_update()
    row = db.session.scalars(query.execution_options(populate_existing=True)).one()
    if row.has_users == held:
        return False
    row.has_users = held
    row.installs += held
    event = "card_installed" if held else "card_uninstalled"
    about = f"{card.id}:{card_events.ANDROID}:{row.installs}"
    card_events.tell(card.merchant_id, card.customer_id, event, about, platform=card_events.ANDROID)
    return True


def forget_nonces(now: datetime) -> None:
    """A callback is past its time long before."""
    db.session.execute(delete(GoogleNonce).where(GoogleNonce.at < now - KEEP_NONCES))


# --- every night ---------------------------------------------------------------------------------


def merchants() -> Sequence[int]:
    """Those who have cards at Google."""
    return db.session.scalars(select(GoogleCard.merchant_id).distinct()).all()


def list_of(merchant_id: int) -> tuple[GoogleWallet, str] | None:
    """Whom to ask, and for which class."""
    issuer = wallet_accounts.google_issuer(merchant_id)
    return None if issuer is None else (issuer.wallet(), google_face.class_id(issuer, merchant_id))


def compare(merchant_id: int, holdings: Sequence[Holding]) -> int:
    """Put right what no callback told; how many that were."""
    rows = db.session.scalars(
        select(GoogleCard).where(
            GoogleCard.merchant_id == merchant_id, one_of(GoogleCard.object_id, [each.id for each in holdings])
        )
    )
    known = {row.object_id: row for row in rows}
    wrong = [
        (known[each.id].card_id, each.has_users)
        for each in holdings
        if each.id in known and known[each.id].has_users != each.has_users
    ]
    return sum(hold(card_id, held) for card_id, held in sorted(wrong))
