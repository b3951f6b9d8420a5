"""Customers who have the card on an iPhone, by the thousand: into the portal's database, as if they had come over the years.

Their push tokens are nobody's: Apple's stand-in takes the pushes, and no phone comes to fetch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import insert, select

from bench.stack import Stack
from portal import config, create_app
from portal.db import db, new_ids, transaction, utcnow
from portal.models import Card, CardStatus, Customer, Device, Merchant, Registration
from portal.services import programme
from portal.services.card_face import faces
from portal.services.wallet_accounts import apple_certificate

AT_ONCE = 5_000


@contextmanager
def portal_of(stack: Stack) -> Iterator[int]:
    """Within the portal's own code, against the stack's database; the merchant's id."""
    app = create_app(config.load(stack.env))
    with app.app_context():
        merchant_id: int = db.session.scalars(select(Merchant.id)).one()
        db.session.rollback()
        try:
            yield merchant_id
        finally:
            db.session.remove()
            db.engine.dispose()


def make(merchant_id: int, number: int) -> list[int]:
    """So many of them; the ids of the customers, `holder-0@example.com` and so on."""
    made: list[int] = []
    while len(made) < number:
        with transaction():
            made += _some(merchant_id, len(made), min(AT_ONCE, number - len(made)))
        db.session.expunge_all()
    return made


def token(number: int) -> str:
    """The push token of the nth of them."""
    return f"{number:064x}"


def _some(merchant_id: int, first: int, count: int) -> list[int]:
    now, ids = utcnow().replace(microsecond=0), new_ids(count)
    # Where everybody begins: nobody is to be moved while something is measured.
    lowest = min(programme.tiers_of(merchant_id), key=lambda tier: tier.threshold)
    people = [
        {
            "id": customer_id,
            "merchant_id": merchant_id,
            "email": f"holder-{number}@example.com",
            "card_status": CardStatus.INSTALLED.value,
            "on_ios": True,
            "tier_id": lowest.id,
            "tier_entered_at": now,
        }
        for number, customer_id in enumerate(ids, first)
    ]
    db.session.execute(insert(Customer), people)
    made = db.session.scalars(select(Customer).where(Customer.id.between(ids[0], ids[-1])))
    shown, cards = faces(merchant_id, made), new_ids(count)
    told = [
        {
            "id": card_id,
            "merchant_id": merchant_id,
            "customer_id": customer_id,
            "token_sealed": "",
            "modified_at": now,
            "face": shown[customer_id],
        }
        for card_id, customer_id in zip(cards, ids, strict=True)
    ]
    db.session.execute(insert(Card), told)
    _put_on_phones(merchant_id, cards, first)
    return ids


def _put_on_phones(merchant_id: int, cards: Sequence[int], first: int) -> None:
    certificate, devices = apple_certificate(merchant_id), new_ids(len(cards))
    assert certificate is not None
    phones = [
        {
            "id": device_id,
            "merchant_id": merchant_id,
            "library_id": f"holder-{number}",
            "pass_type_id": certificate.pass_type_id,
            "push_token": token(number),
        }
        for number, device_id in enumerate(devices, first)
    ]
    db.session.execute(insert(Device), phones)
    pairs = zip(devices, cards, strict=True)
    known = [{"device_id": device, "card_id": card, "merchant_id": merchant_id} for device, card in pairs]
    db.session.execute(insert(Registration), known)
