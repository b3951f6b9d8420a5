"""Who holds a card at Google: each callback counts once, and the nightly list puts right what none told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.models import Card, Customer, Event, GoogleCard, GoogleClass, Merchant
from portal.services import google_cards, google_face, google_saving, wallet_accounts
from portal.wallet.google import Callback, Happened, Holding
from tests import factories
from tests.factories import Shop
from tests.portal.services import card_cases


@pytest.fixture
def card(app: Flask, merchant: Shop) -> Card:
    """With a place at Google."""
    made = card_cases.card(app, merchant)
    with app.app_context(), transaction():
        assert google_cards.want_card(made, utcnow()) is not None
    return made


def _object_id(app: Flask) -> str:
    with app.app_context():
        return db.session.scalars(select(GoogleCard.object_id)).one()


def _act(app: Flask, shop: Shop, happened: Happened, nonce: str) -> bool:
    object_id = _object_id(app)
    callback = Callback(happened, "1.programme", object_id, nonce, None, utcnow() + timedelta(hours=1))
    with app.app_context(), transaction():
        return google_saving.act(shop.id, callback, utcnow())


def _events(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(Event.type).order_by(Event.id)))


def test_a_callback_counts_once_however_often_it_comes(app: Flask, merchant: Shop, card: Card) -> None:
    assert [_act(app, merchant, Happened.SAVED, "one") for _ in range(3)] == [True, False, False]
    assert _act(app, merchant, Happened.SAVED, "two") is False  # a second phone of the customer
    assert _act(app, merchant, Happened.REMOVED, "three") is True
    assert _events(app) == ["card_installed", "card_uninstalled"]
    with app.app_context():
        customer = db.session.get_one(Customer, card.customer_id)
        assert (customer.card_status, customer.on_android) == ("uninstalled", False)


def test_a_callback_about_another_merchants_card_is_nobodys(app: Flask, merchant: Shop, card: Card) -> None:
    assert _act(app, factories.make_shop(app, "Other"), Happened.SAVED, "one") is False
    assert _events(app) == []


def test_the_nightly_list_puts_right_what_no_callback_told(app: Flask, merchant: Shop, card: Card) -> None:
    holdings = [Holding(_object_id(app), "ACTIVE", True), Holding("1.unknown", "ACTIVE", True)]
    for differed in (1, 0):
        with app.app_context(), transaction():
            assert google_saving.compare(merchant.id, holdings) == differed
    assert _events(app) == ["card_installed"]


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"protocolVersion": "ECv2SigningOnly"}', b"x" * 20_000])
def test_a_callback_that_google_did_not_sign_is_refused(
    app: Flask, client: FlaskClient, merchant: Shop, card: Card, body: bytes
) -> None:
    answer = client.post(f"/google-wallet/callback/{merchant.id}", data=body)
    assert (answer.status_code, answer.data) == (400, b"")
    assert _events(app) == []


def test_two_portals_and_two_merchants_can_share_one_issuer(app: Flask, merchant: Shop) -> None:
    other = factories.make_shop(app, "Harbor Bakery")
    with app.app_context():
        issuer = wallet_accounts.google_issuer(merchant.id)
        assert issuer is not None
        names = {google_face.class_id(issuer, shop.id) for shop in (merchant, other)}
        with transaction():  # the same number in another portal
            db.session.get_one(Merchant, merchant.id).created_at += timedelta(microseconds=1)
        names.add(google_face.class_id(issuer, merchant.id))
    assert len(names) == 3


def test_a_programme_that_google_has_keeps_its_id_until_there_is_another_issuer(app: Flask, merchant: Shop) -> None:
    with app.app_context():
        issuer = wallet_accounts.google_issuer(merchant.id)
        assert issuer is not None
        kept = f"{issuer.issuer_id}.programme-of-old"
        with transaction():
            db.session.add(GoogleClass(merchant_id=merchant.id, class_id=kept, digest="known"))
        assert google_face.class_id(issuer, merchant.id) == kept
        assert google_face.class_id(replace(issuer, issuer_id="99"), merchant.id).startswith("99.programme-")
