"""Settings: the programme, keys, people, one's own password; what was typed is never lost."""

from __future__ import annotations

import re

from flask import Flask
from flask.testing import FlaskClient
from markupsafe import escape

from portal.db import db
from portal.models import ApiKey, Merchant, User
from tests import factories
from tests.factories import PASSWORD, Shop
from tests.portal.blueprints.pages import log_in_member, post

KEYS = "/settings/api-keys"
NEW_PASSWORD = "seven calm birds fly"


def test_the_programme_is_saved(owner: FlaskClient, merchant: Shop) -> None:
    form = {"name": "Kaffe", "programme_name": "Kaffeklubben", "slug": "kaffe", "timezone": "Europe/Berlin"}
    assert post(owner, "/settings/programme", **form).location == "/settings/programme"
    page = owner.get("/settings/programme").text
    assert "The programme is saved." in page
    assert all(f'value="{value}"' in page for value in form.values())


def test_a_form_that_is_refused_keeps_what_was_typed(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    form = {"name": "Kaffe", "programme_name": "", "slug": "Not a slug", "timezone": "Europe/Berlin"}
    answer = post(owner, "/settings/programme", **form)
    assert answer.status_code == 422
    assert 'value="Not a slug"' in answer.text
    assert '<a href="#programme_name">Enter the name of your programme.</a>' in answer.text
    assert re.search(r'class="summary" role="alert" tabindex="-1" autofocus', answer.text)
    assert 'aria-describedby="programme_name-error programme_name-help"' in answer.text
    with app.app_context():
        assert db.session.get_one(Merchant, merchant.id).name == merchant.name


def test_a_refusal_of_the_service_stands_beside_its_field(owner: FlaskClient) -> None:
    form = {"name": "Kaffe", "programme_name": "Klub", "slug": "settings", "timezone": "Europe/Berlin"}
    answer = post(owner, "/settings/programme", **form)
    assert answer.status_code == 422
    assert re.search(r'id="slug-error">.*Use 3 to 60 lower-case letters', answer.text, re.S)


def test_a_new_key_is_shown_once_and_works(client: FlaskClient, owner: FlaskClient) -> None:
    assert post(owner, KEYS, name="Web shop").location == KEYS
    page = owner.get(KEYS)
    secret = re.search(r'id="new-key">(jc_live_\w+)<', page.text)
    assert secret is not None
    assert page.headers["Cache-Control"] == "no-store"
    assert f"Bearer {secret[1]}" in page.text, "the example has the key in it"
    assert secret[1] not in owner.get(KEYS).text
    answer = client.get("/v1/events/none", headers={"Authorization": f"Bearer {secret[1]}"})
    assert answer.status_code == 404, "the key is known"
    assert "last used" in owner.get(KEYS).text.lower()


def test_the_secret_crosses_the_redirect_sealed(owner: FlaskClient) -> None:
    post(owner, KEYS, name="Web shop")
    with owner.session_transaction() as session:
        sealed = session["new_secret"]
    assert sealed.startswith("v1:")
    assert "jc_live" not in sealed


def test_a_key_needs_a_name(owner: FlaskClient) -> None:
    assert post(owner, KEYS, name=" ").status_code == 422
    assert post(owner, KEYS, name="x" * 61).status_code == 422


def test_a_revoked_key_is_refused_at_once(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    with app.app_context():
        key_id = db.session.scalars(db.select(ApiKey.id)).one()
    confirmation = owner.get(f"{KEYS}/{key_id}/revoke").text
    assert "cannot be undone" in confirmation
    assert "Revoke this key" in confirmation
    assert factories.tell(owner, merchant, factories.event("before")).status_code == 202
    assert post(owner, f"{KEYS}/{key_id}/revoke").location == KEYS
    assert factories.tell(owner, merchant, factories.event("after")).status_code == 401
    assert "Revoked" in owner.get(KEYS).text
    assert owner.get(f"{KEYS}/{key_id}/revoke").status_code == 404


def test_a_person_is_added_and_can_log_in(app: Flask, owner: FlaskClient) -> None:
    form = {"name": "Bo", "email": "bo@nordic.example", "password": NEW_PASSWORD, "role": "member"}
    assert post(owner, "/settings/team", **form).location == "/settings/team"
    assert "Bo can log in now." in owner.get("/settings/team").text
    assert factories.log_in(app.test_client(), "bo@nordic.example", NEW_PASSWORD).get("/").status_code == 200


def test_a_person_with_a_short_password_or_a_taken_address_is_refused(owner: FlaskClient, merchant: Shop) -> None:
    form = {"name": "Bo", "email": "bo@nordic.example", "password": "short", "role": "member"}
    answer = post(owner, "/settings/team", **form)
    assert answer.status_code == 422
    assert "Use 12 to 128 characters" in answer.text
    assert 'value="bo@nordic.example"' in answer.text
    assert 'value="short"' not in answer.text
    taken = post(owner, "/settings/team", **{**form, "email": merchant.email, "password": NEW_PASSWORD})
    assert "already logs in with this address" in taken.text
    assert post(owner, "/settings/team", **{**form, "role": "emperor"}).status_code == 422


def test_everything_that_is_wrong_with_a_person_is_told_at_once(owner: FlaskClient) -> None:
    page = post(owner, "/settings/team", name="", email="nobody", password="short", role="member").text
    summary = page.split('class="summary"')[1].split("</ul>")[0]
    assert re.findall(r'<a href="#(\w+)">([^<]+)</a>', summary) == [
        ("name", "Enter a name."),
        ("email", "This is not an email address."),
        ("password", "Use 12 to 128 characters; a few words in a row are easy to remember."),
    ]
    empty = post(owner, "/settings/team", name="", email="", password="", role="member").text
    assert empty.split('class="summary"')[1].split("</ul>")[0].count("<li>") == 3, "one complaint for each field"


def test_a_person_who_is_removed_is_out_at_once(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    member = log_in_member(app, merchant)
    assert member.get("/").status_code == 200
    with app.app_context():
        user_id = db.session.scalars(db.select(User.id).where(User.role == "member")).one()
    assert "logged out everywhere" in owner.get(f"/settings/team/{user_id}/remove").text
    assert post(owner, f"/settings/team/{user_id}/remove").location == "/settings/team"
    assert member.get("/").location == "/login"


def test_nobody_removes_themselves(app: Flask, owner: FlaskClient) -> None:
    with app.app_context():
        user_id = db.session.scalars(db.select(User.id)).one()
    assert post(owner, f"/settings/team/{user_id}/remove").status_code == 422
    assert owner.get("/").status_code == 200


def test_a_new_password_logs_every_other_browser_out(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    elsewhere = factories.log_in(app.test_client(), merchant.email)
    form = {"old_password": PASSWORD, "new_password": NEW_PASSWORD, "again": NEW_PASSWORD}
    assert post(owner, "/settings/password", **form).location == "/settings/password"
    assert "All other browsers were logged out." in owner.get("/settings/password").text
    assert elsewhere.get("/").location == "/login"
    assert factories.log_in(app.test_client(), merchant.email, NEW_PASSWORD).get("/").status_code == 200


def test_a_password_is_changed_only_by_whoever_knows_it(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    form = {"old_password": "not this one at all", "new_password": NEW_PASSWORD, "again": NEW_PASSWORD}
    answer = post(owner, "/settings/password", **form)
    assert answer.status_code == 422
    assert "not your present password" in answer.text
    differing = post(owner, "/settings/password", **{**form, "old_password": PASSWORD, "again": "another one entirely"})
    assert "The two new passwords differ." in differing.text
    assert factories.log_in(app.test_client(), merchant.email).get("/").status_code == 200


def test_the_audit_log_tells_who_did_what(owner: FlaskClient, merchant: Shop) -> None:
    post(owner, KEYS, name="Web shop")
    page = owner.get("/settings/audit-log").text
    assert "API key created" in page
    assert "Web shop" in page
    assert merchant.email in page


def test_the_audit_log_pages_by_entry(owner: FlaskClient) -> None:
    for number in range(51):
        post(owner, KEYS, name=f"key number {number}")
    first = owner.get("/settings/audit-log").text
    older = re.search(r'href="(/settings/audit-log\?before=\d+)"', first)
    assert older is not None
    assert "key number 50" in first
    assert "key number 0 " not in first
    assert "key number 0 " in owner.get(older[1]).text


def test_the_reference_shows_every_operation_and_event(client: FlaskClient) -> None:
    page = client.get("/docs").text
    described = client.get("/v1/openapi.json").get_json()
    for path, methods in described["paths"].items():
        assert path in page
        assert all(escape(operation["summary"]) in page for operation in methods.values())
    assert page.count('<th scope="row"><code>card_installed</code>') == 1
    assert "Authorization: Bearer YOUR_API_KEY" in page
