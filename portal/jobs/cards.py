"""Bring a merchant's cards up to date: new versions first, then phones are woken and Google is told, at a pace that can be served.

Each phone that is woken comes back with two or three requests, so that more pushes than those would only make phones wait.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from portal import config, queue, wallet_beats
from portal.db import db, transaction, utcnow
from portal.models import Wallet
from portal.services import card_versions, cards, google_cards, google_saving, waking, wallet_accounts, wallet_health
from portal.wallet import PassCertificate, Pusher
from portal.wallet.google import REQUESTS_PER_SECOND

log = logging.getLogger(__name__)

# For each of the three parts of a turn, so that a hundred thousand phones do not keep Google waiting, nor new versions both.
PART_SECONDS = 2.0
# What fits into a second of one connection.
PUSHES_AT_ONCE = 200
# A batch has its answers well before its lease ends.
PUSH_SECONDS = 30.0


def publish(merchant_id: int) -> None:
    """RQ job: one turn, and a ring for the next if something is left."""
    more = take_turn(merchant_id)
    queue.answer(merchant_id, queue.CARDS)
    if more or is_due(merchant_id):
        queue.ring(merchant_id, queue.CARDS)


def take_turn(merchant_id: int) -> bool:
    """Is something left that could be done at once?"""
    try:
        made = _make_versions(merchant_id, time.monotonic() + PART_SECONDS)
        woken = _wake(merchant_id, time.monotonic() + PART_SECONDS)
        told = _tell_google(merchant_id, time.monotonic() + PART_SECONDS)
    finally:
        db.session.remove()
    return made or woken or told


def is_due(merchant_id: int) -> bool:
    return merchant_id in merchants_due()


def merchants_due() -> set[int]:
    """Those with cards to look at, or with phones or Google to tell, unless these rest."""
    now = utcnow()
    due = set(card_versions.merchants_due(now))
    for wallet, waiting in (
        (Wallet.APPLE, waking.merchants_due(now)),
        (Wallet.GOOGLE, google_cards.merchants_due(now)),
    ):
        due |= {merchant_id for merchant_id in waiting if not wallet_health.is_resting(merchant_id, wallet, now)}
    return due


def _make_versions(merchant_id: int, deadline: float) -> bool:
    """Not until nothing is due: where pushes keep coming, those phones would wait all that time."""
    while time.monotonic() < deadline:
        if _make_some(merchant_id) < card_versions.AT_ONCE:
            return False
        if waking.has_message(merchant_id, utcnow()):
            return True
    return True


def _make_some(merchant_id: int) -> int:
    with transaction():
        return card_versions.publish(merchant_id, utcnow())


# --- Apple ---------------------------------------------------------------------------------------


def _wake(merchant_id: int, deadline: float) -> bool:
    certificate = wallet_accounts.apple_certificate(merchant_id)
    resting = wallet_health.is_resting(merchant_id, Wallet.APPLE, utcnow())
    db.session.rollback()
    if certificate is None or resting:
        return False
    with ExitStack() as stack:
        pusher: Pusher | None = None
        while time.monotonic() < deadline:
            started = time.monotonic()
            _make_some(merchant_id)  # what has come meanwhile, so that its phones are woken over the same connection
            with transaction():
                wakes = waking.claim(merchant_id, certificate.pass_type_id, utcnow(), _at_once())
            if not wakes:
                return False
            pusher = pusher or stack.enter_context(_pusher(certificate))
            if not _push(merchant_id, pusher, wakes):
                return False
            _keep_pace(started, len(wakes), deadline)
    return True


def _push(merchant_id: int, pusher: Pusher, wakes: list[waking.Wake]) -> bool:
    """False where Apple is better left alone for a while."""
    pushed = pusher.push_many([wake.push_token for wake in wakes], seconds=PUSH_SECONDS)
    with transaction():
        waking.settle(merchant_id, wakes, pushed, utcnow())
    log.info("phones woken", extra={"merchant_id": merchant_id, "phones": len(wakes)})
    return not wallet_health.is_resting(merchant_id, Wallet.APPLE, utcnow())


@contextmanager
def _pusher(certificate: PassCertificate) -> Iterator[Pusher]:
    settings = config.current()
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(settings.apple_push_ca)
        file.flush()
        authorities = Path(file.name) if settings.apple_push_ca else None
        with Pusher(certificate, url=settings.apple_push_url, ca_file=authorities) as pusher:
            yield pusher


def _at_once() -> int:
    return min(PUSHES_AT_ONCE, config.current().pushes_per_second)


def _keep_pace(started: float, woken: int, deadline: float) -> None:
    """A few phones are no load; from a full batch on, the web service is given its time."""
    if woken == _at_once():
        rest = started + woken / config.current().pushes_per_second - time.monotonic()
        time.sleep(max(0.0, min(rest, deadline - time.monotonic())))


# --- Google --------------------------------------------------------------------------------------


def _tell_google(merchant_id: int, deadline: float) -> bool:
    now = utcnow()
    waiting = merchant_id in google_cards.merchants_due(now)
    resting = wallet_health.is_resting(merchant_id, Wallet.GOOGLE, now)
    db.session.rollback()
    if not waiting or resting or not wallet_beats.keep_class(merchant_id):
        return False
    while time.monotonic() < deadline:
        with transaction():
            errands = google_cards.claim(merchant_id, utcnow())
        if not errands:
            return False
        if not _carry(errands):
            return False
    return True


def _carry(errands: list[google_cards.CardErrand]) -> bool:
    """One after another, at no more than Google's rate; what follows a refusal of the account is given back."""
    for number, errand in enumerate(errands, 1):
        started = time.monotonic()
        wallet_beats.carry(errand)
        if wallet_health.is_resting(errand.merchant_id, Wallet.GOOGLE, utcnow()):
            with transaction():
                google_cards.release(errands[number:], utcnow())
            return False
        time.sleep(max(0.0, started + 1 / REQUESTS_PER_SECOND - time.monotonic()))
    return True


# --- periodic ------------------------------------------------------------------------------------


def ring_for_due() -> None:
    """Hand what is due to the workers; without Redis it is done here."""
    for merchant_id in merchants_due():
        if not queue.ring(merchant_id, queue.CARDS):
            take_turn(merchant_id)


def reconcile() -> None:
    """Every night: who holds a card, by Google's own list. Callbacks have been known to stay away for days."""
    for merchant_id in google_saving.merchants():
        wallet_beats.reconcile(merchant_id)
    with transaction():
        google_saving.forget_nonces(utcnow())


def forget_messages() -> None:
    """Every night, in pieces that hold nobody up."""
    gone = cards.FORGET_AT_ONCE
    while gone == cards.FORGET_AT_ONCE:
        with transaction():
            gone = cards.forget_messages(utcnow())
