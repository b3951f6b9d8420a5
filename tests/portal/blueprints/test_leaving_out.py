"""Before an event is switched off, the live flows that start with it are named; where that cannot be told, it is said."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.jobs import deliveries
from portal.services import modules
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.portal.blueprints.pages import KLAVIYO, hx_post, log_in_stranger, post

OFF = "/modules/choices/checked_in/off"


@pytest.fixture
def depended(app: Flask, client: FlaskClient, sandbox: Sandbox, connected: Shop) -> Shop:
    """A shop in whose account live flows start with *Check-in at location*, and others do not."""
    for event_type in ("checked_in", "card_opened"):
        factories.tell(client, connected, factories.event(event_type, type=event_type, properties={}))
    with app.app_context():
        deliveries.take_turn(connected.id)
    sandbox.set(limits=False)  # flows are made faster than a marketer would
    sandbox.start_flow("Thanks for coming", "Check-in at location")
    sandbox.start_flow("Points for a visit", "Check-in at location")
    sandbox.start_flow("Not yet", "Check-in at location", "draft")
    sandbox.start_flow("Curious", "Loyalty card opened", "manual")
    return connected


def _is_sent(app: Flask, shop: Shop, event_type: str = "checked_in") -> bool:
    with app.app_context():
        return modules.choices(shop.id)[event_type]


def test_live_flows_are_named_and_the_event_stays_on_until_it_is_switched_off_anyway(
    app: Flask, owner: FlaskClient, depended: Shop
) -> None:
    answer = hx_post(owner, "/modules/choices", event_type="checked_in", sent="no")
    assert answer.headers["HX-Redirect"] == OFF
    assert post(owner, "/modules/choices", event_type="checked_in", sent="no").location == OFF
    page = owner.get(OFF).text
    assert "2 live flows in Klaviyo start with this event" in page
    assert "<strong>Points for a visit</strong>" in page
    assert "<strong>Thanks for coming</strong>" in page
    assert "Not yet" not in page
    assert "Keep on" in page
    assert _is_sent(app, depended)
    post(owner, "/modules/choices", event_type="checked_in", sent="no", anyway="yes")
    assert not _is_sent(app, depended)
    assert "Check-in at location is no longer sent to Klaviyo." in owner.get(f"{KLAVIYO}/events").text


def test_an_event_on_which_no_live_flow_hangs_is_switched_off_at_once(
    app: Flask, owner: FlaskClient, depended: Shop
) -> None:
    answer = hx_post(owner, "/modules/choices", event_type="card_opened", sent="no")
    assert "17 of 18" in answer.text
    assert not _is_sent(app, depended, "card_opened")


def test_when_klaviyo_cannot_be_asked_that_is_said_and_nobody_is_held_up(
    app: Flask, owner: FlaskClient, sandbox: Sandbox, depended: Shop
) -> None:
    sandbox.order("status", "/api/metrics", method="GET", status=503, times=2)
    assert hx_post(owner, "/modules/choices", event_type="checked_in", sent="no").headers["HX-Redirect"] == OFF
    assert "it is not known whether a flow starts with this event" in owner.get(OFF).text
    post(owner, "/modules/choices", event_type="checked_in", sent="no", anyway="yes")
    assert not _is_sent(app, depended)


def test_what_is_off_anyway_is_not_asked_about(
    app: Flask, owner: FlaskClient, sandbox: Sandbox, depended: Shop
) -> None:
    factories.switch(app, depended, on=False)
    assert hx_post(owner, "/modules/choices", event_type="checked_in", sent="no").status_code == 200
    assert not _is_sent(app, depended)


def test_flows_of_another_shop_are_not_named(app: Flask, depended: Shop) -> None:
    stranger, _ = log_in_stranger(app)
    page = stranger.get(OFF).text
    assert "Thanks for coming" not in page
    assert stranger.get("/modules/choices/rocket/off").status_code == 404
