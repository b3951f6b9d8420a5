"""Apple's web service: exact statuses, tags that move, and nothing for whoever does not know a card's token."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.http import http_date
from werkzeug.test import TestResponse

from portal.blueprints import limiting
from portal.db import db, transaction, utcnow
from portal.models import Card, Customer, Device, DeviceComplaint, Event, Registration
from portal.services import passkit
from sandbox.apple.authority import PASS_TYPE
from tests import factories
from tests.factories import Shop
from tests.portal.services import card_cases

PHONE = "phone-1"
PUSH_TOKEN = "ab" * 32


class Wallet:
    """A phone that carries one card, request by request."""

    def __init__(self, client: FlaskClient, card: Card, device: str = PHONE, pass_type: str = PASS_TYPE) -> None:
        self.client, self.card, self.device, self.pass_type = client, card, device, pass_type
        self.token = card.token or ""

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"ApplePass {self.token}"}

    def register(self, push_token: Any = PUSH_TOKEN) -> TestResponse:
        path = f"/passes/v1/devices/{self.device}/registrations/{self.pass_type}/{self.card.serial}"
        return self.client.post(path, json={"pushToken": push_token}, headers=self._headers)

    def unregister(self) -> TestResponse:
        path = f"/passes/v1/devices/{self.device}/registrations/{self.pass_type}/{self.card.serial}"
        return self.client.delete(path, headers=self._headers)

    def changed(self, tag: str | None = None) -> TestResponse:
        path = f"/passes/v1/devices/{self.device}/registrations/{self.pass_type}"
        return self.client.get(path, query_string={} if tag is None else {"passesUpdatedSince": tag})

    def fetch(self, since: Any = None, method: str = "GET") -> TestResponse:
        headers = self._headers | ({"If-Modified-Since": http_date(since)} if since else {})
        path = f"/passes/v1/passes/{self.pass_type}/{self.card.serial}"
        return self.client.open(path, method=method, headers=headers)


@pytest.fixture
def card(app: Flask, merchant: Shop) -> Card:
    return card_cases.card(app, merchant)


@pytest.fixture
def wallet(client: FlaskClient, card: Card) -> Wallet:
    return Wallet(client, card)


def _told(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(Event.type).order_by(Event.id)))


def _count(app: Flask, model: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_registering_is_new_once_and_known_after_that(app: Flask, wallet: Wallet) -> None:
    assert [wallet.register().status_code for _ in range(3)] == [201, 200, 200]
    assert _told(app) == ["card_installed"]


def test_a_second_phone_of_the_customer_is_no_second_installation(
    app: Flask, client: FlaskClient, card: Card, wallet: Wallet
) -> None:
    other = Wallet(client, card, "phone-2")
    assert (wallet.register().status_code, other.register().status_code) == (201, 201)
    assert wallet.unregister().status_code == 200
    assert _told(app) == ["card_installed"]
    assert other.unregister().status_code == 200
    assert _told(app) == ["card_installed", "card_uninstalled"]
    with app.app_context():
        customer = db.session.get_one(Customer, card.customer_id)
        assert (customer.card_status, customer.on_ios) == ("uninstalled", False)


def test_a_card_that_comes_back_is_installed_again(app: Flask, wallet: Wallet) -> None:
    for _ in range(2):
        wallet.register()
        wallet.unregister()
        assert wallet.unregister().status_code == 200
    assert _told(app) == ["card_installed", "card_uninstalled"] * 2


def test_a_new_push_token_takes_the_place_of_the_last(app: Flask, wallet: Wallet) -> None:
    wallet.register()
    assert wallet.register("cd" * 32).status_code == 200
    with app.app_context():
        assert db.session.scalars(select(Device.push_token)).all() == ["cd" * 32]


def test_a_card_that_registers_over_and_over_stays_one_card(
    app: Flask, client: FlaskClient, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passkit, "MOST_DEVICES", 3)
    for number in range(6):
        assert Wallet(client, card, f"phone-{number}").register().status_code == 201
    assert {Wallet(client, card, "phone-5").register().status_code for _ in range(6)} == {200}
    assert (_count(app, Registration), _count(app, Device)) == (passkit.MOST_DEVICES, passkit.MOST_DEVICES)
    assert _told(app) == ["card_installed"]


def _other_token(wallet: Wallet) -> None:
    wallet.token = "0" * 32


def _no_token(wallet: Wallet) -> None:
    wallet.token = ""


def _other_pass_type(wallet: Wallet) -> None:
    wallet.pass_type = "pass.com.example.other"


def _odd_serial(wallet: Wallet) -> None:
    wallet.card = Card(serial="%00", merchant_id=wallet.card.merchant_id)


def _odd_token(wallet: Wallet) -> None:
    wallet.token = "ü\x7f"


@pytest.mark.parametrize("spoil", [_other_token, _no_token, _other_pass_type, _odd_serial, _odd_token])
def test_without_the_cards_token_everything_is_refused(
    app: Flask, wallet: Wallet, spoil: Callable[[Wallet], None]
) -> None:
    spoil(wallet)
    answers = [wallet.register(), wallet.unregister(), wallet.fetch(), wallet.fetch(method="HEAD")]
    assert {answer.status_code for answer in answers} == {401}
    assert _count(app, Device) == 0


def test_the_token_of_another_customers_card_opens_nothing(app: Flask, merchant: Shop, wallet: Wallet) -> None:
    wallet.token = card_cases.card(app, merchant, "bob@example.com").token or ""
    assert wallet.fetch().status_code == 401


def test_a_scheme_of_another_wallet_is_refused(client: FlaskClient, card: Card) -> None:
    answer = client.get(
        f"/passes/v1/passes/{PASS_TYPE}/{card.serial}", headers={"Authorization": f"AndroidPass {card.token}"}
    )
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "ApplePass"


@pytest.mark.parametrize("push_token", [None, "", 5, "x" * 201, "a\nb"])
def test_a_push_token_that_is_none_is_refused(app: Flask, wallet: Wallet, push_token: Any) -> None:
    assert wallet.register(push_token).status_code == 400
    assert _count(app, Device) == 0


# --- what changed --------------------------------------------------------------------------------


def test_a_phone_learns_what_changed_and_gets_a_tag_that_moves(
    app: Flask, client: FlaskClient, merchant: Shop, card: Card, wallet: Wallet
) -> None:
    wallet.register()
    first = wallet.changed().get_json()
    assert first == {"serialNumbers": [card.serial], "lastUpdated": str(card.version)}
    assert wallet.changed(first["lastUpdated"]).status_code == 204
    factories.tell(client, merchant, factories.event("points"))
    card_cases.publish(app, merchant)
    second = wallet.changed(first["lastUpdated"]).get_json()
    assert second["serialNumbers"] == [card.serial]
    assert int(second["lastUpdated"]) > int(first["lastUpdated"])


def test_a_phone_that_nobody_knows_learns_nothing(client: FlaskClient, card: Card, wallet: Wallet) -> None:
    wallet.register()
    assert Wallet(client, card, "stranger").changed().status_code == 204
    assert Wallet(client, card, pass_type="pass.com.example.other").changed().status_code == 204


@pytest.mark.parametrize("tag", ["", "yesterday", "-1", "9" * 40, "1.5"])
def test_a_tag_that_we_never_gave_means_from_the_beginning(wallet: Wallet, tag: str) -> None:
    wallet.register()
    assert wallet.changed(tag).status_code == 200


# --- the card ------------------------------------------------------------------------------------


def test_the_card_is_fetched_signed_and_with_its_time(wallet: Wallet, card: Card) -> None:
    answer = wallet.fetch()
    assert (answer.status_code, answer.mimetype) == (200, "application/vnd.apple.pkpass")
    assert answer.headers["Last-Modified"] == http_date(card.modified_at)
    with zipfile.ZipFile(io.BytesIO(answer.data)) as package:
        shown = json.loads(package.read("pass.json"))
    assert (shown["serialNumber"], shown["authenticationToken"]) == (card.serial, card.token)
    assert shown["storeCard"]["headerFields"][0]["value"] == 0


def test_an_unchanged_card_is_not_sent_again(wallet: Wallet, card: Card) -> None:
    assert wallet.fetch(card.modified_at).status_code == 304
    assert wallet.fetch(card.modified_at + timedelta(hours=1)).status_code == 304
    assert wallet.fetch(card.modified_at - timedelta(seconds=1)).status_code == 200


def test_a_head_only_looks(app: Flask, wallet: Wallet, card: Card) -> None:
    wallet.register()
    answer = wallet.fetch(method="HEAD")
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Last-Modified"] == http_date(card.modified_at)
    with app.app_context():
        assert db.session.scalars(select(Registration.fetched_version)).one() == 0


def test_a_phone_that_has_fetched_is_not_woken_any_more(
    app: Flask, client: FlaskClient, merchant: Shop, card: Card, wallet: Wallet
) -> None:
    wallet.register()
    factories.tell(client, merchant, factories.event("points"))
    card_cases.publish(app, merchant)
    tag = wallet.changed().get_json()["lastUpdated"]
    with app.app_context():
        assert db.session.scalars(select(Device.due_at)).one() is not None
    assert wallet.fetch(card.modified_at).status_code == 200
    with app.app_context():
        assert db.session.scalars(select(Registration.fetched_version)).one() == int(tag)
        assert db.session.scalars(select(Device.due_at)).one() is None


def test_a_version_that_came_while_the_card_was_fetched_is_still_to_be_fetched(
    app: Flask, client: FlaskClient, merchant: Shop, card: Card, wallet: Wallet
) -> None:
    wallet.register()
    factories.tell(client, merchant, factories.event("points"))
    card_cases.publish(app, merchant)
    with app.app_context(), transaction():
        passkit.note_fetched(card, utcnow())  # as it was when it was asked for
    with app.app_context():
        assert db.session.scalars(select(Registration.fetched_version)).one() == card.version
        assert db.session.scalars(select(Device.due_at)).one() is not None


def test_when_the_certificate_has_ended_no_card_is_handed_out_and_phones_are_heard_all_the_same(
    app: Flask, wallet: Wallet, card: Card
) -> None:
    wallet.register()
    with time_machine.travel(utcnow() + timedelta(days=800)):
        assert wallet.fetch().status_code == 503
        assert wallet.fetch(card.modified_at).status_code == 304
        assert wallet.unregister().status_code == 200
    assert _told(app) == ["card_installed", "card_uninstalled"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_phone_that_registers_a_thousand_times_is_one_phone_with_one_card(app: Flask, wallet: Wallet) -> None:
    statuses = Counter(wallet.register(f"{number:064x}").status_code for number in range(1_000))
    limiting.forget()
    # It is asked to wait where it is faster than a whole network of phones may be.
    assert (statuses[201], set(statuses) - {200, 429}) == (1, {201})
    assert (_count(app, Registration), _count(app, Device)) == (1, 1)
    assert _told(app) == ["card_installed"]


# --- complaints ----------------------------------------------------------------------------------


def test_complaints_are_kept_with_the_card_that_they_name(app: Flask, client: FlaskClient, card: Card) -> None:
    lines = [f"Get pass task (serial number {card.serial}) encountered error: no\x00pe", "something else"]
    assert client.post("/passes/v1/log", json={"logs": lines}).status_code == 200
    with app.app_context():
        kept = passkit.complaints(card.merchant_id)
        assert [line.text for line in kept] == [lines[0].replace("\x00", "")]
        assert _count(app, DeviceComplaint) == 2


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"logs": 5}', b'{"logs": [1, null]}'])
def test_a_complaint_that_cannot_be_read_is_no_trouble(app: Flask, client: FlaskClient, body: bytes) -> None:
    answer = client.post("/passes/v1/log", data=body, content_type="application/json")
    assert answer.status_code == 200
    assert _count(app, DeviceComplaint) == 0


def test_only_the_newest_complaints_are_kept(app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passkit, "MOST_COMPLAINTS", 3)
    for number in range(5):
        client.post("/passes/v1/log", json={"logs": [f"line {number}", "x" * 5000]})
    assert _count(app, DeviceComplaint) == 3
