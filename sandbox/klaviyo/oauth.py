"""`/oauth/authorize`, `/oauth/token` and `/oauth/revoke`, with PKCE required and one registered app.

A wrong client or redirect address gets a page and no redirect; every other refusal goes back to the app.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import sqlite3
from typing import Any
from urllib.parse import unquote, urlencode

from flask import Blueprint, Response, g, jsonify, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.klaviyo.operations import ALL_SCOPES, Tier
from sandbox.klaviyo.world import World, world
from sandbox.sameorigin import same_origin_only
from sandbox.store import Row

bp = Blueprint("klaviyo_oauth", __name__)
_VERIFIER = re.compile(r"[a-zA-Z0-9\-._~]{43,128}")
_CHALLENGE = re.compile(r"[A-Za-z0-9\-_]{43}")
# How long a code lives is not documented; minutes.
_CODE_SECONDS = 300
_ASKED = ("client_id", "redirect_uri", "response_type", "scope", "state", "code_challenge", "code_challenge_method")


@bp.get("/oauth/authorize")
def consent() -> AnyResponse | tuple[str, int] | str:
    refused = _refuse(request.args)
    if refused is not None:
        return refused
    here = world()
    scopes = request.args["scope"].split()
    asked = {name: request.args.get(name, "") for name in _ASKED}
    return render_template(
        "klaviyo/consent.html", accounts=here.accounts(), scopes=scopes, asked=asked, app_name=here.config.app_name
    )


@bp.post("/oauth/authorize")
@same_origin_only
def decide() -> AnyResponse | tuple[str, int]:
    refused = _refuse(request.form)
    if refused is not None:
        return refused
    if request.form.get("decision") != "allow":
        return _back(request.form, error="access_denied", error_description="The user declined to authorize the app.")
    here = world()
    account = here.account(request.form.get("account", ""))
    if account is None:
        return _page("Choose the account to connect.", "The account that was chosen does not exist.")
    code = secrets.token_urlsafe(32)
    with here.store.writing() as connection:
        connection.execute(
            "INSERT INTO grant_code VALUES (?, ?, ?, ?, ?, ?, NULL)",
            (code, account["pk"], request.form["scope"], request.form["redirect_uri"], request.form["code_challenge"],
             here.switches.now()),
        )  # fmt: skip
    return _back(request.form, code=code)


def _refuse(asked: Any) -> AnyResponse | tuple[str, int] | None:
    config = world().config
    if asked.get("client_id") != config.client_id:
        return _page("This app is not known.", "The client_id does not belong to any app.")
    if asked.get("redirect_uri") != config.redirect_uri:
        return _page("This address is not allowed.", "The redirect_uri must be exactly one the app has registered.")
    if asked.get("response_type") != "code":
        return _back(asked, error="unsupported_response_type")
    if asked.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(asked.get("code_challenge", "")):
        return _back(asked, error="invalid_request", error_description="A code_challenge by S256 is required.")
    scopes = asked.get("scope", "").split()
    if "accounts:read" not in scopes or not set(scopes) <= set(ALL_SCOPES):
        return _back(asked, error="invalid_scope", error_description="A scope is unknown, or accounts:read is missing.")
    return None


def _page(title: str, detail: str) -> tuple[str, int]:
    return render_template("klaviyo/problem.html", title=title, detail=detail), 400


def _back(asked: Any, **answer: str) -> AnyResponse:
    if asked.get("state"):
        answer["state"] = asked["state"]
    address = asked["redirect_uri"]
    return redirect(address + ("&" if "?" in address else "?") + urlencode(answer), 302)


@bp.post("/oauth/token")
def token() -> Response:
    here = world()
    g.sent = request.get_data()[:2048]
    if not _is_app(here):
        return _client_refused()
    kind = request.form.get("grant_type")
    if kind == "authorization_code":
        return _exchange(here)
    if kind == "refresh_token":
        return _refresh(here)
    return _error("invalid_grant_type", "The grant_type must be authorization_code or refresh_token.")


def _is_app(here: World) -> bool:
    scheme, _, packed = request.headers.get("Authorization", "").partition(" ")
    try:
        client, _, secret = base64.b64decode(packed, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    good = hmac.compare_digest(unquote(secret).encode(), here.config.client_secret.encode())
    return scheme.lower() == "basic" and good and unquote(client) == here.config.client_id


def _client_refused() -> Response:
    response = _error("invalid_client", None, 401)
    response.headers["WWW-Authenticate"] = 'Basic realm="klaviyo"'
    return response


def _error(code: str, detail: str | None = None, status: int = 400) -> Response:
    body = {"error": code} if detail is None else {"error": code, "error_description": detail}
    response = jsonify(body)
    response.status_code = status
    return response


def _exchange(here: World) -> Response:
    verifier = request.form.get("code_verifier", "")
    if not _VERIFIER.fullmatch(verifier):
        return _error("invalid_request", 'Invalid "code_verifier"')
    now = here.switches.now()
    with here.store.writing() as connection:
        row = connection.execute("SELECT * FROM grant_code WHERE code = ?", (request.form.get("code"),)).fetchone()
        if row is None or row["used"] is not None or row["created"] + _CODE_SECONDS < now:
            return _error("invalid_grant")
        connection.execute("UPDATE grant_code SET used = ? WHERE code = ?", (now, row["code"]))
        if row["redirect_uri"] != request.form.get("redirect_uri"):
            return _error("invalid_grant")
        if not hmac.compare_digest(_challenge_of(verifier), row["challenge"]):
            return _error("invalid_grant", "Code challenge failed.")
        install = here.tokens.install(connection, row["account"], row["scopes"])
        refresh = here.tokens.issue(connection, "refresh", install, row["account"], row["scopes"])
        access = here.tokens.issue(connection, "access", install, row["account"], row["scopes"])
    _attribute(here, row["account"])
    return _tokens(here, access, refresh, row["scopes"])


def _challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _refresh(here: World) -> Response:
    now = here.switches.now()
    with here.store.writing() as connection:
        row = here.tokens.refresh_row(connection, request.form.get("refresh_token", ""))
        if row is None:
            return _error("invalid_grant")
        _attribute(here, row["account"])
        if here.switches.limits:
            wait, _ = here.limits.take(f"install-{row['install']}", [("oauth_refresh", Tier.REFRESH)], now)
            if wait:
                return _slow_down(wait)
        refresh = _kept_or_rotated(here, connection, row, now)
        access = here.tokens.issue(connection, "access", row["install"], row["account"], row["scopes"])
        connection.execute("UPDATE install SET refreshed = ? WHERE pk = ?", (now, row["install"]))
    return _tokens(here, access, refresh, row["scopes"])


def _kept_or_rotated(here: World, connection: sqlite3.Connection, row: Row, now: float) -> str:
    """By default the same refresh token comes back, as was measured; the other mode retires it."""
    if here.switches.rotate_refresh_tokens:
        connection.execute("UPDATE token SET revoked = ? WHERE token = ?", (now, row["token"]))
        return here.tokens.issue(connection, "refresh", row["install"], row["account"], row["scopes"])
    connection.execute("UPDATE token SET last_used = ? WHERE token = ?", (now, row["token"]))
    return str(row["token"])


def _slow_down(wait: int) -> Response:
    response = _error("rate_limited", "Too many refreshes for this install.", 429)
    response.headers["Retry-After"] = str(wait)
    return response


def _attribute(here: World, account: int) -> None:
    """Let the recorder know whose request this was."""
    row = here.store.row("SELECT id FROM account WHERE pk = ?", (account,))
    if row is not None:
        g.account_id = row["id"]


def _tokens(here: World, access: str, refresh: str, scopes: str) -> Response:
    return jsonify(
        access_token=access, refresh_token=refresh, token_type="Bearer", scope=scopes,
        expires_in=int(here.switches.access_ttl_seconds),
    )  # fmt: skip


@bp.post("/oauth/revoke")
def revoke() -> Response:
    """Revoking either token uninstalls the app; a token nobody knows is answered the same."""
    here = world()
    g.sent = request.get_data()[:2048]
    if not _is_app(here):
        return _client_refused()
    row = here.store.row("SELECT account FROM token WHERE token = ?", (request.form.get("token"),))
    if row is not None:
        _attribute(here, row["account"])
        here.tokens.uninstall(row["account"])
    return jsonify({})
