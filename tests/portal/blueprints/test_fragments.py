"""Modules, events, segments and the live parts: with htmx and without, each control does the same."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.db import db, transaction, utcnow
from portal.models import ConnectionState, Delivery, EventChoice, Module, ModuleSwitch, Segment
from portal.services.catalogue import EVENT_TYPES
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.portal.blueprints.pages import HTMX, KLAVIYO, hx_post, post


def _switched_on(app: Flask) -> set[str]:
    with app.app_context():
        return set(db.session.scalars(db.select(ModuleSwitch.module)))


def _root(html: str) -> str:
    """The id of a fragment's one root element."""
    text = html.strip()
    found = re.match(r"<(\w+)\b[^>]*?\sid=\"([^\"]+)\"", text)
    assert found is not None, text[:200]
    assert text.endswith(f"</{found[1]}>")
    return found[2]


@pytest.mark.parametrize(
    ("fragment", "page"),
    [
        ("/home/today", "/"),
        ("/status/panel", KLAVIYO),
        ("/modules/switches", KLAVIYO),
        ("/modules/choices", f"{KLAVIYO}/events"),
        ("/trial/panel", f"{KLAVIYO}/events"),
        ("/segments/table", f"{KLAVIYO}/segments"),
    ],
)
def test_a_fragment_is_named_after_its_address_and_stands_in_its_page(
    owner: FlaskClient, connected: Shop, fragment: str, page: str
) -> None:
    answer = owner.get(fragment, headers=HTMX)
    assert answer.status_code == 200
    name = fragment.strip("/").replace("/", "-")
    assert _root(answer.text) == name
    assert f'id="{name}"' in owner.get(page).text
    assert owner.get(fragment).text.count("<h1") == 0, "an address has one representation"


def test_the_panel_polls_quickly_only_while_something_moves(owner: FlaskClient, connected: Shop) -> None:
    assert 'hx-trigger="every 5s, refresh"' in owner.get("/status/panel").text
    factories.tell_all(owner, connected, factories.events("due", 2))
    panel = owner.get("/status/panel").text
    assert 'hx-trigger="every 2s, refresh"' in panel
    assert re.search(r'id="status-waiting"[^>]*>\s*<span class="figure-value">2</span>', panel)
    assert "data-poll" in panel


