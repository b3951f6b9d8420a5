"""Examples in Klaviyo: said and decided in the wizard, sent once, nobody's customer, and without setting off a flow."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from portal import queue
from portal.db import db, transaction, utcnow
from portal.jobs import examples
from portal.models import Customer, Event, Examples
from portal.services import example_events
from portal.services.catalogue import COMMON, RECORDED
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.portal.blueprints.pages import KLAVIYO, post


@pytest.fixture
def in_wizard(
    app: Flask, client: FlaskClient, sandbox: Sandbox, merchant: Shop, monkeypatch: pytest.MonkeyPatch
) -> FlaskClient:
    """The owner's browser at the wizard's third step; the jobs run when a test says so."""
    monkeypatch.setattr(queue, "enqueue", lambda *_: False)
    factories.connect(app, sandbox, merchant)
    return factories.log_in(client, merchant.email)


def _enable(owner: FlaskClient, **form: str) -> None:
    post(owner, "/modules/switches", module="events", on="yes", examples_asked="yes", **form)


def _tick(app: Flask) -> None:
    with app.app_context():
        examples.ring_for_due()


def test_the_wizard_says_what_will_be_put_into_klaviyo(in_wizard: FlaskClient) -> None:
    page = in_wizard.get(KLAVIYO).text
    assert "put an example profile and one example of each event into Klaviyo" in page
    assert example_events.EMAIL in page
    assert "sets off no flow" in page


def test_one_example_of_each_event_is_sent_once_and_is_nobodys(
    app: Flask, sandbox: Sandbox, in_wizard: FlaskClient
) -> None:
    _enable(in_wizard, examples="yes")
    _tick(app)
    with app.app_context(), transaction():  # as if the answer had been lost
        row = db.session.scalars(select(Examples)).one()
        assert row.sent_at is not None
        row.due_at = utcnow()
    _tick(app)
    told = {event["metric"]: event for event in sandbox.events()}
    assert len(sandbox.events()) == len(told) == 19, "the 18, and the outcome of a push"
    for entry in RECORDED.values():
        event = told[entry.metric]
        assert (event["email"], event["backfill"]) == (example_events.EMAIL, True)
        assert event["properties"] == entry.example
        assert {prop.name for prop in (*COMMON, *entry.properties)} <= set(event["properties"])
    with app.app_context():
        for model in (Customer, Event):
            assert db.session.scalar(select(func.count()).select_from(model)) == 0
        assert db.session.scalars(select(Examples)).one().due_at is None


def test_what_was_declined_is_not_sent_and_not_asked_again(
    app: Flask, sandbox: Sandbox, in_wizard: FlaskClient
) -> None:
    _enable(in_wizard)
    _enable(in_wizard, examples="yes")
    _tick(app)
    assert sandbox.events() == []
    with app.app_context():
        assert [row.wanted for row in db.session.scalars(select(Examples))] == [False]


def test_trouble_at_klaviyo_delays_the_examples(app: Flask, sandbox: Sandbox, in_wizard: FlaskClient) -> None:
    sandbox.order("status", "/api/events", status=503)
    _enable(in_wizard, examples="yes")
    _tick(app)
    with app.app_context(), transaction():
        row = db.session.scalars(select(Examples)).one()
        assert (row.sent_at, row.attempts) == (None, 1)
        row.due_at = utcnow()
    _tick(app)
    assert len({event["metric"] for event in sandbox.events()}) == len(sandbox.events()) == 19
