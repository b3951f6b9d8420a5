"""What stopped a message for one customer is said in a sentence."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from portal.services.customers import Identifiers
from tests import factories
from tests.factories import Shop


def test_a_customer_without_a_card_is_why_a_push_was_not_shown(
    app: Flask, client: FlaskClient, owner: FlaskClient, merchant: Shop
) -> None:
    with app.app_context():
        factories.know(merchant.id, [Identifiers(email="ada@example.com")])
    assert "Klaviyo is not connected" in owner.get("/activity/trace?customer=ada@example.com").text
    key = {"Authorization": f"Bearer {merchant.api_key}"}
    asked = {"email": "ada@example.com", "message": "Your reward is ready!"}
    assert client.post("/v1/push", json=asked, headers=key).status_code == 422
    page = owner.get("/activity/trace?customer=ada@example.com").text
    assert "The last push was not shown. The customer has no card on a phone." in page


def test_nobody_by_this_name_is_said_and_other_merchants_customers_are_nobody(
    app: Flask, owner: FlaskClient, merchant: Shop
) -> None:
    other = factories.make_shop(app, "Harbor Books")
    with app.app_context():
        factories.know(other.id, [Identifiers(email="bob@example.com")])
    assert "Nobody is called that" in owner.get("/activity/trace?customer=bob@example.com").text
