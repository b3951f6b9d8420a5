"""Connecting: every way in which it can end, and what becomes of what waits."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import responses
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal import beats, config
from portal.db import db, in_own_session, transaction, utcnow
from portal.errors import ConnectingError
from portal.jobs import tokens as token_jobs
from portal.klaviyo.oauth import App, Tokens
from portal.models import ConnectionState, Segment
from portal.services import connecting, segments
from portal.services.checking import ACCOUNTS_PATH
from portal.services.connecting import SCOPES, Granted
from portal.services.segments import RemoteSegment
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import HARBOR, NORDIC, Sandbox
from tests.portal.services import stage

GRANTED = {"access_token": "access", "refresh_token": "refresh", "expires_in": 3600, "scope": " ".join(SCOPES)}
ACCOUNT = {"data": [{"id": "K9x2Lm", "attributes": {"contact_information": {"organization_name": "Nordic Coffee"}}}]}


def _our_app() -> App:
    return beats.klaviyo_app()


def _finish(token: dict[str, Any], account: dict[str, Any] | None = None) -> Granted:
    """With these answers of the token endpoint and of Get Accounts."""
    with responses.RequestsMock() as klaviyo:
        klaviyo.post(config.current().klaviyo_api_url + "/oauth/token", **token)
        if account is not None:
            klaviyo.get(config.current().klaviyo_api_url + ACCOUNTS_PATH, **account)
        return connecting.finish(_our_app(), "code", "verifier")


def _code(error: pytest.ExceptionInfo[ConnectingError]) -> str:
    return error.value.code


def test_without_an_app_connecting_says_what_the_operator_must_set(lone: int) -> None:
    with pytest.raises(ConnectingError, match="KLAVIYO_CLIENT_ID") as error:
        connecting.begin(App("", "", "http://x", "http://x", "http://x"))
    assert _code(error) == "no_app"


def test_beginning_asks_for_every_scope_with_a_challenge(lone: int) -> None:
    started = connecting.begin(_our_app())
    assert f"state={started.state}" in started.url
    assert "code_challenge_method=S256" in started.url
    assert 43 <= len(started.code_verifier) <= 128
    assert started.code_verifier not in started.url
    assert connecting.begin(_our_app()).state != started.state
    assert all(scope.replace(":", "%3A") in started.url for scope in SCOPES)


def test_a_grant_tells_whose_account_it_is(lone: int) -> None:
    granted = _finish({"json": GRANTED}, {"json": ACCOUNT})
    assert (granted.account_id, granted.account_name) == ("K9x2Lm", "Nordic Coffee")
    assert (granted.tokens.access, granted.tokens.refresh) == ("access", "refresh")


@pytest.mark.parametrize("contact", [None, {}, {"organization_name": None}, {"organization_name": ""}])
def test_an_account_without_a_name_is_called_by_its_id(lone: int, contact: object) -> None:
    account = {"data": [{"id": "K9x2Lm", "attributes": {"contact_information": contact}}]}
    assert _finish({"json": GRANTED}, {"json": account}).account_name == "K9x2Lm"


@pytest.mark.parametrize(
    ("token", "account", "code"),
    [
        ({"status": 400, "json": {"error": "invalid_grant"}}, None, "expired"),
        ({"status": 500}, None, "unreachable"),
        ({"status": 403, "body": "<html>", "content_type": "text/html"}, None, "unreachable"),
        ({"body": ConnectionError("cut")}, None, "unreachable"),
        ({"json": {**GRANTED, "scope": "accounts:read events:write"}}, None, "scopes_missing"),
        ({"json": GRANTED}, {"status": 403, "json": {"errors": []}}, "scopes_missing"),
        ({"json": GRANTED}, {"status": 403, "body": "<html>", "content_type": "text/html"}, "unreachable"),
        ({"json": GRANTED}, {"status": 429, "json": {"errors": []}}, "unreachable"),
        ({"json": GRANTED}, {"status": 503}, "unreachable"),
        ({"json": GRANTED}, {"json": {"data": []}}, "unreachable"),
        ({"json": GRANTED}, {"json": ["no"]}, "unreachable"),
        ({"json": GRANTED}, {"json": {"data": "no"}}, "unreachable"),
        ({"json": GRANTED}, {"json": {"data": [{"attributes": {}}]}}, "unreachable"),
        ({"json": GRANTED}, {"json": {"data": [{"id": "x", "attributes": ["no"]}]}}, "unreachable"),
    ],
)
def test_whatever_goes_wrong_is_told_and_saves_nothing(
    lone: int, token: dict[str, Any], account: dict[str, Any] | None, code: str
) -> None:
    with pytest.raises(ConnectingError) as error:
        _finish(token, account)
    assert _code(error) == code
    assert connecting.connection_of(lone) is None


def test_the_missing_scopes_are_named(lone: int) -> None:
    scope = " ".join(set(SCOPES) - {"events:write"})
    with pytest.raises(ConnectingError, match=r"events:write missing"):
        _finish({"json": {**GRANTED, "scope": scope}})


def test_scopes_that_are_not_told_are_taken_as_asked_for(lone: int) -> None:
    granted = _finish({"json": {**GRANTED, "scope": None}}, {"json": ACCOUNT})
    with transaction():
        connecting.save(lone, granted, stage.ACTOR)
    assert set(stage.connection(lone).granted_scopes) == set(SCOPES)


@pytest.mark.parametrize(
    ("error", "description", "code", "said"),
    [
        ("access_denied", "The user said no", "declined", "You declined"),
        ("server_error", "", "refused", "server_error"),
        ("server_error", "Try <b>later</b>" + "x" * 500, "refused", "Try <b>later</b>x"),
    ],
)
def test_what_klaviyo_says_on_the_way_back_is_told(error: str, description: str, code: str, said: str) -> None:
    told = connecting.explain_refusal(error, description)
    assert told.code == code
    assert said in told.message
    assert len(told.message) < 250


# --- saving --------------------------------------------------------------------------------------


def test_tokens_are_sealed_in_the_database(shop: int) -> None:
    row = stage.connection(shop)
    stored = json.dumps([row.access_token_sealed, row.refresh_token_sealed])
    assert "access-1" not in stored
    assert "refresh-1" not in stored
    assert (row.access_token, row.refresh_token) == ("access-1", "refresh-1")


@pytest.mark.parametrize("state", [ConnectionState.CONNECTED, ConnectionState.RECONNECT])
def test_an_account_that_another_shop_has_cannot_be_taken(shop: int, state: ConnectionState) -> None:
    stage.change_connection(shop, state=state)
    other = stage.make_merchant()
    with pytest.raises(ConnectingError) as error:
        stage.connect(other)
    assert _code(error) == "account_taken"
    assert connecting.connection_of(other) is None


def test_an_account_that_was_disconnected_elsewhere_can_be_taken(shop: int) -> None:
    with transaction():
        connecting.disconnect(shop, stage.ACTOR)
    other = stage.make_merchant()
    stage.connect(other)
    assert stage.connection(other).is_connected


def test_another_account_is_refused_while_events_wait_for_the_first(shop: int) -> None:
    stage.record(shop, "a")
    with pytest.raises(ConnectingError, match="1 event waits") as error:
        stage.connect(shop, "H4rB0r")
    assert _code(error) == "wrong_account"
    row = stage.connection(shop)
    assert (row.klaviyo_account_id, row.access_token) == (stage.ACCOUNT, "access-1")


def test_another_account_is_taken_when_nothing_waits_and_its_segments_are_not_the_old_ones(shop: int) -> None:
    with transaction():
        segments.save_list(shop, [RemoteSegment("S1", "VIP", True, False, None)])
    stage.connect(shop, "H4rB0r")
    assert stage.connection(shop).klaviyo_account_id == "H4rB0r"
    assert db.session.scalars(select(Segment)).all() == []


def test_reconnecting_makes_what_waited_due_and_says_which_period_was_caught_up(shop: int) -> None:
    stage.record(shop, "a")
    stage.settle(stage.must_claim(shop), stage.answer(503))
    broken_at = utcnow() - timedelta(hours=2)
    stage.change_connection(
        shop,
        state=ConnectionState.RECONNECT,
        broken_at=broken_at,
        broken_reason="lost",
        paused_until=utcnow() + timedelta(hours=1),
        failures_in_a_row=7,
    )
    stage.connect(shop, given=stage.tokens("access-2", "refresh-2"))
    row = stage.connection(shop)
    assert (row.state, row.broken_at, row.broken_reason, row.paused_until) == ("connected", None, None, None)
    assert (row.failures_in_a_row, row.access_token, row.caught_up_from) == (0, "access-2", broken_at)
    assert stage.event_ids(stage.claim(shop)) == ["a"]


def test_connecting_after_a_disconnect_claims_no_period_in_which_nothing_was_sent(shop: int) -> None:
    with transaction():
        connecting.disconnect(shop, stage.ACTOR)
    stage.connect(shop)
    row = stage.connection(shop)
    assert (row.state, row.caught_up_from, row.caught_up_until) == ("connected", None, None)


def test_connecting_again_while_connected_keeps_since_when(shop: int) -> None:
    before = stage.connection(shop).connected_at
    stage.connect(shop, given=stage.tokens("access-2"))
    row = stage.connection(shop)
    assert (row.connected_at, row.access_token) == (before, "access-2")


def test_a_name_that_is_too_long_is_cut(lone: int) -> None:
    tokens = Tokens("a", "r", utcnow() + timedelta(hours=1), ())
    with transaction():
        connecting.save(lone, Granted(tokens, "x", "n" * 500), stage.ACTOR)
    assert len(stage.connection(lone).account_name) == 200


# --- at the same moment ----------------------------------------------------------------------------


def _connect_together(merchants: list[int], account: str) -> list[str]:
    """Each in a thread of its own, none before the others are ready; what each was told."""
    together = threading.Barrier(len(merchants))

    def connect(merchant: int) -> str:
        together.wait()
        try:
            stage.connect(merchant, account, stage.tokens(f"access-{merchant}"))
        except ConnectingError as error:
            return error.code
        return "connected"

    with ThreadPoolExecutor(len(merchants)) as pool:
        told = [pool.submit(in_own_session(connect), merchant) for merchant in merchants]
        return [each.result() for each in told]


def test_of_merchants_who_connect_one_account_at_the_same_moment_one_has_it(lone: int) -> None:
    for attempt in range(5):
        told = _connect_together([stage.make_merchant() for _ in range(4)], f"account-{attempt}")
        assert sorted(told) == ["account_taken"] * 3 + ["connected"]


def test_two_tabs_that_connect_at_the_same_moment_make_one_connection(lone: int) -> None:
    for _ in range(5):
        assert _connect_together([stage.make_merchant()] * 2, f"account-{utcnow()}") == ["connected"] * 2


def test_the_database_itself_holds_one_live_connection_to_an_account(shop: int) -> None:
    other = stage.make_merchant()
    stage.connect(other, "H4rB0r")
    with pytest.raises(IntegrityError):
        stage.change_connection(other, klaviyo_account_id=stage.ACCOUNT)
    stage.change_connection(other, klaviyo_account_id=stage.ACCOUNT, state=ConnectionState.DISCONNECTED)


# --- against the sandbox -------------------------------------------------------------------------


def test_the_whole_round_trip_ends_connected_and_disconnecting_revokes(
    app: Flask, sandbox: Sandbox, connected: Shop
) -> None:
    row = factories.connection_of(app, connected)
    assert (row.klaviyo_account_id, row.account_name) == (NORDIC, "Nordic Coffee")
    assert set(row.granted_scopes) == set(SCOPES)
    with app.app_context():
        access = stage.connection(connected.id).access_token
        assert beats.ask_klaviyo(connected.id, segments.fetch_list)
        with transaction():
            connecting.disconnect(connected.id, stage.ACTOR)
        token_jobs.revoke_outstanding()
        assert stage.connection(connected.id).refresh_token_sealed is None
        stage.change_connection(connected.id, state=ConnectionState.CONNECTED, access_token=access)
        with pytest.raises(ConnectingError):
            beats.ask_klaviyo(connected.id, segments.fetch_list)


def test_a_code_works_once(app: Flask, sandbox: Sandbox) -> None:
    with app.app_context():
        started = connecting.begin(_our_app())
        code = sandbox.allow(started.url, HARBOR)
        assert connecting.finish(_our_app(), code, started.code_verifier).account_id == HARBOR
        with pytest.raises(ConnectingError) as error:
            connecting.finish(_our_app(), code, started.code_verifier)
        assert _code(error) == "expired"
