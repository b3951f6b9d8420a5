"""Who gets no pushes is listed with the reason, and anybody of the team changes it, on the list and on the customer's page."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from portal.db import transaction, utcnow
from portal.models import PushState
from portal.services import push_sending, pushing
from tests.factories import Shop
from tests.portal.blueprints import pages
from tests.portal.services import push_cases


def test_a_customer_is_suppressed_by_the_list_and_let_through_again(
    app: Flask, owner: FlaskClient, merchant: Shop
) -> None:
    ada = push_cases.customer(app, merchant, "ada@example.com", on_ios=True)
    push_cases.put_on_phone(app, merchant, ada)
    assert "Nobody: every customer" in owner.get("/push/suppressed").text
    added = pages.post(owner, "/push/suppressed", customer="ada@example.com", reason="Asked by phone")
    assert added.status_code == 303
    listed = owner.get("/push/suppressed").text
    for words in ("ada@example.com", "Asked by phone", merchant.email):
        assert words in listed
    push_id = push_cases.push(app, merchant, ada, "Hello")
    _send(app, merchant)
    with app.app_context():
        push = pushing.find(merchant.id, push_id)
        assert (push.state, push.reason) == (PushState.SKIPPED, "suppressed")
    assert "still gets no pushes" in owner.get(f"/push/{push_id}").text
    lifted = pages.post(owner, f"/push/suppressed/customer/{ada}", gets="yes", back="list")
    assert lifted.headers["Location"] == "/push/suppressed"
    assert "Nobody: every customer" in owner.get("/push/suppressed").text
    assert pages.post(owner, f"/push/{push_id}/retry").status_code == 303
    _send(app, merchant)
    with app.app_context():
        assert pushing.find(merchant.id, push_id).state == PushState.SENT
    audit = owner.get("/settings/audit-log").text
    assert "Customer suppressed from pushes" in audit
    assert "Customer gets pushes again" in audit
    assert "ada@example.com" not in audit


def _send(app: Flask, shop: Shop) -> None:
    with app.app_context(), transaction():
        push_sending.send_due(shop.id, utcnow())


def test_the_customer_s_page_does_the_same_with_htmx_and_without(
    app: Flask, owner: FlaskClient, merchant: Shop
) -> None:
    ada = push_cases.customer(app, merchant, "ada@example.com")
    address = f"/push/suppressed/customer/{ada}"
    for _ in range(2):
        answer = pages.hx_post(owner, address, gets="no", reason="Asked us")
        assert answer.text.strip().startswith('<section class="panel" id="suppressions-customer"')
        assert "Asked us" in answer.text
    assert "Gets none" in owner.get(f"/customers/{ada}").text
    assert pages.post(owner, address, gets="yes").headers["Location"] == f"/customers/{ada}"
    assert "Gets pushes" in owner.get(address).text


def test_nobody_and_a_reason_that_cannot_be_kept_are_told(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    ada = push_cases.customer(app, merchant, "ada@example.com")
    refused = pages.post(owner, "/push/suppressed", customer="nobody@example.com", reason="")
    assert refused.status_code == 422
    assert "No customer has exactly this" in refused.text
    long = pages.post(owner, "/push/suppressed", customer="ada@example.com", reason="x" * 201)
    assert long.status_code == 422
    assert 'href="#reason"' in long.text
    stranger, _ = pages.log_in_stranger(app)
    assert pages.post(stranger, f"/push/suppressed/customer/{ada}", gets="no").status_code == 404
    assert pages.post(stranger, "/push/suppressed", customer="ada@example.com").status_code == 422
