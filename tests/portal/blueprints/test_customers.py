"""Customers: the list, one customer's page, and what a person does there."""

from __future__ import annotations

import re

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.db import db
from portal.models import AuditEntry, Customer
from portal.services import directory
from tests.factories import Shop
from tests.portal.blueprints import pages
from tests.portal.services import programmes


def _customer(app: Flask, shop: Shop, points: float = 0, **columns: object) -> Customer:
    with app.app_context():
        return programmes.customer_with(shop.id, points, **columns)


def _fresh(app: Flask, customer: Customer) -> Customer:
    with app.app_context():
        return directory.find(customer.merchant_id, customer.id)


def _audit(app: Flask) -> tuple[str, str]:
    with app.app_context():
        entry = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1)).one()
        return entry.action, entry.detail


def _once(page: str, action: str) -> str:
    found = re.search(rf'action="{action}".*?name="once" value="([^"]+)"', page, re.S)
    assert found is not None
    return found[1]


def test_the_list_says_what_will_be_here_and_then_who_is(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    assert "No customers yet" in owner.get("/customers").text
    _customer(app, merchant, 12.5, first_name="Ada", last_name="Lovelace")
    page = owner.get("/customers").text
    assert "Ada Lovelace" in page
    assert "12.50" in page


def test_filters_stand_in_the_address_and_empty_ones_do_not(owner: FlaskClient) -> None:
    assert owner.get("/customers?q=ada&tier=&card=").location == "/customers?q=ada"
    assert "Nobody found" in owner.get("/customers?q=ada").text
    assert owner.get("/customers?tier=rubbish&card=rubbish&before=9999999999999999999999").status_code == 200


def test_a_customers_page_shows_where_they_stand(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    with app.app_context():
        programmes.set_tiers(merchant.id, {"Bronze": 0, "Silver": 200})
        programmes.add_reward(merchant.id, "coffee", cost=50)
        programmes.add_reward(merchant.id, "mug", cost=130)
    customer = _customer(app, merchant, 100, birthday=229)
    page = owner.get(f"/customers/{customer.id}").text
    for words in ("Bronze", "100 more points to Silver", "Mug, 30 more", "29 February", "+100 points", "Not verified"):
        assert words in page
    assert f"/download?token={customer.link_token}" in page
    assert 'rect width="50"' in page
    assert "+100" in owner.get(f"/customers/{customer.id}/points").text


def test_points_are_changed_once_with_a_reason_and_an_audit_entry(
    app: Flask, owner: FlaskClient, merchant: Shop
) -> None:
    customer = _customer(app, merchant, 100)
    path = f"/customers/{customer.id}/points"
    once = _once(owner.get(f"/customers/{customer.id}").text, path)
    fields = {"once": once, "direction": "take", "points": "40.50", "reason": "Counted twice"}
    for _ in range(2):
        assert pages.post(owner, path, **fields).location == f"/customers/{customer.id}"
    assert _fresh(app, customer).balance == 5_950
    assert _audit(app) == ("points changed", f"cus_{customer.id}: -40.50 points, Counted twice")
    assert "40.50 points taken away." in owner.get(f"/customers/{customer.id}").text


def test_points_that_cannot_be_taken_are_refused_beside_the_field(
    app: Flask, owner: FlaskClient, merchant: Shop
) -> None:
    customer = _customer(app, merchant, 10)
    path = f"/customers/{customer.id}/points"
    for points, reason, said in (
        ("10.01", "x", "has 10 points, so 10.01 cannot be taken away"),
        ("1.234", "x", "at most two decimals"),
        ("-1", "x", "more than 0"),
        ("1", "", "Say why"),
    ):
        answer = pages.post(owner, path, once="o", direction="take", points=points, reason=reason)
        assert answer.status_code in (409, 422)
        assert said in answer.text
        assert f'value="{points}"' in answer.text, "what was typed is not lost"
    assert _fresh(app, customer).balance == 1_000


def test_a_reward_is_redeemed_or_refused_with_what_is_missing(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    customer = _customer(app, merchant, 100)
    with app.app_context():
        reward = programmes.add_reward(merchant.id, "coffee", cost=60)
    path = f"/customers/{customer.id}/rewards"
    fields = {"reward": str(reward.id), "channel": "online", "code": "BREW-1"}
    assert pages.post(owner, path, once="a", **fields).status_code == 303
    assert _audit(app) == ("reward redeemed", f"cus_{customer.id}: Coffee")
    refused = pages.post(owner, path, once="b", **fields)
    assert (refused.status_code, "has 40 points, and this reward costs 60" in refused.text) == (409, True)
    assert pages.post(owner, path, once="c", reward="").status_code == 404
    assert _fresh(app, customer).balance == 4_000


def test_a_reward_that_was_withdrawn_meanwhile_is_told_of(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    customer = _customer(app, merchant, 100)
    with app.app_context():
        reward = programmes.add_reward(merchant.id)
    pages.post(owner, f"/loyalty/rewards/{reward.id}/withdraw")
    answer = pages.post(owner, f"/customers/{customer.id}/rewards", once="a", reward=str(reward.id))
    assert (answer.status_code, "No points were taken" in answer.text) == (409, True)


def test_a_customer_is_verified(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    customer = _customer(app, merchant)
    pages.post(owner, f"/customers/{customer.id}/verify", once="a", method="identity card")
    page = owner.get(f"/customers/{customer.id}").text
    assert "Verified" in page
    assert "identity card" in page


def test_the_card_link_is_withdrawn_and_renewed(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    customer = _customer(app, merchant)
    path = f"/customers/{customer.id}/link"
    assert "stops working at once" in owner.get(path).text
    pages.post(owner, path)
    assert _fresh(app, customer).link_token != customer.link_token
    assert _audit(app) == ("card link renewed", f"cus_{customer.id}")


NEW = {
    "first_name": "Grace",
    "last_name": "Hopper",
    "email": " Grace@Example.com ",
    "phone": "+45 20 12 34 56",
    "birth_day": "9",
    "birth_month": "12",
    "external_id": "",
    "klaviyo_profile_id": "",
}


def test_a_customer_is_added_by_hand_and_welcomed(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    where = pages.post(owner, "/customers/new", **NEW).location
    assert where is not None
    page = owner.get(where).text
    assert all(words in page for words in ("Grace Hopper", "grace@example.com", "9 December", "Customer created"))
    again = pages.post(owner, "/customers/new", **NEW)
    assert (again.status_code, "already belongs to another customer, Grace Hopper" in again.text) == (409, True)


def test_a_customer_is_edited_and_a_conflict_says_with_whom(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    pages.post(owner, "/customers/new", **NEW)
    customer = _customer(app, merchant)
    path = f"/customers/{customer.id}/edit"
    assert f'value="{customer.email}"' in owner.get(path).text
    fields = {**NEW, "phone": "", "email": "Other@Example.com", "birth_day": "", "birth_month": ""}
    assert pages.post(owner, path, **fields).status_code == 303
    fresh = _fresh(app, customer)
    assert (fresh.name, fresh.email, fresh.birthday) == ("Grace Hopper", "other@example.com", None)
    assert _audit(app) == ("customer edited", f"cus_{customer.id}: first name, last name, email")
    taken = pages.post(owner, path, **{**fields, "email": "grace@example.com"})
    assert (taken.status_code, "already belongs to another customer" in taken.text) == (409, True)


def test_what_is_wrong_with_a_customer_stands_beside_its_field(owner: FlaskClient) -> None:
    for changes, said in (
        ({"email": "grace"}, "This is not an email address."),
        ({"phone": "20123456"}, "This must begin with +"),
        ({"birth_day": "30", "birth_month": "2"}, "There is no such day."),
        ({"external_id": "x" * 201}, "at most 200 characters"),
        (dict.fromkeys(NEW, ""), "Enter at least one of"),
    ):
        answer = pages.post(owner, "/customers/new", **{**NEW, **changes})
        assert (answer.status_code, said in answer.text) == (422, True), said


def test_a_member_serves_customers_and_a_stranger_does_not_find_them(
    app: Flask, owner: FlaskClient, merchant: Shop
) -> None:
    customer = _customer(app, merchant, 10)
    member = pages.log_in_member(app, merchant)
    path = f"/customers/{customer.id}/points"
    assert pages.post(member, path, once="a", direction="add", points="5", reason="Thanks").status_code == 303
    stranger, _ = pages.log_in_stranger(app)
    for address in (f"/customers/{customer.id}", f"/customers/{customer.id}/edit", path, f"/till/{customer.id}"):
        assert stranger.get(address).status_code == 404
    assert pages.post(stranger, path, once="b", direction="add", points="5", reason="Mine").status_code == 404
    assert _fresh(app, customer).balance == 1_500


def test_an_owner_erases_a_customer_after_reading_what_goes(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    customer = _customer(app, connected, 12.5, first_name="Ada", email="ada@example.com")
    path = f"/customers/{customer.id}/erase"
    assert path in owner.get(f"/customers/{customer.id}").text
    asked = owner.get(path).text
    for words in ("Erase Ada", "This cannot be undone", "12.50 points", "is told to erase the profile there too"):
        assert words in asked
    assert pages.post(owner, path).location == "/customers"
    shown = owner.get("/customers").text
    assert "The customer is erased. Klaviyo is told to erase the profile there too." in shown
    assert "ada@example.com" not in shown
    assert _audit(app) == ("customer erased", f"cus_{customer.id}")
    assert owner.get(f"/customers/{customer.id}").status_code == 404


def test_a_second_press_on_erase_says_that_it_is_done(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    customer = _customer(app, merchant, email="ada@example.com")
    path = f"/customers/{customer.id}/erase"
    pages.post(owner, path)
    owner.get("/customers")
    assert pages.post(owner, path).location == "/customers"
    assert "This customer was erased already." in owner.get("/customers").text
    assert _audit(app) == ("customer erased", f"cus_{customer.id}")
    assert pages.post(owner, f"/customers/{customer.id + 1}/erase").status_code == 404
    stranger, _ = pages.log_in_stranger(app)
    assert pages.post(stranger, path).status_code == 404


def test_erasing_says_where_klaviyo_is_not_told(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    customer = _customer(app, merchant, email="ada@example.com")
    path = f"/customers/{customer.id}/erase"
    assert "Klaviyo is not told: it is not connected." in owner.get(path).text
    pages.post(owner, path)
    assert "The customer is erased.</" in re.sub(r"\s+<", "<", owner.get("/customers").text)


def test_a_member_neither_sees_nor_may_erase(app: Flask, merchant: Shop) -> None:
    customer, member = _customer(app, merchant), pages.log_in_member(app, merchant)
    path = f"/customers/{customer.id}/erase"
    assert path not in member.get(f"/customers/{customer.id}").text
    assert pages.post(member, path).status_code == 403
    assert _fresh(app, customer).id == customer.id
