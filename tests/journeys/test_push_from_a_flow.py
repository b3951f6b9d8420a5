"""A flow that Tier upgraded starts calls the portal: the message is on the lock screen once, and whoever has no card gets the email."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.db import db, transaction
from portal.models import Customer, Merchant, PushRules
from portal.services.customers import Identifiers
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.phone import Phone
from tests.portal.services import programmes
from tests.servers import Processes
from tests.waiting import eventually

ADA, BO, ZOE = "ada@example.com", "bo@example.com", "zoe@example.com"
MESSAGE, FLOW = "You are Silver now!", "Welcome to Silver"
OUTCOME = "Wallet push outcome"
HALF_AN_HOUR = 1801


def _webhook(client: FlaskClient, shop: Shop, after: str | None) -> dict[str, Any]:
    """The action as the portal's page says it once this message is typed in."""
    typed = {"message": MESSAGE, "url": "https://yourstore.com/silver", "flow": FLOW, "starts": "event"}
    page = factories.log_in(client, shop.email).get("/push/webhook", query_string=typed).text
    url, headers, body = (_code(page, name) for name in ("hook-url", "hook-headers", "hook-body"))
    told = dict(line.split(": ", 1) for line in headers.splitlines())
    told["Authorization"] = f"Bearer {shop.api_key}"
    message = {"url": url, "headers": told, "body": body}
    return {"temporary_id": "hook", "type": "send-webhook", "links": {"next": after}, "data": {"message": message}}


