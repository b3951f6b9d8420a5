"""Bring a merchant's pushes on their way: to the cards, to Google, and look which phones have fetched them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from portal import queue
from portal.db import db, transaction, utcnow
from portal.models import Wallet
from portal.services import push_google, push_outcomes, push_sending, push_to_all, wallet_health

log = logging.getLogger(__name__)

TURN_SECONDS = 5.0
# Google takes twenty requests a second; each may wait for an answer.
LANES = 8


def send(merchant_id: int) -> None:
    """RQ job: one turn, and a ring for the next if something is left."""
    more = take_turn(merchant_id)
    queue.answer(merchant_id, queue.PUSHES)
    if more or merchant_id in merchants_due():
        queue.ring(merchant_id, queue.PUSHES)


def ring_for_due() -> None:
    """Hand what is due to the workers; without Redis it is done here."""
    for merchant_id in sorted(merchants_due()):
        if not queue.ring(merchant_id, queue.PUSHES):
            take_turn(merchant_id)


def merchants_due() -> set[int]:
    """Those with something to send, to tell Google, or to look at; but Google may rest."""
    now = utcnow()
    google = push_outcomes.merchants_due(now, Wallet.GOOGLE)
    return {
        *push_sending.merchants_due(now),
        *push_outcomes.merchants_due(now, Wallet.APPLE),
        *(each for each in google if not wallet_health.is_resting(each, Wallet.GOOGLE, now)),
    }


def take_turn(merchant_id: int) -> bool:
    """Is something left that could be done at once?"""
    deadline = time.monotonic() + TURN_SECONDS
    try:
        more = _repeat(merchant_id, push_sending.send_due, push_sending.AT_ONCE, deadline)
        more |= _tell_google(merchant_id, deadline)
        more |= _repeat(merchant_id, push_outcomes.look, push_outcomes.AT_ONCE, deadline)
    finally:
        db.session.remove()
    return more


def _repeat(merchant_id: int, step: Callable[[int, datetime], int], at_once: int, deadline: float) -> bool:
    """`step` until it finds less than it can do at once; True where the time was up first.

    Where pushes keep coming it never finds nothing, and would keep the other parts of the turn waiting.
    """
    while time.monotonic() < deadline:
        with transaction():
            found = step(merchant_id, utcnow())
        if found < at_once:
            return False
    return True


def _tell_google(merchant_id: int, deadline: float) -> bool:
    while time.monotonic() < deadline:
        resting = wallet_health.is_resting(merchant_id, Wallet.GOOGLE, utcnow())
        db.session.rollback()
        if resting or merchant_id not in push_outcomes.merchants_due(utcnow(), Wallet.GOOGLE):
            return False
        with transaction():
            to_all = push_to_all.claim(merchant_id, utcnow())
            errands = [] if to_all else push_google.claim(merchant_id, utcnow())
        if to_all:
            _tell_all(to_all)
            continue
        with ThreadPoolExecutor(LANES) as pool:
            answers = list(pool.map(push_google.send, errands))
        with transaction():
            for errand, (reply, message) in zip(errands, answers, strict=True):
                push_google.settle(errand, reply, message, utcnow())
        log.info("messages given to google", extra={"merchant_id": merchant_id, "messages": len(errands)})
    return True


def _tell_all(errand: push_to_all.Errand) -> None:
    outcome, more = push_to_all.send(errand), True
    while more:
        with transaction():
            more = push_to_all.settle(errand, outcome, utcnow())
    log.info("a message given to google for all cards", extra={"merchant_id": errand.merchant_id})
