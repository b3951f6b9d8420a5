"""The round trip to Klaviyo and back, and every way in which it must not end in a connection."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal.db import db, utcnow
from portal.models import Connection
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import HARBOR, NORDIC, Sandbox
from tests.portal.blueprints.pages import KLAVIYO, log_in_member, log_in_stranger, post

CALLBACK = "/oauth/klaviyo/callback"


def _start(client: FlaskClient) -> str:
    """Press Connect; the address at Klaviyo to which the browser goes."""
    answer = post(client, f"{KLAVIYO}/connect")
    assert answer.status_code == 303
    return str(answer.location)


def _state(url: str) -> str:
    return parse_qs(urlsplit(url).query)["state"][0]


def _come_back(client: FlaskClient, **query: str) -> TestResponse:
    return client.get(CALLBACK, query_string=query)


def _connections(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(db.select(db.func.count()).select_from(Connection)) or 0


@pytest.fixture
def nobody_connects(app: Flask, sandbox: Sandbox) -> object:
    """After the test there must be no connection, and Klaviyo must not have been asked for a token."""
    yield
    assert _connections(app) == 0


def test_connecting_leads_through_the_three_steps(owner: FlaskClient, sandbox: Sandbox) -> None:
    assert "Set up Klaviyo" in owner.get("/settings/integrations").text
    assert "Connect Klaviyo" in owner.get(KLAVIYO).text
    url = _start(owner)
    assert parse_qs(urlsplit(url).query)["code_challenge_method"] == ["S256"]
    answer = _come_back(owner, state=_state(url), code=sandbox.allow(url))
    assert answer.location == KLAVIYO
    page = owner.get(KLAVIYO).text
    assert "Connected to Nordic Coffee" in page
    assert NORDIC in page
    assert "events:write" in page
    assert 'aria-current="step"' in page
    assert post(owner, "/modules/switches", module="events", on="yes").location == KLAVIYO
    assert 'id="status-panel"' in owner.get(KLAVIYO).text
    assert "Klaviyo connected" in owner.get("/settings/audit-log").text


def test_the_steps_are_called_what_is_done_in_them(owner: FlaskClient) -> None:
    for address, current in (("/settings/integrations", "1"), (KLAVIYO, "2")):
        steps = owner.get(address).text.split('class="steps"')[1].split("</ol>")[0]
        names = re.findall(r'class="step-name">([^<]+)<', steps)
        assert names == ["Open integrations", "Authorize", "Enable modules"]
        assert re.search(rf'aria-current="step">\s*<span class="step-number">{current}<', steps)


def test_an_answer_counts_once_and_coming_back_to_it_leads_on(owner: FlaskClient, sandbox: Sandbox) -> None:
    url = _start(owner)
    code = sandbox.allow(url)
    assert _come_back(owner, state=_state(url), code=code).status_code == 303
    assert _come_back(owner, state=_state(url), code=code).location == KLAVIYO
    page = owner.get(KLAVIYO).text
    assert 'aria-current="step"' in page
    assert owner.get("/settings/audit-log").text.count("Klaviyo connected") == 1


def test_two_tabs_connect_beside_each_other(owner: FlaskClient, sandbox: Sandbox) -> None:
    first, second = _start(owner), _start(owner)
    assert _come_back(owner, state=_state(first), error="access_denied").status_code == 400
    answer = _come_back(owner, state=_state(second), code=sandbox.allow(second))
    assert answer.location == KLAVIYO
    assert "Connected to Nordic Coffee" in owner.get(KLAVIYO).text


@pytest.mark.usefixtures("nobody_connects")
def test_declining_is_told_in_plain_words(owner: FlaskClient) -> None:
    answer = _come_back(owner, state=_state(_start(owner)), error="access_denied")
    assert answer.status_code == 400
    assert "You declined" in answer.text
    assert "Try again" in answer.text


@pytest.mark.usefixtures("nobody_connects")
def test_a_code_without_our_state_is_never_exchanged(owner: FlaskClient, sandbox: Sandbox) -> None:
    url = _start(owner)
    assert "no longer valid" in _come_back(owner, code=sandbox.allow(url)).text
    assert "no longer valid" in _come_back(owner, state="made-up", code=sandbox.allow(url)).text


@pytest.mark.usefixtures("nobody_connects")
def test_a_state_is_used_up_by_its_first_answer(owner: FlaskClient, sandbox: Sandbox) -> None:
    url = _start(owner)
    assert "You declined" in _come_back(owner, state=_state(url), error="access_denied").text
    assert "no longer valid" in _come_back(owner, state=_state(url), code=sandbox.allow(url)).text


@pytest.mark.usefixtures("nobody_connects")
def test_an_answer_without_a_start_is_refused(owner: FlaskClient) -> None:
    assert _come_back(owner, state="made-up", code="made-up").status_code == 400
    assert _come_back(owner).status_code == 400


@pytest.mark.usefixtures("nobody_connects")
def test_a_state_is_bound_to_the_browser_that_began(app: Flask, owner: FlaskClient, sandbox: Sandbox) -> None:
    stranger, _ = log_in_stranger(app)
    url = _start(owner)
    assert _come_back(stranger, state=_state(url), code=sandbox.allow(url)).status_code == 400


@pytest.mark.usefixtures("nobody_connects")
def test_a_state_is_bound_to_the_person_who_began(app: Flask, owner: FlaskClient, sandbox: Sandbox) -> None:
    url = _start(owner)
    other = factories.make_shop(app, "Harbor Books")
    with owner.session_transaction() as session:
        started = session["klaviyo_started"]
    post(owner, "/logout")
    factories.log_in(owner, other.email)
    with owner.session_transaction() as session:
        assert "klaviyo_started" not in session
        session["klaviyo_started"] = started
    assert _come_back(owner, state=_state(url), code=sandbox.allow(url)).status_code == 400


@pytest.mark.usefixtures("nobody_connects")
def test_a_start_is_good_for_a_quarter_of_an_hour(owner: FlaskClient) -> None:
    url = _start(owner)
    with time_machine.travel(utcnow() + timedelta(minutes=16)):
        assert "no longer valid" in _come_back(owner, state=_state(url), code="late").text


@pytest.mark.usefixtures("nobody_connects")
def test_a_code_that_klaviyo_refuses_is_told(owner: FlaskClient) -> None:
    answer = _come_back(owner, state=_state(_start(owner)), code="made-up")
    assert answer.status_code == 400
    assert "Nothing has changed" in answer.text


@pytest.mark.usefixtures("nobody_connects")
def test_whoever_was_logged_out_meanwhile_logs_in_and_starts_anew(owner: FlaskClient, sandbox: Sandbox) -> None:
    url = _start(owner)
    code = sandbox.allow(url)
    post(owner, "/logout")
    answer = _come_back(owner, state=_state(url), code=code)
    assert answer.location == f"/login?next={KLAVIYO}"
    assert code not in answer.location


@pytest.mark.usefixtures("nobody_connects")
def test_a_member_cannot_connect(app: Flask, merchant: Shop) -> None:
    member = log_in_member(app, merchant)
    assert post(member, f"{KLAVIYO}/connect").status_code == 403
    assert _come_back(member, state="x", code="y").status_code == 400
    assert "Only an owner" in member.get(KLAVIYO).text


def test_an_account_of_another_shop_is_refused(app: Flask, connected: Shop, sandbox: Sandbox) -> None:
    sandbox.set(limits=False)  # Klaviyo tells about one account once a second
    stranger, _ = log_in_stranger(app)
    url = _start(stranger)
    answer = _come_back(stranger, state=_state(url), code=sandbox.allow(url, NORDIC))
    assert answer.status_code == 400
    assert "already connected to another shop" in answer.text
    assert _connections(app) == 1
    url = _start(stranger)
    assert _come_back(stranger, state=_state(url), code=sandbox.allow(url, HARBOR)).location == KLAVIYO


def test_an_installation_from_klaviyos_side_starts_with_a_login(client: FlaskClient, merchant: Shop) -> None:
    assert client.get("/oauth/klaviyo/install").location == "/login?next=/oauth/klaviyo/install"
    page = factories.log_in(client, merchant.email).get("/oauth/klaviyo/install").text
    assert f'action="{KLAVIYO}/connect"' in page


def test_lost_access_is_told_on_every_page_until_it_is_back(
    app: Flask, owner: FlaskClient, connected: Shop, sandbox: Sandbox
) -> None:
    sandbox.set(limits=False)  # Klaviyo tells about one account once a second
    factories.tell_all(owner, connected, factories.events("kept", 3))
    with app.app_context():
        db.session.execute(db.update(Connection).values(state="reconnect", broken_at=utcnow()))
        db.session.commit()
    for path in ("/", "/activity", KLAVIYO, "/settings/team"):
        page = owner.get(path).text
        assert "Klaviyo no longer accepts our access" in page, path
        assert "3 events wait and" in page, path
        assert "nothing is lost" in page, path
        assert "Reconnect Klaviyo" in page, path
    url = _start(owner)
    assert _come_back(owner, state=_state(url), code=sandbox.allow(url)).location == KLAVIYO
    assert "no longer accepts" not in owner.get("/activity").text


def test_disconnecting_says_first_what_will_happen(owner: FlaskClient, connected: Shop) -> None:
    factories.tell_all(owner, connected, factories.events("kept", 4))
    page = owner.get(f"{KLAVIYO}/disconnect").text
    assert "4 waiting events" in page
    assert "kept for 72 hours" in page
    assert "Nordic Coffee" in page
    assert post(owner, f"{KLAVIYO}/disconnect").location == KLAVIYO
    page = owner.get(KLAVIYO).text
    assert "is disconnected now" in page
    assert "Connect Klaviyo" in page
    assert owner.get(f"{KLAVIYO}/events").location == KLAVIYO
