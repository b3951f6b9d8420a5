"""OAuth against the sandbox: the round trip with PKCE, refreshing, revoking, and what can go wrong on the way."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from launch import ports
from portal.klaviyo import Client, NoAnswerError, UnauthorizedError
from portal.klaviyo.oauth import App, GrantRefusedError, Tokens
from tests.conftest import CLIENT_ID, CLIENT_SECRET
from tests.klaviyo_account import Sandbox

SCOPES = ("accounts:read", "events:write", "segments:read")


@pytest.fixture
def our_app(sandbox: Sandbox, portal_port: int) -> App:
    sandbox.set(limits=False)  # accounts may be asked for once a second only
    return App(
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        redirect_uri=f"http://127.0.0.1:{portal_port}/oauth/klaviyo/callback",
        api_url=sandbox.url,
        web_url=sandbox.url,
    )


@pytest.fixture
def tokens(our_app: App, sandbox: Sandbox) -> Tokens:
    url, _, verifier = our_app.authorize_url(SCOPES)
    return our_app.exchange_code(sandbox.allow(url), verifier)


def _can_ask(sandbox: Sandbox, access: str) -> bool:
    try:
        return bool(Client(sandbox.url, access).read("/api/accounts")["data"])
    except UnauthorizedError:
        return False


def test_the_address_carries_what_the_vendor_asks_for_and_not_the_secret(our_app: App) -> None:
    url, state, verifier = our_app.authorize_url(SCOPES)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert asked == {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": our_app.redirect_uri,
        "scope": " ".join(SCOPES),
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    assert 43 <= len(verifier) <= 128
    assert CLIENT_SECRET not in url
    assert verifier not in url


def test_state_and_verifier_are_new_each_time(our_app: App) -> None:
    starts = [our_app.authorize_url(SCOPES) for _ in range(20)]
    assert len({state for _, state, _ in starts}) == len({verifier for *_, verifier in starts}) == 20


def test_a_code_becomes_tokens_that_work_and_last_an_hour(tokens: Tokens, sandbox: Sandbox) -> None:
    assert _can_ask(sandbox, tokens.access)
    assert set(tokens.scopes) == set(SCOPES)
    assert timedelta(minutes=59) < tokens.expires_at - datetime.now(UTC) <= timedelta(hours=1)


def test_a_code_is_good_once_and_only_with_its_verifier(our_app: App, sandbox: Sandbox) -> None:
    url, _, verifier = our_app.authorize_url(SCOPES)
    code = sandbox.allow(url)
    our_app.exchange_code(code, verifier)
    with pytest.raises(GrantRefusedError) as raised:
        our_app.exchange_code(code, verifier)
    assert raised.value.code == "invalid_grant"
    url, *_ = our_app.authorize_url(SCOPES)
    other = sandbox.allow(url)
    with pytest.raises(GrantRefusedError):
        our_app.exchange_code(other, verifier)


@pytest.mark.parametrize("rotate", [False, True])
def test_a_refresh_gives_an_access_token_that_works(
    our_app: App, sandbox: Sandbox, tokens: Tokens, rotate: bool
) -> None:
    sandbox.set(rotate_refresh_tokens=rotate)
    sandbox.expire_access()
    assert not _can_ask(sandbox, tokens.access)
    fresh = our_app.refresh(tokens.refresh or "")
    assert _can_ask(sandbox, fresh.access)
    assert (fresh.refresh != tokens.refresh) == rotate
    again = our_app.refresh(fresh.refresh or "")
    assert _can_ask(sandbox, again.access)


def test_an_uninstalled_app_is_told_invalid_grant(our_app: App, sandbox: Sandbox, tokens: Tokens) -> None:
    sandbox.uninstall()
    with pytest.raises(GrantRefusedError) as raised:
        our_app.refresh(tokens.refresh or "")
    assert raised.value.code == "invalid_grant"


def test_revoking_ends_both_tokens_and_may_be_repeated(our_app: App, sandbox: Sandbox, tokens: Tokens) -> None:
    our_app.revoke(tokens.refresh or "")
    assert not _can_ask(sandbox, tokens.access)
    our_app.revoke(tokens.refresh or "")


@pytest.mark.parametrize("fault", [{"fault": "status", "status": 502}, {"fault": "html_403"}, {"fault": "reset"}])
def test_trouble_at_the_token_endpoint_says_nothing_about_the_grant(
    our_app: App, sandbox: Sandbox, tokens: Tokens, fault: dict[str, object]
) -> None:
    sandbox.order(path="/oauth/token", **fault)  # type: ignore[arg-type]
    with pytest.raises(NoAnswerError):
        our_app.refresh(tokens.refresh or "")
    assert our_app.refresh(tokens.refresh or "").access


def test_a_token_endpoint_that_is_not_there_says_nothing_about_the_grant(our_app: App) -> None:
    nowhere = f"http://127.0.0.1:{ports.find_free()}"
    away = App(our_app.client_id, our_app.client_secret, our_app.redirect_uri, nowhere, nowhere)
    with pytest.raises(NoAnswerError):
        away.refresh("token")
    with pytest.raises(NoAnswerError):
        away.revoke("token")
