"""The webhook's page: what to copy, a key that is filled in once, a draft flow in Klaviyo, and what was refused."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import beats
from portal.db import db, transaction
from portal.models import ApiKey
from portal.services import connecting
from tests import factories
from tests.factories import ACTOR, Shop
from tests.klaviyo_account import NORDIC, Sandbox
from tests.portal.blueprints import pages

PAGE = "/push/webhook"
DRAFT = {
    "event_type": "balance_changed",
    "flow": "Points are in",
    "message": "Your points are in!",
    "url": "https://yourstore.com/rewards",
}


def _code(page: str, name: str) -> str:
    found = re.search(rf'<pre[^>]*id="{name}"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert found is not None
    return unescape(found[1]).strip()


def test_the_body_is_json_that_names_the_customer_in_four_ways(owner: FlaskClient) -> None:
    body = json.loads(_code(owner.get(PAGE).text, "hook-body"))
    assert body["customer_id"] == "{{ person.id|default:'' }}"
    assert body["klaviyo_profile_id"] == "{{ person.KlaviyoID|default:'' }}"
    assert {"email", "phone_number", "message", "url"} < set(body)
    assert body["idempotency_key"] == "reward-ready {{ person.KlaviyoID }} {{ event|lookup:'$event_id' }}"


def test_what_is_typed_is_in_the_body_with_scripts_and_without(owner: FlaskClient) -> None:
    asked = {
        "message": 'The "new" roast, {{ person.tier|default:"friend" }}',
        "url": "",
        "flow": "New Roast",
        "starts": "other",
    }
    fragment = owner.get(f"{PAGE}/body", query_string=asked).text
    assert fragment.strip().startswith('<section class="panel panel-flush" id="push_webhook-body"')
    assert "breaks the JSON" in fragment
    body = json.loads(_code(fragment, "hook-body"))
    assert body["message"] == "The \"new\" roast, {{ person.tier|default:'friend' }}"
    assert body["idempotency_key"] == "new-roast {{ person.KlaviyoID }}"
    assert "url" not in body
    assert json.loads(_code(owner.get(PAGE, query_string=asked).text, "hook-body")) == body


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"message": ""}, "Enter what the lock screen"),
        ({"url": "http://x"}, "must begin with https"),
        ({"flow": ""}, "flow"),
    ],
)
def test_what_cannot_be_a_webhook_is_told_and_the_example_stays(
    owner: FlaskClient, changes: dict[str, str], said: str
) -> None:
    asked = {"message": "Hi", "url": "", "flow": "F", "starts": "event", **changes}
    fragment = owner.get(f"{PAGE}/body", query_string=asked).text
    assert said in fragment
    assert json.loads(_code(fragment, "hook-body"))["message"] == "Your reward is ready!"


def test_a_key_is_made_there_filled_in_and_shown_once(owner: FlaskClient, client: FlaskClient, merchant: Shop) -> None:
    before = owner.get(PAGE).text
    assert "Bearer YOUR_API_KEY" in _code(before, "hook-headers")
    assert merchant.api_key[:16] in before
    assert merchant.api_key not in before
    assert pages.post(owner, f"{PAGE}/key").status_code == 303
    headers = _code(owner.get(PAGE).text, "hook-headers")
    key = headers.splitlines()[0].removeprefix("Authorization: ")
    answer = client.post("/v1/push", json={"email": "no@example.com", "message": "Hi"}, headers={"Authorization": key})
    assert answer.status_code == 404
    assert "Bearer YOUR_API_KEY" in owner.get(PAGE).text
    assert "API key created" in owner.get("/settings/audit-log").text


def test_what_was_typed_is_still_there_beside_the_new_key(owner: FlaskClient) -> None:
    typed = {"message": "You are {{ event.tier }} now!", "url": "", "flow": "Risen", "starts": "event"}
    page = owner.get(pages.post(owner, f"{PAGE}/key", **typed).headers["Location"]).text
    assert "shown this once" in page
    assert json.loads(_code(page, "hook-body"))["message"] == typed["message"]


def test_a_member_copies_and_an_owner_makes_keys_and_flows(app: Flask, merchant: Shop) -> None:
    member = pages.log_in_member(app, merchant)
    page = member.get(PAGE).text
    assert "Only an owner can make a key" in page
    assert f"{PAGE}/key" not in page


def test_the_last_call_and_refusals_with_their_remedies_are_shown(
    client: FlaskClient, owner: FlaskClient, merchant: Shop
) -> None:
    assert "Not called yet" in owner.get(PAGE).text
    key = {"Authorization": f"Bearer {merchant.api_key}"}
    assert client.post("/v1/push", json={"email": "no@example.com", "message": "Hi"}, headers=key).status_code == 404
    broken = client.post("/v1/push", data='{"message": "Hi "Ada""}', content_type="application/json", headers=key)
    assert broken.status_code == 400
    page = owner.get(PAGE).text
    assert re.search(r"Last called by Klaviyo.*just now", page, re.DOTALL)
    assert "No customer has any of these identifiers" in page
    assert "Leave names and" in page


# --- a draft flow --------------------------------------------------------------------------------


def _allow_flows(app: Flask, shop: Shop, sandbox: Sandbox) -> None:
    with app.app_context():
        started = connecting.begin(beats.klaviyo_app(), ["flows:write"])
        granted = connecting.finish(beats.klaviyo_app(), sandbox.allow(started.url, NORDIC), started.code_verifier)
        with transaction():
            connecting.save(shop.id, granted, ACTOR)


def _flows(sandbox: Sandbox) -> list[dict[str, Any]]:
    found = [each for each in sandbox.ask("GET", "/api/flows")["data"] if each["attributes"]["name"] == "Points are in"]
    return [sandbox.ask("GET", f"/api/flows/{each['id']}?additional-fields[flow]=definition")["data"] for each in found]


def _live_keys(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(db.select(ApiKey.name).where(ApiKey.revoked_at.is_(None)).order_by(ApiKey.id)))


@pytest.fixture
def known(app: Flask, client: FlaskClient, connected: Shop, sandbox: Sandbox) -> Shop:
    """Klaviyo knows our metrics since the examples."""
    with app.app_context():
        assert beats.send_examples(connected.id)
    return connected


def test_without_the_permission_the_page_says_how_to_get_it(client: FlaskClient, known: Shop, sandbox: Sandbox) -> None:
    browser = factories.log_in(client, known.email)
    page = browser.get(PAGE).text
    assert "Allow it in Klaviyo" in page
    connect = "/settings/integrations/klaviyo/connect"
    assert f'formaction="{connect}?also=flows:write"' in page
    assert "flows%3Awrite" not in pages.post(browser, connect).headers["Location"]
    # What was typed is still there after the way to Klaviyo and back.
    asked = pages.post(browser, f"{connect}?also=flows:write", **DRAFT).headers["Location"]
    assert "flows%3Awrite" in asked
    state = parse_qs(urlsplit(asked).query)["state"][0]
    back = browser.get("/oauth/klaviyo/callback", query_string={"state": state, "code": sandbox.allow(asked)})
    again = browser.get(back.headers["Location"]).text
    assert json.loads(_code(again, "hook-body"))["message"] == DRAFT["message"]
    assert '<option selected value="balance_changed">' in again


def test_a_draft_flow_is_made_once_with_the_webhook_and_a_key_of_its_own(
    app: Flask, client: FlaskClient, known: Shop, sandbox: Sandbox
) -> None:
    _allow_flows(app, known, sandbox)
    browser = factories.log_in(client, known.email)
    made = pages.post(browser, f"{PAGE}/flow", **DRAFT)
    assert made.status_code == 303, made.text
    assert "is in Klaviyo" in browser.get(PAGE).text
    (flow,) = _flows(sandbox)
    assert flow["attributes"]["status"] == "draft"
    (action,) = flow["attributes"]["definition"]["actions"]
    webhook = action["data"]["message"]
    assert webhook["url"].endswith("/v1/push")
    assert json.loads(webhook["body"])["message"] == "Your points are in!"
    answer = client.post("/v1/push", json={"email": "no@example.com", "message": "Hi"}, headers=webhook["headers"])
    assert answer.status_code == 404, "its key works"
    assert _live_keys(app)[-1] == "Flow Points are in"
    again = pages.post(browser, f"{PAGE}/flow", **DRAFT)
    assert again.status_code == 409
    assert 'href="#flow"' in again.text
    assert len(_flows(sandbox)) == 1
    assert len(_live_keys(app)) == 2


@pytest.mark.parametrize(
    ("fault", "details", "said"),
    [
        ("status", {"status": 400}, "did not take the flow"),
        ("status", {"status": 503}, "did not answer"),
    ],
)
def test_a_flow_that_was_not_made_leaves_no_key_and_keeps_what_was_typed(
    app: Flask, client: FlaskClient, known: Shop, sandbox: Sandbox, fault: str, details: dict[str, Any], said: str
) -> None:
    _allow_flows(app, known, sandbox)
    browser = factories.log_in(client, known.email)
    sandbox.order(fault, "/api/flows", times=9, **details)
    refused = pages.post(browser, f"{PAGE}/flow", **DRAFT)
    assert said in refused.text
    assert "Your points are in!" in refused.text
    assert _live_keys(app) == ["Till"]
    assert factories.connection_of(app, known).is_connected, "it is an extra, and breaks nothing off"


def test_a_connection_without_the_permission_is_told_and_stays(app: Flask, client: FlaskClient, known: Shop) -> None:
    browser = factories.log_in(client, known.email)
    refused = pages.post(browser, f"{PAGE}/flow", **DRAFT)
    assert refused.status_code == 409
    assert "does not let us make flows" in refused.text
    assert factories.connection_of(app, known).is_connected
    assert _live_keys(app) == ["Till"]


def test_an_answer_that_was_lost_is_looked_up_and_the_flow_is_there_once(
    app: Flask, client: FlaskClient, known: Shop, sandbox: Sandbox
) -> None:
    _allow_flows(app, known, sandbox)
    browser = factories.log_in(client, known.email)
    sandbox.order("reset", "/api/flows", accept=True)
    made = pages.post(browser, f"{PAGE}/flow", **DRAFT)
    assert made.status_code == 303, made.text
    assert len(_flows(sandbox)) == 1