def _code(page: str, name: str) -> str:
    found = re.search(rf'<pre[^>]*id="{name}"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert found is not None, f"the page does not show {name}"
    return unescape(found[1]).strip()


def _split(condition: dict[str, Any], yes: str | None, no: str | None) -> dict[str, Any]:
    data = {"profile_filter": {"condition_groups": [{"conditions": [condition]}]}}
    links = {"next_if_true": yes, "next_if_false": no}
    return {"temporary_id": "split", "type": "conditional-split", "links": links, "data": data}


def _equals(value: str) -> dict[str, Any]:
    return {"type": "string", "operator": "equals", "value": value}


MAIL = {
    "temporary_id": "mail",
    "type": "send-email",
    "links": {"next": None},
    "data": {"message": {"subject_line": "Your card is waiting"}},
}
PAUSE = {
    "temporary_id": "pause",
    "type": "time-delay",
    "links": {"next": "split"},
    "data": {"unit": "minutes", "value": 30},
}


def _by_outcome(client: FlaskClient, shop: Shop, sandbox: Sandbox) -> list[dict[str, Any]]:
    """Call, wait, and look whether it came back as delivered."""
    delivered = {
        "type": "profile-metric",
        "metric_id": sandbox.metric_id(OUTCOME),
        "measurement": "count",
        "measurement_filter": {"type": "numeric", "operator": "greater-than", "value": 0},
        "timeframe_filter": {"type": "date", "operator": "flow-start"},
        "metric_filters": [{"property": "outcome", "filter": _equals("delivered")}],
    }
    return [_webhook(client, shop, "pause"), PAUSE, _split(delivered, None, "mail"), MAIL]


def _by_property(client: FlaskClient, shop: Shop, sandbox: Sandbox) -> list[dict[str, Any]]:
    """Look on the profile whether there is a card, then call."""
    installed = {
        "type": "profile-property",
        "property": "properties['jericommerce_wallet_pass_status']",
        "filter": _equals("installed"),
    }
    return [_split(installed, "hook", "mail"), _webhook(client, shop, None), MAIL]


@pytest.fixture
def known(
    app: Flask, client: FlaskClient, connected: Shop, sandbox: Sandbox, live_portal: str, processes: Processes
) -> Phone:
    """Ada has the card on her iPhone, and Klaviyo knows; Zoe was there before, so that Klaviyo knows the metrics."""
    with app.app_context():
        programmes.set_tiers(connected.id, {"Bronze": 0, "Silver": 100})
        with transaction():
            db.session.add(PushRules(merchant_id=connected.id, tells_klaviyo=True, paused=False))
    processes.worker()
    processes.ticker()
    sandbox.set(flow_hour_seconds=3600)
    _reach_silver(client, connected, ZOE)
    asked = {"email": ZOE, "message": MESSAGE}
    answer = client.post("/v1/push", json=asked, headers={"Authorization": f"Bearer {connected.api_key}"})
    assert answer.status_code == 422
    with app.app_context():
        factories.know(connected.id, [Identifiers(email=email) for email in (ADA, BO)])
        customer = db.session.scalars(select(Customer).where(Customer.email == ADA)).one()
        slug = db.session.get_one(Merchant, connected.id).slug
        link = f"{live_portal}/{slug}/download?token={customer.link_token}"
    iphone = Phone(sandbox.url)
    iphone.add(link)
    eventually(lambda: {OUTCOME, "Tier upgraded"} <= {each["metric"] for each in sandbox.events()})
    eventually(lambda: _card_status(sandbox) == "installed")
    return iphone


def _reach_silver(client: FlaskClient, shop: Shop, email: str) -> None:
    told = factories.event(f"points-{email}", email, properties={"change": 150})
    assert factories.tell(client, shop, told).status_code == 202


def _card_status(sandbox: Sandbox) -> Any:
    return sandbox.profiles(email=ADA) and sandbox.properties(email=ADA).get("jericommerce_wallet_pass_status")


def _outcomes(sandbox: Sandbox, email: str) -> list[str]:
    """What became of each action of the flow for them."""
    return [each["outcome"] for each in sandbox.flow_steps() if each["email"] == email]


def _told_of(sandbox: Sandbox, email: str) -> list[str]:
    """What Klaviyo has heard of their pushes."""
    told = [each for each in sandbox.events() if each["metric"] == OUTCOME and each["email"] == email]
    return [each["properties"]["outcome"] for each in told]


def _mails(sandbox: Sandbox, email: str) -> list[str]:
    """Those that the flow has sent them, by their subjects."""
    (profile,) = sandbox.profiles(email=email)
    timeline = sandbox.ask("GET", "/api/events", params={"filter": f'equals(profile_id,"{profile["id"]}")'})["data"]
    told = [each["attributes"]["event_properties"] for each in timeline]
    return [each["Subject"] for each in told if "Subject" in each]


def _verdict(client: FlaskClient, email: str) -> str:
    page = client.get("/activity/trace", query_string={"customer": email}).text
    return unescape(re.sub(r"<[^>]+>", "", page))


@pytest.mark.parametrize(
    ("database_url", "branch"),
    [("sqlite", _by_outcome), ("postgresql", _by_property)],
    ids=["outcome", "property"],
    indirect=["database_url"],
)
def test_a_flow_puts_its_message_on_the_lock_screen_once_and_emails_whoever_has_no_card(
    client: FlaskClient, connected: Shop, sandbox: Sandbox, known: Phone, branch: Any
) -> None:
    sandbox.make_flow(FLOW, "Tier upgraded", branch(client, connected, sandbox))
    _reach_silver(client, connected, BO)
    eventually(lambda: {"Skipped", "No"} & set(_outcomes(sandbox, BO)))
    sandbox.order_webhooks(lose_answers=1, duplicate=1)  # of Ada's, who is told once all the same
    _reach_silver(client, connected, ADA)
    eventually(lambda: _told_of(sandbox, ADA) == ["delivered"])
    eventually(lambda: branch is _by_property or _told_of(sandbox, BO) == ["skipped"])
    eventually(lambda: "Waiting" in _outcomes(sandbox, ADA))
    sandbox.set(clock_offset_seconds=HALF_AN_HOUR)  # the call is repeated, and what waits in the flow goes on
    eventually(lambda: "Sent" in _outcomes(sandbox, ADA))
    sandbox.set(clock_offset_seconds=2 * HALF_AN_HOUR)
    eventually(lambda: "Yes" in _outcomes(sandbox, ADA))
    eventually(lambda: _mails(sandbox, BO) == ["Your card is waiting"])
    assert _mails(sandbox, ADA) == []
    assert [text.rstrip("\u200b\u200c") for text in known.notices()].count(MESSAGE) == 1
    assert "the last push was delivered" in _verdict(client, ADA)
    assert "card not on a phone" in _verdict(client, BO)
