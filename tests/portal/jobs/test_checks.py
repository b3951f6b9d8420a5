"""Noticing an uninstalled app without an event: who is asked about, how often, and what each answer leads to."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import beats, queue
from portal.db import transaction, utcnow
from portal.jobs import checks, deliveries
from portal.models import ConnectionState
from portal.services import checking
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox


def _is_asked(app: Flask, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> int:
    """One tick whose checks run at once; how many questions reached Klaviyo."""
    before = _questions(sandbox)
    # As if Redis were away: the ticker asks by itself.
    monkeypatch.setattr(queue, "enqueue", lambda *_: False)
    with app.app_context():
        checks.ring_for_due()
    return _questions(sandbox) - before


def _questions(sandbox: Sandbox) -> int:
    return sum(each["count"] for each in sandbox.ledger()["requests"] if each["path"] == checking.ACCOUNTS_PATH)


def _make_due(app: Flask, shop: Shop) -> None:
    factories.change_connection(app, shop, check_due_at=utcnow() - timedelta(seconds=1))


def test_a_quiet_connection_is_asked_about_when_it_is_due_and_not_again_for_minutes(
    app: Flask, sandbox: Sandbox, connected: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _is_asked(app, sandbox, monkeypatch) == 0, "connecting was proof enough"
    _make_due(app, connected)
    assert _is_asked(app, sandbox, monkeypatch) == 1
    assert _is_asked(app, sandbox, monkeypatch) == 0
    due_at = factories.connection_of(app, connected).check_due_at
    assert due_at is not None
    assert due_at > utcnow() + timedelta(minutes=4)


def test_an_uninstalled_app_is_noticed_without_an_event(
    app: Flask, sandbox: Sandbox, connected: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.uninstall()
    _make_due(app, connected)
    _is_asked(app, sandbox, monkeypatch)
    assert factories.connection_of(app, connected).state == ConnectionState.RECONNECT


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 403}])
def test_trouble_at_klaviyo_ends_nothing_and_is_asked_about_later(
    app: Flask, sandbox: Sandbox, connected: Shop, monkeypatch: pytest.MonkeyPatch, fault: dict[str, int]
) -> None:
    sandbox.order("status", checking.ACCOUNTS_PATH, method="GET", **fault)
    _make_due(app, connected)
    _is_asked(app, sandbox, monkeypatch)
    assert factories.connection_of(app, connected).state == ConnectionState.CONNECTED
    assert _is_asked(app, sandbox, monkeypatch) == 0


def test_a_connection_that_rests_or_is_broken_is_left_alone(
    app: Flask, sandbox: Sandbox, connected: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make_due(app, connected)
    factories.change_connection(app, connected, paused_until=utcnow() + timedelta(minutes=1))
    assert _is_asked(app, sandbox, monkeypatch) == 0
    factories.change_connection(app, connected, paused_until=None, state=ConnectionState.RECONNECT)
    assert _is_asked(app, sandbox, monkeypatch) == 0


def test_a_delivery_that_went_well_is_proof_enough(
    app: Flask, client: FlaskClient, sandbox: Sandbox, connected: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.tell(client, connected, factories.event("e1"))
    with app.app_context():
        deliveries.take_turn(connected.id)
    _make_due(app, connected)
    assert _is_asked(app, sandbox, monkeypatch) == 0


def test_of_two_tickers_one_asks(app: Flask, connected: Shop) -> None:
    _make_due(app, connected)
    with app.app_context():
        answers = []
        for _ in range(2):
            with transaction():
                answers.append(checking.take(connected.id, utcnow()))
    assert answers == [True, False]


def test_somebody_who_looks_makes_it_due_sooner_but_at_most_once_a_minute(app: Flask, connected: Shop) -> None:
    with app.app_context():
        beats.confirm_soon(connected.id)
        assert checking.due(utcnow(), 10) == [], "it was proven a moment ago"
    factories.change_connection(app, connected, check_due_at=utcnow() + timedelta(minutes=3))
    with app.app_context():
        beats.confirm_soon(connected.id)
        assert checking.due(utcnow(), 10) == [connected.id]
