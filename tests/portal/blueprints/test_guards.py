"""Every route against everybody: nobody, a member, the owner of another shop, another site."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import IntegerConverter, Rule

from tests import factories
from tests.factories import Shop
from tests.portal.blueprints.pages import HTMX, log_in_member, log_in_stranger, post, token

GUARDS = {"public", "login", "owner", "api_key"}
PUBLIC = {
    "api.openapi",
    "assets.htmx",
    "auth.log_in",
    "auth.login",
    "bootstrap.static",
    "card_pictures.show",
    "card_pictures.show_plain",
    "docs.events",
    "docs.index",
    "health.alive",
    "health.ready",
    "oauth.callback",
    "smart_link.download",
    "smart_link.follow_link",
    "smart_link.follow_message",
    "smart_link.page",
    "static",
}
# Called by phones and by Google, who have neither a session nor a form: each answers for itself who calls.
MACHINES = {
    "google_callbacks.receive",
    "passkit.changed",
    "passkit.fetch",
    "passkit.log",
    "passkit.register",
    "passkit.unregister",
}


def _routes(app: Flask, *guards: str) -> Iterator[tuple[Rule, str, str]]:
    """(rule, an address of it, a method) for every route with one of these guards."""
    for rule in app.url_map.iter_rules():
        if app.view_functions[rule.endpoint].guard not in guards:
            continue
        address = str(rule)
        for argument in rule.arguments:
            converter = rule._converters[argument]
            shape = "int:" if isinstance(converter, IntegerConverter) else ""
            address = address.replace(f"<{shape}{argument}>", "1").replace(f"<path:{argument}>", "1")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield rule, address, method


def test_every_view_says_who_may_see_it(app: Flask) -> None:
    unmarked = [name for name, view in app.view_functions.items() if getattr(view, "guard", None) not in GUARDS]
    assert unmarked == []


def test_what_is_public_is_known(app: Flask) -> None:
    assert {name for name, view in app.view_functions.items() if view.guard == "public"} == PUBLIC | MACHINES


def test_nobody_gets_further_than_the_login_page(app: Flask, client: FlaskClient) -> None:
    csrf = factories.csrf_token(client.get("/login").text)
    for rule, address, method in _routes(app, "login", "owner"):
        answer = client.open(address, method=method, data={"csrf_token": csrf})
        assert answer.status_code == 303, (rule, method, answer.status_code)
        assert answer.location.startswith("/login"), rule


def test_a_member_is_refused_what_only_owners_may(app: Flask, merchant: Shop) -> None:
    member = log_in_member(app, merchant)
    csrf = token(member)
    routes = list(_routes(app, "owner"))
    assert len(routes) > 8
    for rule, address, method in routes:
        answer = member.open(address, method=method, data={"csrf_token": csrf})
        assert answer.status_code == 403, (rule, method, answer.status_code)


def test_a_member_sees_every_page_that_needs_a_login_only(app: Flask, merchant: Shop) -> None:
    member = log_in_member(app, merchant)
    for rule, address, method in _routes(app, "login"):
        if method == "GET" and not rule.arguments:
            assert member.get(address).status_code in (200, 303), rule


def test_every_form_needs_a_token(app: Flask, owner: FlaskClient) -> None:
    for rule, address, method in _routes(app, "login", "owner", "public"):
        if method == "POST" and rule.endpoint not in MACHINES:
            answer = owner.post(address, data={"csrf_token": "made-up"})
            assert answer.status_code == 400, rule
            assert "open for too long" in answer.text, rule


def test_the_token_of_another_session_is_refused(app: Flask, owner: FlaskClient) -> None:
    stranger, _ = log_in_stranger(app)
    assert owner.post("/logout", data={"csrf_token": token(stranger)}).status_code == 400
    assert owner.get("/").status_code == 200


def test_a_bad_token_is_told_to_htmx_where_feedback_goes(owner: FlaskClient) -> None:
    answer = owner.post("/modules/switches", data={"module": "events", "on": "yes"}, headers=HTMX)
    assert answer.status_code == 400
    assert answer.headers["HX-Retarget"] == "#feedback"
    assert "<html" not in answer.text
    assert "Reload the page" in answer.text


def test_another_site_cannot_send_a_form(owner: FlaskClient) -> None:
    csrf = token(owner)
    answer = owner.post("/logout", data={"csrf_token": csrf}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert owner.get("/").status_code == 200


def test_what_changes_something_cannot_be_fetched(owner: FlaskClient) -> None:
    for address in ("/logout", "/activity/retry", "/activity/1/retry", "/segments/refresh"):
        assert owner.get(address).status_code == 405, address


def test_what_belongs_to_another_shop_is_not_there(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    stranger, other = log_in_stranger(app)
    keys = owner.get("/settings/api-keys").text
    key_id = keys.split("/settings/api-keys/")[1].split("/")[0]
    assert stranger.get(f"/settings/api-keys/{key_id}/revoke").status_code == 404
    assert post(stranger, f"/settings/api-keys/{key_id}/revoke").status_code == 404
    assert merchant.email not in stranger.get("/settings/team").text
    assert other.email not in owner.get("/settings/team").text
    assert "Active" in owner.get("/settings/api-keys").text
