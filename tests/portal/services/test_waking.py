"""Phones are woken for what is new, again while they do not fetch it, and forgotten when they are gone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.models import Card, Device, Event, Registration, Wallet
from portal.services import card_events, waking, wallet_health
from portal.wallet import Outcome, Pushed
from tests.factories import Shop
from tests.portal.services import card_cases

PASS_TYPE = "pass.com.example.loyalty"


@pytest.fixture
def card(app: Flask, merchant: Shop) -> Card:
    """On a phone that has not got its newest version."""
    made = card_cases.card(app, merchant)
    card_cases.on_phone(app, made, due_at=utcnow())
    with app.app_context(), transaction():
        db.session.scalars(select(Registration)).one().fetched_version = 0
        card_events.tell(merchant.id, made.customer_id, "card_installed", f"{made.id}:ios:0", platform="ios")
    return made


def _wake(app: Flask, shop: Shop, outcome: Outcome, **values: Any) -> int:
    """Claim, and settle as if Apple had answered so; how many were claimed."""
    with app.app_context():
        with transaction():
            wakes = waking.claim(shop.id, PASS_TYPE, utcnow(), 100)
        pushed = [Pushed(wake.push_token, outcome, **values) for wake in wakes]
        with transaction():
            waking.settle(shop.id, wakes, pushed, utcnow())
    return len(wakes)


def _device(app: Flask) -> Device | None:
    with app.app_context():
        found: Device | None = db.session.scalars(select(Device)).one_or_none()
        return found


def _events(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(Event.type).order_by(Event.id)))


def test_a_phone_that_does_not_fetch_is_woken_again_later(app: Flask, merchant: Shop, card: Card) -> None:
    assert _wake(app, merchant, Outcome.ACCEPTED) == 1
    device = _device(app)
    assert device is not None
    assert device.due_at is not None
    assert device.due_at > utcnow() + timedelta(minutes=10)
    assert _wake(app, merchant, Outcome.ACCEPTED) == 0


def test_a_phone_that_has_fetched_everything_is_left_in_peace(app: Flask, merchant: Shop, card: Card) -> None:
    with app.app_context(), transaction():
        db.session.scalars(select(Registration)).one().fetched_version = card.version
    assert _wake(app, merchant, Outcome.ACCEPTED) == 0
    device = _device(app)
    assert device is not None
    assert device.due_at is None


def test_the_last_phone_that_is_gone_takes_the_card_with_it(app: Flask, merchant: Shop, card: Card) -> None:
    _wake(app, merchant, Outcome.GONE, gone_since=utcnow() + timedelta(seconds=5))
    assert _device(app) is None
    assert _events(app) == ["card_installed", "card_uninstalled"]


def test_a_phone_that_registered_after_it_was_gone_is_kept(app: Flask, merchant: Shop, card: Card) -> None:
    _wake(app, merchant, Outcome.GONE, gone_since=utcnow() - timedelta(days=2))
    assert _device(app) is not None
    assert _events(app) == ["card_installed"]


def test_a_token_that_is_not_apples_is_forgotten(app: Flask, merchant: Shop, card: Card) -> None:
    _wake(app, merchant, Outcome.BAD_TOKEN, reason="BadDeviceToken")
    assert _device(app) is None


def test_a_certificate_that_apple_does_not_take_needs_a_person_and_loses_nothing(
    app: Flask, merchant: Shop, card: Card
) -> None:
    _wake(app, merchant, Outcome.UNHEALTHY, reason="BadTopic")
    with app.app_context():
        (problem,) = wallet_health.problems(merchant.id)
        assert "BadTopic" in (problem.problem or "")
        assert wallet_health.is_resting(merchant.id, Wallet.APPLE, utcnow())
    device = _device(app)
    assert device is not None
    assert device.due_at is not None
    assert device.due_at <= utcnow()
    _wake(app, merchant, Outcome.ACCEPTED)
    with app.app_context():
        assert wallet_health.problems(merchant.id) == []


def test_trouble_is_tried_again_after_a_while(app: Flask, merchant: Shop, card: Card) -> None:
    _wake(app, merchant, Outcome.RETRY, retry_after=100)
    device = _device(app)
    assert device is not None
    assert device.due_at is not None
    assert device.due_at > utcnow() + timedelta(seconds=90)
