"""Logging in, staying in, and being thrown out."""

from __future__ import annotations

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from portal.db import db, utcnow
from portal.models import LoginFailure, LoginSession
from portal.web import safe_next
from tests import factories
from tests.factories import PASSWORD, Shop
from tests.portal.blueprints.pages import HTMX, post, token


def _log_in(client: FlaskClient, email: str, password: str, **query: str) -> object:
    csrf = factories.csrf_token(client.get("/login").text)
    form = {"email": email, "password": password, "csrf_token": csrf}
    return client.post("/login", data=form, query_string=query)


def test_a_login_leads_to_the_page_that_was_asked_for(client: FlaskClient, merchant: Shop) -> None:
    asked = client.get("/activity?state=failed")
    assert asked.status_code == 303
    assert asked.location == "/login?next=/activity?state%3Dfailed"
    answer = _log_in(client, merchant.email, PASSWORD, next="/activity?state=failed")
    assert answer.location == "/activity?state=failed"
    assert client.get(answer.location).status_code == 200


def test_a_login_never_leads_off_the_site(client: FlaskClient, merchant: Shop) -> None:
    assert _log_in(client, merchant.email, PASSWORD, next="//evil.example/").location == "/"


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https:evil.example",
        "/\t/evil.example",
        "/ /evil.example",
        "javascript:alert(1)",
        "evil",
        "",
        None,
        "/\x7f",
    ],
)
def test_only_a_path_of_this_site_is_a_way_back(target: str | None) -> None:
    assert safe_next(target) == "/"


def test_a_path_with_a_query_is_a_way_back() -> None:
    assert safe_next("/activity?event=checked_in") == "/activity?event=checked_in"


def test_a_wrong_password_and_an_unknown_address_are_answered_alike(client: FlaskClient, merchant: Shop) -> None:
    # The token of the form bears the second in which it was made.
    with time_machine.travel(utcnow(), tick=False):
        wrong = _log_in(client, merchant.email, "not this one at all")
        unknown = _log_in(client, "nobody@nordic.example", "not this one at all")
    assert wrong.status_code == unknown.status_code == 422
    assert wrong.text.replace(merchant.email, "") == unknown.text.replace("nobody@nordic.example", "")
    assert "do not belong together" in wrong.text
    assert client.get("/").status_code == 303


def test_what_was_typed_is_kept_but_for_the_password(client: FlaskClient, merchant: Shop) -> None:
    answer = _log_in(client, merchant.email, "not this one at all")
    assert f'value="{merchant.email}"' in answer.text
    assert "not this one at all" not in answer.text


def test_guessing_is_slowed_down_and_told_for_how_long(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    for _ in range(10):
        assert _log_in(client, merchant.email, "guess guess guess").status_code == 422
    answer = _log_in(client, merchant.email, PASSWORD)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "Wait 15 minutes" in answer.text
    with app.app_context():
        # Ten guesses, each noted for the account, for the address, and for both together.
        assert db.session.scalar(db.select(db.func.count()).select_from(LoginFailure)) == 30


def test_a_login_makes_a_new_session(client: FlaskClient, merchant: Shop) -> None:
    client.get("/login")
    with client.session_transaction() as before:
        old_token = before["csrf_token"]
    factories.log_in(client, merchant.email)
    token(client)
    with client.session_transaction() as after:
        assert after["csrf_token"] != old_token


def test_the_cookie_of_a_session_that_was_ended_opens_nothing(owner: FlaskClient) -> None:
    cookie = owner.get_cookie("session")
    assert cookie is not None
    assert post(owner, "/logout").location == "/login"
    owner.set_cookie("session", cookie.value)
    assert owner.get("/").location == "/login"


def test_an_expired_session_opens_nothing(app: Flask, owner: FlaskClient) -> None:
    with app.app_context():
        db.session.execute(db.update(LoginSession).values(expires_at=utcnow()))
        db.session.commit()
    assert owner.get("/").location == "/login"


def test_the_database_keeps_no_token_that_would_open_a_session(app: Flask, owner: FlaskClient) -> None:
    with owner.session_transaction() as session:
        cookie_token = session["token"]
    with app.app_context():
        stored = db.session.scalars(db.select(LoginSession.token_hash)).all()
    assert stored
    assert cookie_token not in stored


def test_htmx_is_told_to_move_the_whole_page_to_the_login(client: FlaskClient) -> None:
    headers = {**HTMX, "HX-Current-URL": "http://localhost/settings/integrations/klaviyo"}
    answer = client.get("/status/panel", headers=headers)
    assert answer.headers["HX-Redirect"] == "/login?next=/settings/integrations/klaviyo"
    assert answer.text == ""


def test_whoever_is_logged_in_skips_the_login_page(owner: FlaskClient) -> None:
    assert owner.get("/login?next=/activity").location == "/activity"


def test_a_login_is_written_into_the_audit_log(owner: FlaskClient, merchant: Shop) -> None:
    page = owner.get("/settings/audit-log").text
    assert "Logged in" in page
    assert merchant.email in page
