"""Customers with cards, for tests of what becomes of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask import Flask
from sqlalchemy import select

from portal.db import db, new_id, transaction, utcnow
from portal.models import Card, Customer, Device, Registration
from portal.services import card_versions, cards
from portal.services.customers import Identifiers
from tests import factories
from tests.factories import Shop

LATER = timedelta(seconds=5)


def customer(app: Flask, shop: Shop, email: str = "ada@example.com") -> int:
    with app.app_context():
        person = factories.know(shop.id, [Identifiers(email=email)])[0]
        assert person is not None
        return person.id


def card(app: Flask, shop: Shop, email: str = "ada@example.com") -> Card:
    """The card of a customer who was not known before."""
    customer_id = customer(app, shop, email)
    with app.app_context(), transaction():
        found = db.session.get(Customer, customer_id)
        assert found is not None
        return cards.card_of(found)


def reload(app: Flask, card: Card) -> Card:
    with app.app_context():
        return db.session.scalars(select(Card).where(Card.id == card.id)).one()


def on_phone(app: Flask, card: Card, **values: Any) -> int:
    """Registered on a phone that has the card as it is; the device's id."""
    with app.app_context(), transaction():
        device = Device(
            id=new_id(),
            merchant_id=card.merchant_id,
            library_id=f"phone-{new_id()}",
            pass_type_id="pass.com.example.loyalty",
            push_token=f"{new_id():064x}",
            **values,
        )
        db.session.add(device)
        db.session.flush()
        db.session.add(
            Registration(
                device_id=device.id, card_id=card.id, merchant_id=card.merchant_id, fetched_version=card.version
            )
        )
        return device.id


def publish(app: Flask, shop: Shop, now: datetime | None = None) -> int:
    with app.app_context(), transaction():
        return card_versions.publish(shop.id, now or utcnow() + LATER)


def say(app: Flask, card: Card, text: str, url: str | None = None) -> int:
    with app.app_context(), transaction():
        (made,) = cards.show_messages(card.merchant_id, [cards.Said(card.customer_id, text, url)])
    assert made is not None
    return made
