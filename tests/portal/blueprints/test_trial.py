"""*Send test event*: the normal road, step by step until it is read back from Klaviyo, and plain words where it does not get there."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from portal.db import db, transaction
from portal.jobs import deliveries
from portal.models import Customer, PointsChange, Trial
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.portal.blueprints.pages import HTMX, KLAVIYO, hx_post, log_in_stranger, post

POLLS = 'hx-trigger="every 1s"'


def _panel(owner: FlaskClient) -> str:
    return owner.get("/trial/panel", headers=HTMX).text


def _deliver(app: Flask, shop: Shop) -> None:
    with app.app_context():
        deliveries.take_turn(shop.id)


def test_a_test_event_is_shown_on_its_way_until_it_was_read_back(
    app: Flask, owner: FlaskClient, sandbox: Sandbox, connected: Shop
) -> None:
    started = hx_post(owner, "/trial/panel", event_type="reward_redeemed_online", email="Olga@nordic.example ")
    assert POLLS in started.text
    assert "Recorded here" in started.text
    assert "A worker takes it in a moment." in started.text
    _deliver(app, connected)
    panel = _panel(owner)
    assert "With 202, which means: taken." in panel
    assert "It is on the profile&#39;s timeline." in panel or "It is on the profile's timeline." in panel
    assert POLLS not in panel
    (event,) = sandbox.events()
    assert (event["metric"], event["email"], event["backfill"]) == (
        "Reward redeemed (online)",
        "olga@nordic.example",
        False,
    )
    assert event["unique_id"].startswith("jc:test:")
    assert (event["properties"]["test"], event["properties"]["cost"], event["properties"]["source"]) == (
        True,
        100,
        "test",
    )


def test_a_test_event_moves_no_points_and_greets_nobody(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    for event_type in ("balance_changed", "referral_completed", "card_installed"):
        hx_post(owner, "/trial/panel", event_type=event_type, email="olga@nordic.example")
    with app.app_context():
        customer = db.session.scalars(select(Customer)).one()
        assert (customer.balance, customer.card_status, customer.pos_scans) == (0, "not_installed", 0)
        assert db.session.scalar(select(func.count()).select_from(PointsChange)) == 0
    assert [row.event.type for row in _rows(app, connected)] == [
        "balance_changed",
        "referral_completed",
        "card_installed",
    ]


def _rows(app: Flask, shop: Shop) -> list[Trial]:
    with app.app_context():
        rows = list(db.session.scalars(select(Trial).where(Trial.merchant_id == shop.id).order_by(Trial.event_id)))
        assert [row.event.type for row in rows]
        return rows


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"event_type": "rocket", "email": "olga@nordic.example"}, "Choose one of the events."),
        ({"event_type": "card_opened", "email": "olga"}, "Enter an email address"),
    ],
)
def test_what_cannot_be_sent_is_said(owner: FlaskClient, connected: Shop, form: dict[str, str], words: str) -> None:
    answer = hx_post(owner, "/trial/panel", **form)
    assert (answer.status_code, words in answer.text) == (422, True)
    assert post(owner, "/trial/panel", **form).location == f"{KLAVIYO}/events"
    assert words in owner.get(f"{KLAVIYO}/events").text


def test_without_scripts_it_works_by_reload(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    form = {"event_type": "card_opened", "email": "olga@nordic.example"}
    assert post(owner, "/trial/panel", **form).location == f"{KLAVIYO}/events#trial"
    assert "Look again" in owner.get(f"{KLAVIYO}/events").text
    _deliver(app, connected)
    assert "timeline." in owner.get(f"{KLAVIYO}/events").text


def test_an_event_that_is_not_sent_says_why(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    post(owner, "/modules/choices", event_type="card_opened", sent="no", anyway="yes")
    answer = hx_post(owner, "/trial/panel", event_type="card_opened", email="olga@nordic.example")
    assert "You chose not to send this kind of event" in answer.text
    assert POLLS not in answer.text


def test_trouble_and_refusal_are_told_in_plain_words(
    app: Flask, owner: FlaskClient, sandbox: Sandbox, connected: Shop
) -> None:
    sandbox.order("status", "/api/events", status=503)
    hx_post(owner, "/trial/panel", event_type="card_opened", email="olga@nordic.example")
    _deliver(app, connected)
    panel = _panel(owner)
    assert "It is tried again by itself." in panel
    assert POLLS in panel
    factories.let_time_pass(app, connected, 600)
    sandbox.order("status", "/api/events", status=400)
    _deliver(app, connected)
    panel = _panel(owner)
    assert "Did not work" in panel
    assert POLLS not in panel


def test_what_klaviyo_has_taken_and_does_not_show_is_looked_for_and_then_left_to_a_person(
    app: Flask, owner: FlaskClient, sandbox: Sandbox, connected: Shop
) -> None:
    sandbox.order("status", "/api/events", method="GET", status=503, times=3)
    hx_post(owner, "/trial/panel", event_type="card_opened", email="olga@nordic.example")
    _deliver(app, connected)
    assert POLLS in _panel(owner)
    with app.app_context(), transaction():
        for row in db.session.scalars(select(Trial)):
            row.started_at -= timedelta(minutes=5)
    panel = _panel(owner)
    assert "does not show it yet" in panel
    assert POLLS not in panel
    sandbox.clear_faults()
    assert "timeline." in owner.get(f"{KLAVIYO}/events").text


def test_a_test_event_of_another_shop_is_not_shown(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    hx_post(owner, "/trial/panel", event_type="card_opened", email="olga@nordic.example")
    stranger, _ = log_in_stranger(app)
    assert "olga@" not in stranger.get("/trial/panel").text
