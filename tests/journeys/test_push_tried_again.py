"""A push that somebody tries again arrives where it can, and notifies nobody twice; Klaviyo hears of both ends."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.jobs import cards as card_jobs
from portal.jobs import pushes as push_jobs
from portal.models import (
    Customer,
    Device,
    Event,
    Merchant,
    Push,
    PushRules,
    PushState,
    PushTarget,
    Wallet,
    WalletHealth,
)
from portal.services import push_outcomes, push_retrying, wallet_health
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.phone import ANDROID, Phone
from tests.portal.services import push_cases
from tests.waiting import eventually


def _add_card(app: Flask, shop: Shop, sandbox: Sandbox, live_portal: str, phone_id: str) -> tuple[int, Phone]:
    """Somebody with the card on this phone; Klaviyo is told of pushes."""
    ada = push_cases.customer(app, shop, "ada@example.com")
    with app.app_context():
        with transaction():
            db.session.add(PushRules(merchant_id=shop.id, tells_klaviyo=True, paused=False))
        slug = db.session.get_one(Merchant, shop.id).slug
        link = f"{live_portal}/{slug}/download?token={db.session.get_one(Customer, ada).link_token}"
    phone = Phone(sandbox.url, phone_id)
    phone.add(link)

    def installed() -> bool:
        with app.app_context():
            return db.session.get_one(Customer, ada).card_status == "installed"

    assert eventually(installed)
    return ada, phone


def _work(app: Flask, shop: Shop) -> None:
    """What workers do, a moment later."""
    with app.app_context():
        with transaction():
            for target in db.session.scalars(select(PushTarget).where(PushTarget.due_at.is_not(None))):
                target.due_at = utcnow()
        push_jobs.take_turn(shop.id)
        card_jobs.take_turn(shop.id)


def _again(app: Flask, shop: Shop, push_id: int) -> None:
    with app.app_context(), transaction():
        push_retrying.retry(shop.id, push_id, utcnow())


def _state(app: Flask, push_id: int) -> PushState:
    with app.app_context():
        return PushState(db.session.get_one(Push, push_id).state)


def _told(app: Flask) -> list[str]:
    with app.app_context():
        query = select(Event).where(Event.type == "push_outcome").order_by(Event.id)
        return [json.loads(event.properties)["outcome"] for event in db.session.scalars(query)]


@pytest.mark.parametrize("taken", [False, True], ids=["refused", "taken all the same"])
def test_what_google_refused_is_looked_up_and_shown_once(
    app: Flask, connected: Shop, sandbox: Sandbox, live_portal: str, taken: bool
) -> None:
    ada, android = _add_card(app, connected, sandbox, live_portal, ANDROID)
    push_id = push_cases.push(app, connected, ada, "Hello")
    sandbox.order("status", "/walletobjects/v1/loyaltyObject", status=400, accept=taken, times=1)
    _work(app, connected)
    assert _state(app, push_id) == PushState.FAILED
    _again(app, connected, push_id)
    _work(app, connected)
    assert _state(app, push_id) == PushState.DELIVERED
    assert len(android.notices()) == 1
    assert len(android.card()["messages"]) == 1
    assert _told(app) == ["failed", "delivered"]


def test_a_phone_that_was_off_for_days_is_woken_once_more_and_notifies_once(
    app: Flask, connected: Shop, sandbox: Sandbox, live_portal: str
) -> None:
    ada, iphone = _add_card(app, connected, sandbox, live_portal, "iphone")
    push_id = push_cases.push(app, connected, ada, "Hello")
    with app.app_context():
        push_jobs.take_turn(connected.id)
        _age(utcnow() - push_outcomes.GIVEN_UP_AFTER * 2)
        push_jobs.take_turn(connected.id)
    assert _state(app, push_id) == PushState.FAILED
    _again(app, connected, push_id)
    for _ in range(2):
        _work(app, connected)
        iphone.settled()
    assert _state(app, push_id) == PushState.DELIVERED
    assert [text.rstrip("\u200b\u200c") for text in iphone.notices()] == ["Hello"]
    assert _told(app) == ["failed", "delivered"]


def _age(sent_at: datetime) -> None:
    with transaction():
        for target in db.session.scalars(select(PushTarget)):
            target.sent_at, target.due_at = sent_at, utcnow()


def test_after_a_new_certificate_trying_now_waits_for_no_rest(app: Flask, client: FlaskClient, connected: Shop) -> None:
    ada = push_cases.customer(app, connected, "ada@example.com", on_ios=True)
    push_cases.put_on_phone(app, connected, ada)
    push_id = push_cases.push(app, connected, ada, "Hello")
    _send(app, connected)
    with app.app_context(), transaction():
        wallet_health.note_problem(connected.id, Wallet.APPLE, "Apple no longer accepts the certificate.", utcnow())
    owner = factories.log_in(client, connected.email)
    page = owner.get(f"/push/{push_id}").text
    assert "Apple no longer accepts the certificate." in page
    assert "Try now" in page
    _again(app, connected, push_id)
    with app.app_context():
        health = db.session.get_one(WalletHealth, (connected.id, Wallet.APPLE))
        assert health.paused_until is None
        due = db.session.scalars(select(Device.due_at)).one()
        assert due is not None
        assert due <= utcnow()


def _send(app: Flask, shop: Shop) -> None:
    with app.app_context(), transaction():
        push_jobs.push_sending.send_due(shop.id, utcnow())
