"""The till: a card is scanned or typed, and what happens there says where."""

from __future__ import annotations

import json

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.db import db
from portal.models import Customer, Event
from portal.services import directory
from tests.factories import Shop
from tests.portal.blueprints import pages
from tests.portal.services import programmes


def _customer(app: Flask, shop: Shop, points: float = 0, **columns: object) -> Customer:
    with app.app_context():
        return programmes.customer_with(shop.id, points, **columns)


def _told(app: Flask, customer: Customer, event_type: str) -> list[dict[str, object]]:
    with app.app_context():
        query = select(Event.properties).where(Event.customer_id == customer.id, Event.type == event_type)
        return [json.loads(properties) for properties in db.session.scalars(query.order_by(Event.id))]


def test_a_scan_finds_the_customer_and_says_where_it_was(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    customer = _customer(app, merchant)
    pages.post(owner, "/till/place", location="Nørrebro", device="Till 2")
    for _ in range(2):  # the button is pressed twice
        answer = pages.post(owner, "/till/find", code=f" {customer.card_number.lower()} ", once="scan-1")
        assert answer.location == f"/till/{customer.id}"
    assert _told(app, customer, "pos_scanned") == [{"location": "Nørrebro", "device": "Till 2"}]
    assert "Nørrebro, Till 2" in owner.get("/till").text


def test_whoever_has_no_card_at_hand_is_found_without_a_scan(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    customer = _customer(app, merchant, first_name="Ada")
    assert pages.post(owner, "/till/find", code=customer.email, once="a").location == f"/till/{customer.id}"
    _customer(app, merchant, first_name="Adam")
    answer = pages.post(owner, "/till/find", code="ada", once="b")
    assert "2 customers found" in owner.get(answer.location or "").text
    assert "Nobody is found" in owner.get("/till?q=nobody").text
    assert pages.post(owner, "/till/find", code="", once="c").status_code == 422
    assert _told(app, customer, "pos_scanned") == []


def test_a_card_of_another_shop_is_nobodys(app: Flask, owner: FlaskClient) -> None:
    _, other = pages.log_in_stranger(app)
    stranger = _customer(app, other)
    answer = pages.post(owner, "/till/find", code=stranger.card_number, once="a")
    assert answer.location == f"/till?q={stranger.card_number}"
    assert _told(app, stranger, "pos_scanned") == []


def test_points_are_given_by_amount_or_by_number(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    customer = _customer(app, merchant)
    path = f"/till/{customer.id}/points"
    assert pages.post(owner, path, once="a", amount="24,90", points="").status_code == 303
    assert pages.post(owner, path, once="b", amount="", points="5.5").status_code == 303
    with app.app_context():
        assert directory.find(merchant.id, customer.id).balance == 2_950
    for amount, points, said in (
        ("", "", "one of them"),
        ("1", "1", "one of them"),
        ("-3", "", "above 0"),
        ("abc", "", "Enter an amount"),
        ("", "0", "more than 0"),
        ("0.10", "", "gives no points"),
    ):
        answer = pages.post(owner, path, once="c", amount=amount, points=points)
        assert (answer.status_code, said in answer.text) == (422, True), said


def test_a_reward_is_redeemed_in_store_and_a_customer_checks_in(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    customer = _customer(app, merchant, 100)
    with app.app_context():
        reward = programmes.add_reward(merchant.id, "coffee", cost=60)
    pages.post(owner, "/till/place", location="Nørrebro", device="")
    path = f"/till/{customer.id}"
    pages.post(owner, f"{path}/rewards", once="a", reward=str(reward.id))
    assert "Coffee is redeemed. Hand it over." in owner.get(path).text
    assert _told(app, customer, "reward_redeemed_in_store")[0]["location"] == "Nørrebro"
    refused = pages.post(owner, f"{path}/rewards", once="b", reward=str(reward.id))
    assert (refused.status_code, "has 40 points" in refused.text) == (409, True)
    pages.post(owner, f"{path}/check-in", once="c")
    assert _told(app, customer, "checked_in") == [{"location": "Nørrebro"}]


def test_a_cookie_that_was_tampered_with_is_ignored(owner: FlaskClient) -> None:
    for rubbish in ("[]", "{", '{"location": 5}', '"x"'):
        owner.set_cookie("till-place", rubbish, path="/till")
        assert owner.get("/till").status_code == 200


def test_the_till_may_use_the_camera_and_no_other_page_may(owner: FlaskClient) -> None:
    assert "camera=(self)" in owner.get("/till").headers["Permissions-Policy"]
    assert "camera=()" in owner.get("/customers").headers["Permissions-Policy"]
