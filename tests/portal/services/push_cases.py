"""Makes customers and pushes for tests of what people see of them; nothing is sent."""

from __future__ import annotations

from secrets import token_hex
from typing import Any

from flask import Flask

from portal.db import db, transaction, utcnow
from portal.models import Customer, Push, PushReason, PushSource, PushState
from portal.services import cards, pushing
from portal.services.customers import Identifiers
from portal.services.push_orders import hear_push
from tests import factories
from tests.factories import Shop
from tests.portal.services import card_cases


def customer(app: Flask, shop: Shop, email: str, **columns: Any) -> int:
    """The id of somebody new."""
    with app.app_context():
        person = factories.know(shop.id, [Identifiers(email=email)])[0]
        assert person is not None
        with transaction():
            for name, value in columns.items():
                setattr(db.session.get_one(Customer, person.id), name, value)
        return person.id


def push(app: Flask, shop: Shop, customer_id: int, message: str, source: PushSource = PushSource.API) -> int:
    """As it is taken, or kept as refused; its id."""
    with app.app_context():
        with transaction():
            order = {"customer_id": f"cus_{customer_id}", "message": message, "idempotency_key": token_hex(6)}
            pushing.accept(shop.id, hear_push(order, source=source), utcnow())
        query = db.select(Push.id).where(Push.customer_id == customer_id).order_by(Push.id.desc())
        return int(db.session.scalars(query).first() or 0)


def settle(app: Flask, push_id: int, state: PushState, reason: PushReason | None) -> None:
    """As if it had come to this end before it went out."""
    with app.app_context(), transaction():
        found = db.session.get_one(Push, push_id)
        found.state, found.reason, found.due_at, found.settled_at = state, reason, None, utcnow()


def put_on_phone(app: Flask, shop: Shop, customer_id: int) -> None:
    """The customer's card, on an iPhone."""
    with app.app_context(), transaction():
        card = cards.card_of(db.session.get_one(Customer, customer_id))
    card_cases.on_phone(app, card)
