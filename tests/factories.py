"""Makes what tests begin with, through the portal's own services: merchants, connections, events."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from pydantic import ValidationError
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal import beats
from portal.db import db, transaction
from portal.models import Connection, Delivery, DeliveryState, Module, Role
from portal.services import accounts, api_keys, connecting, modules
from portal.services.customers import Identifiers, Person, identify, save
from portal.services.hearing import identifiers_of
from portal.services.telling import EventIn
from tests.klaviyo_account import NORDIC, Sandbox

PASSWORD = "four quiet words here"
ACTOR = "owner@nordic.example"
_numbers = count(1)


@dataclass(frozen=True)
class Shop:
    """A merchant with an owner who can log in, and a program's key."""

    id: int
    name: str
    email: str
    api_key: str
    password: str = PASSWORD


def make_shop(app: Flask, name: str = "Nordic Coffee") -> Shop:
    number = next(_numbers)
    email = f"owner{number}@nordic.example"
    with app.app_context():
        with transaction():
            merchant = accounts.create_merchant(name, slug=f"shop-{number}", timezone="Europe/Copenhagen")
            accounts.add_member(merchant.id, email, "Olga Owner", PASSWORD, Role.OWNER)
            _, secret = api_keys.create(merchant.id, "Till")
        return Shop(merchant.id, name, email, secret)


def add_member(app: Flask, shop: Shop, role: Role = Role.MEMBER) -> str:
    """The address of one more person in the team; the password is the same."""
    email = f"member{next(_numbers)}@nordic.example"
    with app.app_context(), transaction():
        accounts.add_member(shop.id, email, "Mia Member", PASSWORD, role)
    return email


def connect(app: Flask, sandbox: Sandbox, shop: Shop, account: str = NORDIC) -> None:
    """Through the whole OAuth round trip, with a person who presses *Allow*."""
    with app.app_context():
        our_app = beats.klaviyo_app()
        started = connecting.begin(our_app)
        code = sandbox.allow(started.url, account)
        granted = connecting.finish(our_app, code, started.code_verifier)
        with transaction():
            connecting.save(shop.id, granted, ACTOR)


def switch(app: Flask, shop: Shop, module: Module = Module.EVENTS, *, on: bool = True) -> None:
    with app.app_context(), transaction():
        modules.switch(shop.id, module, on, ACTOR)


def connection_of(app: Flask, shop: Shop) -> Connection:
    with app.app_context():
        connection = connecting.connection_of(shop.id)
        assert connection is not None
        return connection


def change_connection(app: Flask, shop: Shop, **values: Any) -> None:
    """Into a state that only Klaviyo or time would bring about."""
    with app.app_context(), transaction():
        connection = connecting.connection_of(shop.id, lock=True)
        assert connection is not None
        for name, value in values.items():
            setattr(connection, name, value)


def event(event_id: str, email: str = "ada@example.com", **changes: Any) -> dict[str, Any]:
    """An event as a program tells it."""
    told = {"id": event_id, "type": "balance_changed", "customer": {"email": email}, "properties": {"change": 5}}
    return {**told, **changes}


def events(prefix: str, number: int, customers: int = 10) -> list[dict[str, Any]]:
    """Numbered events, spread evenly over customers; each customer's are in order."""
    return [
        event(f"{prefix}-{index:05}", f"{prefix}-{index % customers}@example.com", properties={"change": index})
        for index in range(number)
    ]


def tell(client: FlaskClient, shop: Shop, body: object) -> TestResponse:
    """POST /v1/events with the shop's key, about customers who are known already: each event is one event."""
    with client.application.app_context():
        know(shop.id, [who for document in _events_in(body) if (who := _customer_in(document))])
    return client.post("/v1/events", json=body, headers={"Authorization": f"Bearer {shop.api_key}"})


def _events_in(body: object) -> list[Any]:
    found = body.get("events", [body]) if isinstance(body, dict) else []
    return found if isinstance(found, list) else []


def _customer_in(document: object) -> Identifiers | None:
    """Of an event that is right; nobody is made for one that is wrong."""
    try:
        ref = EventIn.model_validate(document).customer
    except ValidationError:
        return None
    return None if ref.id else identifiers_of(ref)


def know(merchant_id: int, who: Sequence[Identifiers]) -> list[Person | None]:
    """Let customers be known already, as after an import: nothing is told of them."""
    with transaction():
        people = identify(merchant_id, who)
        save(merchant_id, {person.id: person for person in people if person}.values(), {}, {})
        return people


def tell_all(client: FlaskClient, shop: Shop, told: list[dict[str, Any]], *, at_once: int = 500) -> None:
    """In batches; every one of them must be taken."""
    for start in range(0, len(told), at_once):
        answer = tell(client, shop, {"events": told[start : start + at_once]})
        assert answer.status_code == 202, answer.text
        results = answer.get_json()["results"]
        assert [result["status"] for result in results] == ["accepted"] * len(results)


def csrf_token(page: str) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert found is not None, "the page has no form with a CSRF token"
    return found[1]


def log_in(client: FlaskClient, email: str, password: str = PASSWORD) -> FlaskClient:
    """Through the login page, as a browser would."""
    token = csrf_token(client.get("/login").text)
    answer = client.post("/login", data={"email": email, "password": password, "csrf_token": token})
    assert answer.status_code == 303, answer.text
    return client


# --- time ----------------------------------------------------------------------------------------


def let_time_pass(app: Flask, shop: Shop, seconds: float) -> None:
    """Move everything that waits for a moment closer by that much: time is moved, not slept, for other processes too."""
    earlier = timedelta(seconds=seconds)
    with app.app_context(), transaction():
        connection = connecting.connection_of(shop.id, lock=True)
        assert connection is not None
        for name in ("paused_until", "access_expires_at", "refreshing_until"):
            if moment := getattr(connection, name):
                setattr(connection, name, moment - earlier)
        waiting = select(Delivery).where(
            Delivery.merchant_id == shop.id, Delivery.state == DeliveryState.PENDING, Delivery.lease.is_(None)
        )
        for delivery in db.session.scalars(waiting):
            delivery.due_at -= earlier


def deliveries_of(app: Flask, shop: Shop) -> list[Delivery]:
    """Every delivery of the merchant, oldest first."""
    with app.app_context():
        query = select(Delivery).where(Delivery.merchant_id == shop.id).order_by(Delivery.id)
        return list(db.session.scalars(query))
