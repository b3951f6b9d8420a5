"""Pushes as a program asks for them, brought on their way by turns of the jobs; time is moved, not waited for."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from portal.db import db, transaction, utcnow
from portal.jobs import cards as card_jobs
from portal.jobs import pushes as push_jobs
from portal.models import Card, Customer, Device, Merchant, Push, PushRules, PushTarget, WalletHealth
from portal.services.customers import Identifiers
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.phone import ANDROID, Phone
from tests.waiting import eventually

EMAIL = "ada@example.com"


def link(app: Flask, live_portal: str) -> str:
    with app.app_context():
        customer = db.session.scalars(select(Customer).where(Customer.email == EMAIL)).one()
        merchant = db.session.get_one(Merchant, customer.merchant_id)
        return f"{live_portal}/{merchant.slug}/download?token={customer.link_token}"


def put_on_phones(app: Flask, shop: Shop, sandbox: Sandbox, live_portal: str) -> tuple[Phone, Phone]:
    with app.app_context():
        factories.know(shop.id, [Identifiers(email=EMAIL)])
        with transaction():
            db.session.add(PushRules(merchant_id=shop.id, tells_klaviyo=True, paused=False))
    iphone, android = Phone(sandbox.url), Phone(sandbox.url, ANDROID)
    iphone.add(link(app, live_portal))
    android.add(link(app, live_portal))
    assert eventually(lambda: _on_android(app))
    return iphone, android


def _on_android(app: Flask) -> bool:
    with app.app_context():
        return db.session.scalars(select(Customer).where(Customer.email == EMAIL)).one().on_android


def ask(client: FlaskClient, shop: Shop, message: str, **more: Any) -> str:
    body = {"email": EMAIL, "message": message, **more}
    answer = client.post("/v1/push", json=body, headers={"Authorization": f"Bearer {shop.api_key}"})
    assert answer.status_code == 202, answer.text
    return str(answer.get_json()["id"])


def see(client: FlaskClient, shop: Shop, push_id: str) -> dict[str, Any]:
    return dict(client.get(f"/v1/push/{push_id}", headers={"Authorization": f"Bearer {shop.api_key}"}).get_json())


def shown(phone: Phone) -> list[str]:
    """The texts on the lock screen without what tells two alike apart, newest first."""
    return [text.rstrip("\u200b\u200c") for text in phone.notices()]


def work(app: Flask, shop: Shop) -> None:
    """What workers do, a moment later."""
    with app.app_context():
        push_jobs.take_turn(shop.id)
        card_jobs.take_turn(shop.id)


def let_time_pass(app: Flask) -> None:
    """Whatever waits for a time is due: looks, repeats, leases, rests."""
    with app.app_context(), transaction():
        for model in (Card, Device, Push, PushTarget):
            db.session.execute(update(model).where(model.due_at.is_not(None)).values(due_at=utcnow()))
        db.session.execute(update(WalletHealth).values(paused_until=None))