def test_while_klaviyo_rests_no_page_says_that_all_is_well(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    factories.change_connection(
        app, connected, paused_until=utcnow() + timedelta(seconds=20), pause_reason="Klaviyo is busy"
    )
    for page in (owner.get("/status/panel").text, owner.get("/home/today").text):
        assert re.search(r"Klaviyo is busy; continuing in \d\d s\.", page)
        assert "All is well" not in page
    factories.change_connection(app, connected, paused_until=utcnow() + timedelta(minutes=5), pause_reason=None)
    assert re.search(r"Klaviyo asked us to slow down; continuing at <time", owner.get("/status/panel").text)


def test_between_two_rests_of_an_outage_no_page_says_that_all_is_well(
    app: Flask, owner: FlaskClient, connected: Shop
) -> None:
    factories.change_connection(
        app,
        connected,
        failures_in_a_row=3,
        paused_until=utcnow() - timedelta(seconds=1),
        pause_reason="Klaviyo is busy",
    )
    for page in (owner.get("/status/panel").text, owner.get("/home/today").text):
        assert "Klaviyo did not take our last 3 tries." in page
        assert "All is well" not in page
    factories.change_connection(app, connected, failures_in_a_row=0)
    assert "All is well" in owner.get("/status/panel").text
    assert "All is well" in owner.get("/home/today").text


def test_while_an_event_waits_for_long_no_page_says_that_all_is_well(
    app: Flask, owner: FlaskClient, connected: Shop
) -> None:
    factories.tell_all(owner, connected, factories.events("old", 2))
    assert "All is well" in owner.get("/status/panel").text
    with app.app_context(), transaction():
        for delivery in db.session.scalars(db.select(Delivery)):
            delivery.created_at = utcnow() - timedelta(minutes=3)
    for page in (owner.get("/status/panel").text, owner.get("/home/today").text):
        assert "2 events wait, the oldest for 3 min" in page
        assert "All is well" not in page


def test_the_panel_speaks_a_shop_owners_words(owner: FlaskClient, connected: Shop) -> None:
    panel = owner.get("/status/panel").text
    assert not re.search(r"ticker|budget|worker", re.sub(r"<[^>]*>", "", panel), re.IGNORECASE)
    assert re.search(r'aria-describedby="status-room-help">\s*100 % free', panel)


def test_without_access_the_panel_says_who_is_waited_for(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    factories.tell_all(owner, connected, factories.events("kept", 1))
    factories.change_connection(app, connected, state=ConnectionState.RECONNECT)
    panel = owner.get("/status/panel").text
    assert "Waiting for you" in panel
    assert "Delivering" not in panel


def test_every_number_of_the_panel_leads_to_the_rows_behind_it(owner: FlaskClient, connected: Shop) -> None:
    panel = owner.get("/status/panel").text
    links = re.findall(r'<a class="figure[^"]*" id="status-\w+" href="([^"]+)"', panel)
    assert len(links) == 5
    assert all(owner.get(link.replace("&amp;", "&")).status_code == 200 for link in links)


def test_the_first_switch_ends_the_wizard(app: Flask, owner: FlaskClient, merchant: Shop, sandbox: Sandbox) -> None:
    factories.connect(app, sandbox, merchant)
    assert "Switch on what you need" in owner.get(KLAVIYO).text
    answer = hx_post(owner, "/modules/switches", module="events", on="yes")
    assert answer.headers["HX-Redirect"] == KLAVIYO
    assert "Events is switched on." in owner.get(KLAVIYO).text


def test_a_switch_works_with_htmx_and_without(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    answer = hx_post(owner, "/modules/switches", module="segments", on="yes")
    assert _root(answer.text) == "modules-switches"
    assert "Segments is switched on." in answer.headers["HX-Trigger"]
    assert re.search(r'id="switch-segments"[^>]*aria-checked="true"', answer.text)
    assert _switched_on(app) == {Module.EVENTS, Module.SEGMENTS}
    assert post(owner, "/modules/switches", module="segments", on="no").location == KLAVIYO
    assert "Segments is switched off." in owner.get(KLAVIYO).text
    assert _switched_on(app) == {Module.EVENTS}


def test_a_switch_pressed_twice_stays(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    for _ in range(2):
        post(owner, "/modules/switches", module="segments", on="yes")
    assert Module.SEGMENTS in _switched_on(app)


def test_a_switch_says_what_it_will_do(owner: FlaskClient, connected: Shop) -> None:
    page = owner.get(KLAVIYO).text
    assert (
        "If you switch it off: new events are recorded here but no longer sent, and profiles in Klaviyo stay as they are."
        in page
    )
    assert "If you switch it on: your Klaviyo segments are listed here" in page
    assert 'aria-labelledby="module-events"' in page
    assert '<h3 id="module-events">Events</h3>' in page


def test_nothing_is_switched_on_without_a_connection(app: Flask, owner: FlaskClient) -> None:
    answer = hx_post(owner, "/modules/switches", module="events", on="yes")
    assert answer.status_code == 409
    assert "Connect Klaviyo first" in answer.text
    assert _switched_on(app) == set()


@pytest.mark.parametrize(
    "form", [{"module": "rockets", "on": "yes"}, {"module": "events"}, {"module": "events", "on": "?"}]
)
def test_a_switch_that_makes_no_sense_changes_nothing(
    app: Flask, owner: FlaskClient, connected: Shop, form: dict[str, str]
) -> None:
    assert post(owner, "/modules/switches", **form).status_code == 422
    assert _switched_on(app) == {Module.EVENTS}


def test_each_of_the_18_events_can_be_left_out(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    page = owner.get(f"{KLAVIYO}/events").text
    assert page.count('role="switch"') == len(EVENT_TYPES) == 18
    answer = hx_post(owner, "/modules/choices", event_type="card_opened", sent="no")
    assert "17 of 18" in answer.text
    assert "Loyalty card opened is no longer sent" in answer.headers["HX-Trigger"]
    with app.app_context():
        assert list(db.session.scalars(db.select(EventChoice.event_type))) == ["card_opened"]
    assert post(owner, "/modules/choices", event_type="card_opened", sent="yes").location == f"{KLAVIYO}/events"
    assert "18 of 18" in owner.get("/modules/choices").text


def test_an_event_that_does_not_exist_is_refused(owner: FlaskClient, connected: Shop) -> None:
    assert post(owner, "/modules/choices", event_type="rocket_launched", sent="no").status_code == 422


def test_segments_are_read_from_klaviyo_and_chosen(owner: FlaskClient, connected: Shop) -> None:
    assert "No segments yet" in owner.get(f"{KLAVIYO}/segments").text
    assert post(owner, "/segments/refresh").location == f"{KLAVIYO}/segments"
    page = owner.get(f"{KLAVIYO}/segments").text
    assert "The list is up to date." in page
    segment_id = re.search(r'name="segment_id" value="(\d+)"', page)
    assert segment_id is not None
    answer = hx_post(owner, "/segments/table", segment_id=segment_id[1], selected="yes")
    assert _root(answer.text) == "segments-table"
    assert "<strong>1 of " in answer.text
    assert "is selected" in answer.headers["HX-Trigger"]
    post(owner, "/segments/table", segment_id=segment_id[1], selected="no")
    assert "<strong>0 of " in owner.get("/segments/table").text


def test_what_a_switch_did_is_said_in_its_own_row_and_to_screen_readers(owner: FlaskClient, connected: Shop) -> None:
    answer = hx_post(owner, "/modules/choices", event_type="checked_in", sent="no")
    said = 'class="row-said"'
    assert answer.text.count(said) == 1
    row = answer.text.split('id="choice-checked_in-about"')[1].split("</th>")[0]
    assert said in row
    assert "No longer sent to Klaviyo" in row
    assert "no longer sent to Klaviyo" in answer.headers["HX-Trigger"]
    assert said not in owner.get(f"{KLAVIYO}/events").text
    assert 'id="feedback" class="feedback" role="status" aria-live="polite"' in owner.get(f"{KLAVIYO}/events").text
    table = hx_post(owner, "/segments/refresh").text
    assert said not in table
    segment_id = re.findall(r'name="segment_id" value="(\d+)"', table)[0]
    row = hx_post(owner, "/segments/table", segment_id=segment_id, selected="yes").text
    assert re.search(said + r">(?:<svg.*?</svg>)Selected</span>", row, re.DOTALL)


def test_a_segment_of_another_shop_cannot_be_chosen(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    other = factories.make_shop(app, "Harbor Books")
    with app.app_context():
        segment = Segment(merchant_id=other.id, klaviyo_segment_id="Abc123", name="Theirs", listed_at=utcnow())
        db.session.add(segment)
        db.session.commit()
        theirs = segment.id
    assert post(owner, "/segments/table", segment_id=theirs, selected="yes").status_code == 404
    assert "Theirs" not in owner.get("/segments/table").text


def test_a_list_that_cannot_be_read_is_told_and_nothing_is_lost(
    owner: FlaskClient, connected: Shop, sandbox: Sandbox
) -> None:
    post(owner, "/segments/refresh")
    known = owner.get("/segments/table").text.count('name="segment_id"')
    sandbox.order("status", "/api/segments", method="GET", status=503, times=10)
    answer = hx_post(owner, "/segments/refresh")
    assert answer.status_code == 503
    assert "try again" in answer.text
    assert owner.get("/segments/table").text.count('name="segment_id"') == known > 0
