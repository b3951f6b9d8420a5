"""The pages of flows: made with a form, switched with a button, watched in the activity log."""

import json
import re

import pytest
import requests

from sandbox.klaviyo import flow_forms
from tests.sandbox.conftest import HARBOR, NORDIC, Running, event, until, upsert
from tests.sandbox.endpoint import Endpoint
from tests.sandbox.test_flows import steps, trigger


def fill_in(klaviyo: Running, **fields: str) -> requests.Response:
    form = {**flow_forms.EMPTY, "name": "Tier upgraded", "account": NORDIC, **fields}
    return klaviyo.session.post(f"{klaviyo.url}/flows", data=form, timeout=10)


def press(klaviyo: Running, path: str, **fields: str) -> str:
    answer = klaviyo.session.post(klaviyo.url + path, data={"account": NORDIC, **fields}, timeout=10)
    assert answer.status_code == 200
    return answer.text


def test_a_flow_made_with_the_form_sends_its_webhook_and_tells_of_it(klaviyo: Running, endpoint: Endpoint) -> None:
    cause = trigger(klaviyo)["id"]
    made = fill_in(klaviyo, trigger=f"metric:{cause}", url=endpoint.url)
    assert "Create a flow" not in made.text
    assert "Switch the flow to live first" in made.text
    path = made.url.removeprefix(klaviyo.url).partition("?")[0]
    assert "Switch to draft" in press(klaviyo, f"{path}/status", status="live")
    klaviyo.api("POST", "/api/events", event("1", "Tier upgraded"))
    until(lambda: steps(klaviyo))
    page = klaviyo.session.get(klaviyo.url + path, timeout=10).text
    assert "answered 202" in page
    assert "Hello there, your reward is ready!" in page
    assert json.loads(endpoint.bodies[0])["email"] == "ann@example.com"
    profile = klaviyo.profile("ann@example.com")["id"]
    assert "In flows" in klaviyo.session.get(f"{klaviyo.url}/profiles/{profile}", timeout=10).text
    assert klaviyo.session.get(f"{klaviyo.url}{path}?account={HARBOR}", timeout=10).status_code == 404


@pytest.mark.parametrize(
    ("fields", "email"),
    [
        ({"check": "before", "property": "wallet_pass_status", "operator": "equals", "value": "installed"}, True),
        ({"check": "before", "property": "points", "operator": "greater-than", "value": "5"}, False),
        ({"check": "before", "kind": "event", "property": "balance", "operator": "less-than", "value": "50"}, False),
        ({"check": "before", "kind": "received", "property": "channel", "operator": "equals", "value": "app"}, True),
        ({"check": "after", "minutes": "0", "kind": "received", "property": ""}, False),
    ],
)
def test_the_condition_of_the_form_decides_between_webhook_and_email(
    klaviyo: Running, endpoint: Endpoint, fields: dict[str, str], email: bool
) -> None:
    cause = trigger(klaviyo)["id"]
    klaviyo.api("POST", "/api/profile-import", upsert(email="ann@example.com", properties={"points": 7}))
    made = fill_in(klaviyo, trigger=f"metric:{cause}", url=endpoint.url, metric=cause, subject="No card", **fields)
    path = made.url.removeprefix(klaviyo.url).partition("?")[0]
    press(klaviyo, f"{path}/status", status="live")
    klaviyo.api("POST", "/api/events", event("1", "Tier upgraded"))
    until(lambda: klaviyo.app.extensions["klaviyo_stand_in"].flows.waiting(1) == 0 and steps(klaviyo))
    told = [each["told"] for each in steps(klaviyo)]
    assert ("email to ann@example.com: No card" in told) is email
    assert len(endpoint.received) == (0 if email else 1)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"trigger": ""}, "Choose what triggers the flow."),
        ({"trigger": "metric:gone"}, "A metric with id gone does not exist."),
        ({"url": "http://shop.example.com/"}, "start with https://"),
        ({"headers": "no colon here"}, "A header is written as Name: value"),
        ({"body": "{{ x| }}"}, "The template cannot be rendered"),
        ({"check": "before", "property": ""}, "Name the property"),
        ({"check": "before", "property": "a", "operator": "less-than", "value": "b"}, "is not a number"),
        ({"check": "before", "property": "a", "operator": "resembles"}, "Choose how the property is compared."),
        ({"check": "after", "minutes": "soon"}, "must be a whole number"),
        ({"check": "before", "kind": "received"}, "Choose which event"),
        ({"check": "before", "kind": "event", "property": "a", "trigger": "segment:Kseg00"}, "has no event"),
        ({"name": " "}, "Give the flow a name."),
    ],
)
def test_a_form_that_makes_no_sense_comes_back_as_it_was_with_the_reason(
    klaviyo: Running, fields: dict[str, str], words: str
) -> None:
    answer = fill_in(
        klaviyo, **{"trigger": "metric:Kmtr00", "url": "https://shop.example.com/", "subject": "Kept", **fields}
    )
    assert answer.status_code == 400
    assert words in answer.text
    assert 'value="Kept"' in answer.text
    assert len(re.findall(r"Kflw\d\d", klaviyo.session.get(f"{klaviyo.url}/flows", timeout=10).text)) >= 2
    assert len(klaviyo.api("GET", "/api/flows").json()["data"]) == 2


def test_lost_and_doubled_deliveries_are_ordered_with_buttons(klaviyo: Running) -> None:
    press(klaviyo, "/faults/webhooks", kind="duplicate")
    page = press(klaviyo, "/faults/webhooks", kind="lose_answers")
    assert "Ordered: 1 lost answers, 1 double deliveries." in page
    form = {"kind": "burn", "account": NORDIC}
    assert klaviyo.session.post(f"{klaviyo.url}/faults/webhooks", data=form, timeout=10).status_code == 400
