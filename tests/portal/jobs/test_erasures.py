"""Telling Klaviyo whom to erase: once it works, again while it does not, and for as long as it takes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import queue
from portal.db import db, transaction, utcnow
from portal.jobs import deliveries, erasures
from portal.klaviyo import bodies
from portal.models import AuditEntry, Erasure
from portal.services import erasing, unerased
from tests import factories
from tests.factories import Shop, tell
from tests.klaviyo_account import Sandbox
from tests.portal.blueprints import pages


@pytest.fixture
def erased(app: Flask, client: FlaskClient, connected: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Ada was told of at Klaviyo, and then erased here; the jobs run when a test says so."""
    monkeypatch.setattr(queue, "enqueue", lambda *_: False)
    tell(client, connected, factories.event("a"))
    with app.app_context():
        deliveries.take_turn(connected.id)
    key = {"Authorization": f"Bearer {connected.api_key}"}
    customer_id = client.get("/v1/events/a", headers=key).get_json()["customer_id"]
    assert client.delete(f"/v1/customers/{customer_id}", headers=key).status_code == 202
    return connected


def _tick(app: Flask, *, after: float = 0) -> None:
    """Everything that is due so many seconds from now."""
    with app.app_context():
        with transaction():
            for erasure in db.session.scalars(select(Erasure)):
                erasure.due_at = erasure.due_at and erasure.due_at - timedelta(seconds=after)
        erasures.ring_for_due()


def _left(app: Flask) -> Erasure | None:
    with app.app_context():
        return db.session.scalar(select(Erasure))


def _asked(sandbox: Sandbox) -> int:
    return sum(each["count"] for each in sandbox.ledger()["requests"] if each["path"] == bodies.ERASURE_PATH)


def test_klaviyo_erases_the_profile_with_its_events_and_is_told_once(
    app: Flask, sandbox: Sandbox, erased: Shop
) -> None:
    assert sandbox.event_ids() == ["a"]
    _tick(app)
    _tick(app)
    assert (_left(app), sandbox.event_ids(), _asked(sandbox)) == (None, [], 1)
    with app.app_context():
        actions = [entry.action for entry in db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()))]
    assert actions[:2] == ["erasure passed on to Klaviyo", "customer erased"]


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"status": 403}])
def test_what_klaviyo_does_not_take_is_told_again_until_it_does(
    app: Flask, sandbox: Sandbox, erased: Shop, fault: dict[str, Any]
) -> None:
    sandbox.order("status", bodies.ERASURE_PATH, **fault)
    _tick(app)
    left = _left(app)
    assert left is not None
    assert left.due_at is not None
    assert left.due_at > utcnow()
    with app.app_context():
        (shown,) = unerased.outstanding(erased.id, 10)
        assert (shown.who, shown.reason, shown.refused) == ("ada@example.com", left.problem, False)
    sandbox.clear_faults()
    _tick(app, after=60)
    assert (_left(app), sandbox.event_ids()) == (None, [])


def test_an_access_token_that_has_run_out_is_refreshed(app: Flask, sandbox: Sandbox, erased: Shop) -> None:
    sandbox.expire_access()
    _tick(app)
    assert (_left(app), sandbox.event_ids()) == (None, [])


def test_without_a_connection_it_waits_for_the_same_account(app: Flask, sandbox: Sandbox, erased: Shop) -> None:
    sandbox.uninstall()
    _tick(app)
    _tick(app, after=3600)
    assert _left(app) is not None
    factories.connect(app, sandbox, erased)
    _tick(app, after=3600)
    assert (_left(app), sandbox.event_ids()) == (None, [])


def test_two_workers_tell_klaviyo_once(app: Flask, erased: Shop) -> None:
    left = _left(app)
    assert left is not None
    with app.app_context(), transaction():
        taken = [erasing.take(left.id, utcnow()) for _ in range(2)]
    assert [each is None for each in taken] == [False, True]


def test_what_klaviyo_refuses_waits_for_a_person_who_tries_again_or_says_that_it_is_done(
    app: Flask, sandbox: Sandbox, erased: Shop
) -> None:
    sandbox.order("status", bodies.ERASURE_PATH, status=400)
    browser = factories.log_in(app.test_client(), erased.email)
    _tick(app)
    _tick(app, after=86_400)
    assert (_asked(sandbox), _left(app) is not None) == (1, True), "it would be refused for ever"
    for path, words in (
        ("/status/panel", "Klaviyo has not erased 1 customer"),
        ("/home/today", "Klaviyo has not erased 1 customer"),
        ("/customers/erasures", "ada@example.com"),
        ("/customers/erasures/left", "Klaviyo refused to erase this profile"),
    ):
        assert words in browser.get(path).text
    sandbox.order("status", bodies.ERASURE_PATH, status=400)
    pages.post(browser, "/customers/erasures/left")
    _tick(app)
    assert (_asked(sandbox), "Refused" in browser.get("/customers/erasures").text) == (2, True)
    left = _left(app)
    assert left is not None
    stranger, _ = pages.log_in_stranger(app)
    assert pages.post(stranger, "/customers/erasures/done", erasure_id=left.id).status_code == 404
    assert "Nothing is left" in pages.hx_post(browser, "/customers/erasures/done", erasure_id=left.id).text
    assert _left(app) is None


def test_a_profile_that_klaviyo_does_not_have_needs_no_person(app: Flask, sandbox: Sandbox, erased: Shop) -> None:
    sandbox.order("status", bodies.ERASURE_PATH, status=404)
    _tick(app)
    assert _left(app) is None
