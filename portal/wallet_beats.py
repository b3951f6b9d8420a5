"""Calls to Google Wallet in three beats: a transaction, the call, a transaction. For edges, outside of any transaction."""

from __future__ import annotations

from portal.db import db, transaction, utcnow
from portal.models import Card
from portal.services import google_cards, google_saving


def keep_class(merchant_id: int) -> bool:
    """Tell Google about the programme where it does not know it as it is. False where that did not work."""
    errand = google_cards.class_errand(merchant_id)
    db.session.rollback()
    if errand is None:
        return True
    reply = google_cards.tell_class(errand)
    with transaction():
        google_cards.settle_class(errand, reply, utcnow())
    return reply.ok


def carry(errand: google_cards.CardErrand) -> bool:
    """Tell Google about one card."""
    reply = google_cards.tell_card(errand)
    with transaction():
        return google_cards.settle(errand, reply, utcnow())


def save_url(card: Card) -> str | None:
    """The link with which this customer saves the card now, at Google as it is with us; None where Google cannot be had."""
    with transaction():
        if google_cards.want_card(card, utcnow()) is None:
            return None
    if not keep_class(card.merchant_id):
        return None
    with transaction():
        errands = google_cards.claim(card.merchant_id, utcnow(), card_id=card.id)
    for errand in errands:
        carry(errand)
    url = google_cards.save_url(card.id)
    db.session.rollback()
    return url


def reconcile(merchant_id: int) -> int:
    """Compare who holds a card with Google's own list; how many differed. A page that cannot be had is left for tomorrow."""
    asked = google_saving.list_of(merchant_id)
    db.session.rollback()
    if asked is None:
        return 0
    wallet, class_id = asked
    page, differed = wallet.list_objects(class_id), 0
    while page.reply.ok:
        with transaction():
            differed += google_saving.compare(merchant_id, page.holdings)
        if not page.next:
            break
        page = wallet.list_objects(class_id, page.next)
    return differed
