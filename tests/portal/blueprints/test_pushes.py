"""Push: a test push is sent and followed, the log finds it, and the webhook's page shows what was refused."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from portal.db import db, transaction
from portal.models import Customer
from portal.services.customers import Identifiers
from tests import factories
from tests.factories import Shop, csrf_token


def _send(owner: FlaskClient, customer: str) -> tuple[int, str]:
    token = csrf_token(owner.get("/push/test").text)
    form = {"customer": customer, "message": "Hello", "url": "", "csrf_token": token}
    answer = owner.post("/push/test", data=form, follow_redirects=True)
    return answer.status_code, answer.text


def test_a_test_push_is_followed_and_found_in_the_log(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    with app.app_context():
        person = factories.know(merchant.id, [Identifiers(email="ada@example.com")])[0]
        assert person is not None
        assert _send(owner, "ada@example.com")[0] == 422
        with transaction():
            db.session.get_one(Customer, person.id).on_ios = True
    status, page = _send(owner, "ada@example.com")
    assert (status, "Taken by the portal" in page, 'hx-trigger="every 2s"' in page) == (200, True, True)
    assert "Hello" in owner.get("/push?customer=ada@example.com&state=waiting").text
    assert "Nothing matches" in owner.get("/push?state=delivered").text


def test_the_webhook_s_page_shows_refusals_and_keeps_the_rules(
    client: FlaskClient, owner: FlaskClient, merchant: Shop
) -> None:
    key = {"Authorization": f"Bearer {merchant.api_key}"}
    assert client.post("/v1/push", json={"email": "no@example.com", "message": "Hi"}, headers=key).status_code == 404
    page = owner.get("/push/webhook").text
    assert "No customer has any of these identifiers" in page
    form = {
        "paused": "y",
        "most_per_day": "3",
        "quiet_from": "21:00",
        "quiet_until": "08:30",
        "csrf_token": csrf_token(page),
    }
    assert owner.post("/push/webhook", data=form).status_code == 303
    assert 'value="08:30"' in owner.get("/push/webhook").text
    assert client.post("/v1/push", json={"email": "no@example.com", "message": "Hi"}, headers=key).status_code == 403
