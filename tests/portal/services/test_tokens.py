"""Access tokens: one refresh at a time, whatever comes back is kept, and only Klaviyo's own words end a connection."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import responses
from flask import Flask
from sqlalchemy import select

from portal import beats, config
from portal.db import db, in_own_session, transaction, utcnow
from portal.klaviyo import NoAnswerError
from portal.models import AuditEntry, ConnectionState
from portal.services import tokens
from portal.services.tokens import REFRESH_LEASE, Ours
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.portal.services import stage

TOKEN_PATH = "/oauth/token"


def _begin(shop: int, rejected: str | None = None, *, after: float = 0, **more: Any) -> Ours | None:
    with transaction():
        return tokens.begin_refresh(shop, rejected, utcnow() + timedelta(seconds=after), **more)


def _finish(shop: int, ours: Ours, access: str, refresh: str | None, seconds: float = 3600) -> None:
    with transaction():
        tokens.finish_refresh(shop, ours.refresh_token, stage.tokens(access, refresh, seconds), utcnow())


def _expire(shop: int) -> None:
    now = utcnow()
    stage.change_connection(shop, refreshed_at=now - timedelta(hours=1), access_expires_at=now + timedelta(seconds=30))


def test_a_token_that_lasts_is_used_and_not_refreshed(shop: int) -> None:
    assert tokens.usable(shop, None, utcnow()) == "access-1"
    assert _begin(shop) is None


def test_a_token_about_to_expire_is_refreshed_by_one_and_waited_for_by_the_others(shop: int) -> None:
    _expire(shop)
    assert tokens.usable(shop, None, utcnow()) is None
    ours = _begin(shop)
    assert ours == Ours("refresh-1")
    assert _begin(shop) is None
    _finish(shop, ours, "access-2", "refresh-2")
    assert tokens.usable(shop, None, utcnow()) == "access-2"
    assert stage.connection(shop).refresh_token == "refresh-2"


def test_a_rejected_token_is_refreshed_however_long_it_would_last(shop: int) -> None:
    assert tokens.usable(shop, "access-1", utcnow()) is None
    assert _begin(shop, "access-1") == Ours("refresh-1")


def test_whoever_was_rejected_with_an_older_token_takes_the_newer_one(shop: int) -> None:
    assert tokens.usable(shop, "access-0", utcnow()) == "access-1"
    assert _begin(shop, "access-0") is None


def test_a_refresher_that_died_is_followed_by_another(shop: int) -> None:
    _expire(shop)
    assert _begin(shop) is not None
    assert _begin(shop, after=REFRESH_LEASE.total_seconds() - 1) is None
    assert _begin(shop, after=REFRESH_LEASE.total_seconds() + 1) == Ours("refresh-1")


def test_a_refresh_token_that_does_not_come_back_is_kept(shop: int) -> None:
    ours = _begin(shop, "access-1")
    assert ours is not None
    _finish(shop, ours, "access-2", None)
    assert stage.connection(shop).refresh_token == "refresh-1"


def test_a_token_that_never_lasts_long_is_used_for_half_of_its_life(shop: int) -> None:
    ours = _begin(shop, "access-1")
    assert ours is not None
    _finish(shop, ours, "access-2", None, seconds=120)
    assert tokens.usable(shop, None, utcnow()) == "access-2"
    assert tokens.usable(shop, None, utcnow() + timedelta(seconds=70)) is None


def test_a_refusal_ends_the_connection_and_is_told(shop: int) -> None:
    stage.record(shop, "a")
    with transaction():
        tokens.refuse_refresh(shop, "refresh-1", utcnow())
    assert (stage.connection(shop).state, stage.connection(shop).broken_reason) == ("reconnect", tokens.LOST)
    assert "Klaviyo access lost" in db.session.scalars(select(AuditEntry.action)).all()
    assert stage.states(shop) == ["pending"]


def test_a_refusal_of_an_older_token_changes_nothing(shop: int) -> None:
    with transaction():
        tokens.refuse_refresh(shop, "refresh-0", utcnow())
    assert stage.connection(shop).is_connected


def test_a_refresh_that_ends_after_a_reconnect_changes_nothing(shop: int) -> None:
    ours = _begin(shop, "access-1")
    assert ours is not None
    stage.connect(shop, "H4rB0r", stage.tokens("harbor-access", "harbor-refresh"))
    _finish(shop, ours, "nordic-access", "nordic-refresh")
    connection = stage.connection(shop)
    assert (connection.klaviyo_account_id, connection.access_token) == ("H4rB0r", "harbor-access")
    assert connection.refresh_token == "harbor-refresh"


def test_tokens_that_cannot_be_read_ask_for_a_reconnect(shop: int) -> None:
    stage.change_connection(shop, access_token_sealed="v1:gone:AAAA", refresh_token_sealed="v1:gone:AAAA")
    assert beats.fresh_token(shop) is None
    assert stage.connection(shop).broken_reason == tokens.UNREADABLE


def test_tokens_moved_to_another_merchant_cannot_be_read_there(shop: int) -> None:
    other = stage.make_merchant()
    stage.connect(other, "H4rB0r")
    mine = stage.connection(shop).access_token_sealed
    stage.change_connection(other, access_token_sealed=mine)
    assert tokens.usable(other, None, utcnow()) is None
    assert tokens.usable(shop, None, utcnow()) == "access-1"


def test_only_what_was_not_refreshed_for_a_week_is_idle(shop: int) -> None:
    assert tokens.idle(utcnow() + timedelta(days=6)) == []
    assert tokens.idle(utcnow() + timedelta(days=8)) == [shop]
    stage.change_connection(shop, state=ConnectionState.RECONNECT)
    assert tokens.idle(utcnow() + timedelta(days=8)) == []


# --- over the network ----------------------------------------------------------------------------


def _token_url() -> str:
    return config.current().klaviyo_api_url + TOKEN_PATH


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 500, "body": "{}"},
        {"status": 403, "body": "<html>Just a moment...</html>", "content_type": "text/html"},
        {"status": 429, "json": {"error": "rate_limited"}},
        {"status": 200, "body": "<html>", "content_type": "text/html"},
        {"status": 200, "json": {"access_token": ""}},
        {"status": 400, "body": "[{]"},
        {"status": 401, "json": {"error": "invalid_client"}},
        {"body": ConnectionError("cut")},
    ],
    ids=str,
)
def test_trouble_at_the_token_endpoint_ends_nothing(shop: int, answer: dict[str, Any]) -> None:
    _expire(shop)
    with responses.RequestsMock() as klaviyo:
        klaviyo.post(_token_url(), **answer)
        with pytest.raises(NoAnswerError):
            beats.fresh_token(shop)
    connection = stage.connection(shop)
    assert (connection.state, connection.refreshing_until) == ("connected", None)
    assert connection.refresh_token == "refresh-1"


@pytest.mark.parametrize(
    ("told", "seconds"),
    [(7200, 7200), ("7200", 7200), (None, 3600), ("soon", 3600), (-5, 3600), (float("1e300"), 3600), ([], 3600)],
    ids=str,
)
def test_a_lifetime_that_makes_no_sense_does_not_cost_the_token(shop: int, told: object, seconds: int) -> None:
    _expire(shop)
    with responses.RequestsMock() as klaviyo:
        klaviyo.post(_token_url(), json={"access_token": "new", "expires_in": told})
        assert beats.fresh_token(shop) == "new"
    until = stage.connection(shop).access_expires_at
    assert until is not None
    assert seconds - 30 < (until - utcnow()).total_seconds() <= seconds


def test_invalid_grant_ends_the_connection(shop: int) -> None:
    _expire(shop)
    with responses.RequestsMock() as klaviyo:
        klaviyo.post(_token_url(), status=400, json={"error": "invalid_grant"})
        assert beats.fresh_token(shop) is None
    assert stage.connection(shop).state == ConnectionState.RECONNECT


@pytest.mark.parametrize("rotating", [False, True])
def test_twenty_threads_with_an_expired_token_refresh_it_once(
    app: Flask, sandbox: Sandbox, connected: Shop, rotating: bool
) -> None:
    sandbox.set(rotate_refresh_tokens=rotating)
    before = _token_calls(sandbox)
    together = threading.Barrier(20)

    def ask() -> str | None:
        together.wait()
        return beats.fresh_token(connected.id)

    with app.app_context():
        _expire(connected.id)
        with ThreadPoolExecutor(20) as pool:
            got = [future.result() for future in [pool.submit(in_own_session(ask)) for _ in range(20)]]
        assert len(set(got)) == 1
        assert got[0] is not None
        assert got[0] == stage.connection(connected.id).access_token
    assert _token_calls(sandbox) - before == 1


def _token_calls(sandbox: Sandbox) -> int:
    return sum(counted["count"] for counted in sandbox.ledger()["requests"] if counted["path"] == TOKEN_PATH)


def test_a_rotated_refresh_token_is_the_next_one_used(app: Flask, sandbox: Sandbox, connected: Shop) -> None:
    sandbox.set(rotate_refresh_tokens=True)
    with app.app_context():
        seen = set()
        for _ in range(3):
            _expire(connected.id)
            seen.add(beats.fresh_token(connected.id))
            seen.add(stage.connection(connected.id).refresh_token)
        assert len(seen) == 6
        assert stage.connection(connected.id).is_connected


def test_an_uninstalled_app_is_noticed_at_the_next_refresh(app: Flask, sandbox: Sandbox, connected: Shop) -> None:
    sandbox.uninstall()
    with app.app_context():
        _expire(connected.id)
        assert beats.fresh_token(connected.id) is None
    assert factories.connection_of(app, connected).state == ConnectionState.RECONNECT
