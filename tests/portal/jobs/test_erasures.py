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
from portal.services import erasing
from tests import factories
from tests.factories import Shop, tell
from tests.klaviyo_account import Sandbox


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
                erasure.due_at -= timedelta(seconds=after)
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
    assert left.due_at > utcnow()
    with app.app_context():
        assert erasing.problems(erased.id) == (1, left.problem)
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
