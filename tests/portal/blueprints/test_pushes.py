"""Push: the log finds pushes, one is followed step by step, and is tried again only where that can help."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.db import db, transaction, utcnow
from portal.models import Customer, Push, PushReason, PushState
from tests.factories import Shop
from tests.portal.blueprints import pages
from tests.portal.services import push_cases


def test_the_log_is_filtered_by_state_reason_customer_and_id(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    ada = push_cases.customer(app, merchant, "ada@example.com", on_ios=True)
    bob = push_cases.customer(app, merchant, "bob@example.com")
    push_cases.push(app, merchant, ada, "For Ada")
    push_cases.push(app, merchant, bob, "For Bob")
    assert {"For Ada", "For Bob"} == _listed(owner, "/push")
    assert {"For Ada"} == _listed(owner, "/push?customer=ada@example.com&state=waiting")
    assert {"For Bob"} == _listed(owner, "/push?reason=no_installed_pass")
    assert {"For Bob"} == _listed(owner, "/push?customer=bob"), "as an address begins"
    with app.app_context():
        first = db.session.scalars(db.select(Push).order_by(Push.id)).first()
        assert first is not None
    assert {"For Ada"} == _listed(owner, f"/push?customer={first.public_id}")
    assert "Nothing matches" in owner.get("/push?state=delivered").text
    assert owner.get("/push?state=&reason=&customer=").headers["Location"] == "/push"


def _listed(owner: FlaskClient, address: str) -> set[str]:
    page = owner.get(address).text
    return {message for message in ("For Ada", "For Bob") if message in page}


def test_a_push_that_can_be_tried_again_says_so_and_is(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    ada = push_cases.customer(app, merchant, "ada@example.com", on_ios=True)
    push_id = push_cases.push(app, merchant, ada, "Hello")
    followed = owner.get(f"/push/outcome/{push_id}").text
    assert 'hx-trigger="every 2s, refresh"' in followed, "it is followed while something may change"
    assert "does so by itself" in followed
    push_cases.settle(app, push_id, PushState.SKIPPED, PushReason.SUPPRESSED)
    push_cases.put_on_phone(app, merchant, ada)
    page = owner.get(f"/push/{push_id}").text
    assert "somebody of your team has said so" in page
    assert "Try again" in page
    answer = pages.hx_post(owner, f"/push/{push_id}/retry")
    assert "It is tried again" in answer.headers["HX-Trigger"]
    assert "Tried again by your team" in answer.text
    assert _push(app, push_id).state == PushState.WAITING
    assert "Push tried again" in owner.get("/settings/audit-log").text


@pytest.mark.parametrize("on_ios", [True, False])
def test_what_makes_no_sense_to_try_again_says_why(
    app: Flask, owner: FlaskClient, merchant: Shop, on_ios: bool
) -> None:
    ada = push_cases.customer(app, merchant, "ada@example.com", on_ios=on_ios)
    push_id = push_cases.push(app, merchant, ada, "Hello")
    if on_ios:
        push_cases.settle(app, push_id, PushState.DELIVERED, None)
    page = owner.get(f"/push/{push_id}").text
    assert ("would notify the customer twice" if on_ios else "It was refused when it was asked for") in page
    assert "push-retry" not in page
    refused = pages.post(owner, f"/push/{push_id}/retry")
    assert refused.status_code == 409
    assert _push(app, push_id).retried_at is None


def test_another_shop_s_push_is_neither_seen_nor_tried_again(app: Flask, merchant: Shop) -> None:
    ada = push_cases.customer(app, merchant, "ada@example.com", on_ios=True)
    push_id = push_cases.push(app, merchant, ada, "Hello")
    stranger, _ = pages.log_in_stranger(app)
    for address in (f"/push/{push_id}", f"/push/outcome/{push_id}"):
        assert stranger.get(address).status_code == 404
    assert pages.post(stranger, f"/push/{push_id}/retry").status_code == 404


def test_the_end_of_a_push_is_said_to_whoever_looks_at_it(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    ada = push_cases.customer(app, merchant, "ada@example.com", on_ios=True)
    push_id = push_cases.push(app, merchant, ada, "Hello")
    push_cases.settle(app, push_id, PushState.DELIVERED, None)
    answer = owner.get(f"/push/outcome/{push_id}")
    assert "Delivered" in answer.headers["HX-Trigger"]
    assert "hx-get" not in answer.text


def _push(app: Flask, push_id: int) -> Push:
    with app.app_context():
        return db.session.get_one(Push, push_id)


def test_a_customer_who_has_a_card_by_now_is_tried_again(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    ada = push_cases.customer(app, merchant, "ada@example.com", on_ios=True)
    push_id = push_cases.push(app, merchant, ada, "Hello")
    push_cases.settle(app, push_id, PushState.SKIPPED, PushReason.NO_INSTALLED_PASS)
    assert "still has no card" in owner.get(f"/push/{push_id}").text
    push_cases.put_on_phone(app, merchant, ada)
    assert pages.post(owner, f"/push/{push_id}/retry").status_code == 303
    with app.app_context(), transaction():
        customer = db.session.get_one(Customer, ada)
        due = db.session.get_one(Push, push_id).due_at
    assert customer.email == "ada@example.com"
    assert due is not None
    assert due <= utcnow()
