"""Flows: made over the API, entered by events and segments, and carried out with webhooks, splits, waits and emails."""

import json
from typing import Any

import pytest

from tests.sandbox.conftest import HARBOR, NORDIC, Running, event, pointers, until, upsert
from tests.sandbox.endpoint import Endpoint

BODY = """{"customer_id": "{{ person.id }}", "klaviyo_profile_id": "{{ person.KlaviyoID }}", "email": "{{ email }}",
 "message": "{{ first_name|default:'Friend' }}, you are {{ event.tier }} now",
 "idempotency_key": "{{ event|lookup:'$event_id' }}"}"""
FLOWS = "/api/flows"


@pytest.fixture
def quick(klaviyo: Running) -> Running:
    """A sandbox in whose flows twenty-four hours last a quarter of a second."""
    klaviyo.control("PUT", "/settings", {"flow_hour_seconds": 0.01})
    return klaviyo


def webhook(url: str, name: str = "hook", after: str | None = None, **more: Any) -> dict[str, Any]:
    message = {"url": url, "headers": {"Authorization": "Bearer k1"}, "body": BODY, **more}
    return {"temporary_id": name, "type": "send-webhook", "links": {"next": after}, "data": {"message": message}}


def email(name: str = "mail", subject: str = "Hello {{ first_name }}") -> dict[str, Any]:
    data = {"message": {"subject_line": subject}}
    return {"temporary_id": name, "type": "send-email", "links": {"next": None}, "data": data}


def wait(name: str, after: str, minutes: int) -> dict[str, Any]:
    data = {"unit": "minutes", "value": minutes}
    return {"temporary_id": name, "type": "time-delay", "links": {"next": after}, "data": data}


def split(condition: dict[str, Any], yes: str | None, no: str | None, name: str = "split") -> dict[str, Any]:
    data = {"profile_filter": {"condition_groups": [{"conditions": [condition]}]}}
    links = {"next_if_true": yes, "next_if_false": no}
    return {"temporary_id": name, "type": "conditional-split", "links": links, "data": data}


def installed_condition() -> dict[str, Any]:
    tested = {"type": "string", "operator": "equals", "value": "installed"}
    return {"type": "profile-property", "property": "properties['wallet_pass_status']", "filter": tested}


def flow(trigger: dict[str, Any], *actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    definition = {
        "triggers": [trigger],
        "actions": list(actions),
        "entry_action_id": actions[0]["temporary_id"],
        **more,
    }
    return {"data": {"type": "flow", "attributes": {"name": "Tier upgraded", "definition": definition}}}


def trigger(klaviyo: Running, metric: str = "Tier upgraded") -> dict[str, Any]:
    """The trigger of a metric, which a first event makes known."""
    klaviyo.api("POST", "/api/events", event("first", metric, {"email": "first@example.com"}))
    found = klaviyo.api("GET", "/api/metrics").json()["data"]
    return {"type": "metric", "id": next(each["id"] for each in found if each["attributes"]["name"] == metric)}


def live(klaviyo: Running, body: dict[str, Any]) -> str:
    answer = klaviyo.api("POST", FLOWS, body)
    assert answer.status_code == 201, answer.text
    name: str = answer.json()["data"]["id"]
    status(klaviyo, name, "live")
    return name


def status(klaviyo: Running, flow_id: str, wanted: str) -> None:
    body = {"data": {"type": "flow", "id": flow_id, "attributes": {"status": wanted}}}
    answer = klaviyo.api("PATCH", f"{FLOWS}/{flow_id}", body)
    assert answer.json()["data"]["attributes"]["status"] == wanted


def steps(klaviyo: Running, account: str = NORDIC) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = klaviyo.control("GET", f"/flows/activity?account={account}")["steps"]
    return found


def settled(klaviyo: Running, wanted: int) -> list[str]:
    """The outcomes, once there are so many."""
    until(lambda: len(steps(klaviyo)) >= wanted)
    return [each["outcome"] for each in steps(klaviyo)]


def test_a_flow_is_a_draft_with_ids_of_its_own_and_can_be_switched(klaviyo: Running) -> None:
    body = flow(trigger(klaviyo), webhook("https://shop.example.com/v1/push", after="mail"), email())
    made = klaviyo.api("POST", FLOWS, body).json()["data"]
    assert made["attributes"]["status"] == "draft"
    definition = made["attributes"]["definition"]
    hook, mail = definition["actions"]
    assert "temporary_id" not in hook
    assert (definition["entry_action_id"], hook["links"]["next"]) == (hook["id"], mail["id"])
    path = f"{FLOWS}/{made['id']}"
    assert "definition" not in klaviyo.api("GET", path).json()["data"]["attributes"]
    asked = {"additional-fields[flow]": "definition"}
    assert klaviyo.api("GET", path, params=asked).json()["data"]["attributes"]["definition"] == definition
    status(klaviyo, made["id"], "manual")
    wrong = {"data": {"type": "flow", "id": made["id"], "attributes": {"status": "on"}}}
    assert pointers(klaviyo.api("PATCH", path, wrong)) == ["/data/attributes/status"]


@pytest.mark.parametrize(
    ("spoil", "pointer"),
    [
        (lambda d: d["triggers"][0].update(type="list"), "/triggers/0/type"),
        (lambda d: d["triggers"][0].update(id="nope"), "/triggers/0/id"),
        (lambda d: d["actions"][0].update(type="send-sms"), "/actions/0/type"),
        (lambda d: d["actions"][0]["links"].update(next="nowhere"), "/actions/0/links/next"),
        (lambda d: d["actions"][1]["links"].update(next="hook"), "/actions"),
        (
            lambda d: d["actions"][0]["data"]["message"].update(url="http://shop.example.com"),
            "/actions/0/data/message/url",
        ),
        (lambda d: d["actions"][0]["data"]["message"].update(body="{{ x"), None),
        (lambda d: d["actions"][0]["data"]["message"].update(body="{{ x| }}"), "/actions/0/data/message/body"),
        (lambda d: d["actions"][0]["data"]["message"].update(headers={"a b": "c"}), "/actions/0/data/message/headers"),
        (lambda d: d.update(entry_action_id="nowhere"), "/entry_action_id"),
    ],
)
def test_what_could_not_be_run_is_refused_with_a_pointer(klaviyo: Running, spoil: Any, pointer: str | None) -> None:
    body = flow(trigger(klaviyo), webhook("https://shop.example.com/v1/push", after="mail"), email())
    spoil(body["data"]["attributes"]["definition"])
    answer = klaviyo.api("POST", FLOWS, body)
    assert answer.status_code == (400 if pointer else 201), answer.text
    if pointer:
        assert pointers(answer) == [f"/data/attributes/definition{pointer}"]
        assert len(klaviyo.api("GET", FLOWS).json()["data"]) == 2


def test_a_webhook_is_rendered_and_posted_with_its_headers_and_no_signature(quick: Running, endpoint: Endpoint) -> None:
    live(quick, flow(trigger(quick), webhook(endpoint.url)))
    profile = quick.api("POST", "/api/profile-import", upsert(email="ann@example.com", external_id="shop-7")).json()
    quick.api("POST", "/api/events", event("e-1", "Tier upgraded", properties={"tier": "Gold"}))
    until(lambda: endpoint.received)
    (received,) = endpoint.received
    assert json.loads(received.body) == {
        "customer_id": "shop-7", "klaviyo_profile_id": profile["data"]["id"], "email": "ann@example.com",
        "message": "Friend, you are Gold now", "idempotency_key": "e-1",
    }  # fmt: skip
    assert received.headers["authorization"] == "Bearer k1"
    assert received.headers["content-type"] == "application/json"
    assert not [name for name in received.headers if "signature" in name or name.startswith("klaviyo")]
    assert settled(quick, 1) == ["Sent"]


def test_backfilled_and_repeated_events_and_those_of_a_draft_enter_nothing(quick: Running, endpoint: Endpoint) -> None:
    draft = quick.api("POST", FLOWS, flow(trigger(quick), webhook(endpoint.url))).json()["data"]["id"]
    quick.api("POST", "/api/events", event("1", "Tier upgraded"))
    status(quick, draft, "live")
    quick.api("POST", "/api/events", event("2", "Tier upgraded", backfill=True))
    for _ in range(2):
        quick.api("POST", "/api/events", event("3", "Tier upgraded"))
    assert settled(quick, 1) == ["Sent"]
    assert quick.control("GET", f"/ledger?account={NORDIC}")["flow_entries"] == 1
    assert steps(quick, HARBOR) == []


def test_a_busy_receiver_is_tried_again_with_the_same_body(quick: Running, endpoint: Endpoint) -> None:
    live(quick, flow(trigger(quick), webhook(endpoint.url)))
    endpoint.statuses = [429, 500, 502, 503]
    quick.api("POST", "/api/events", event("1", "Tier upgraded"))
    assert settled(quick, 5) == ["Waiting"] * 4 + ["Sent"]
    assert len(endpoint.bodies) == 5
    assert len(set(endpoint.bodies)) == 1
    assert steps(quick)[0]["answered"] == '{"answer": 429}'


def test_after_seventeen_retries_a_profile_is_skipped_and_goes_on(quick: Running, endpoint: Endpoint) -> None:
    live(quick, flow(trigger(quick), webhook(endpoint.url, after="mail"), email()))
    endpoint.statuses = [503] * 30
    quick.api("POST", "/api/events", event("1", "Tier upgraded"))
    assert settled(quick, 19) == ["Waiting"] * 17 + ["Skipped", "Sent"]
    assert len(endpoint.bodies) == 18


@pytest.mark.parametrize("code", [400, 401, 404, 422, 504, 302])
def test_every_other_code_skips_for_good(quick: Running, endpoint: Endpoint, code: int) -> None:
    live(quick, flow(trigger(quick), webhook(endpoint.url)))
    endpoint.statuses = [code]
    quick.api("POST", "/api/events", event("1", "Tier upgraded"))
    assert settled(quick, 1) == ["Skipped"]
    assert str(code) in steps(quick)[0]["told"]
    assert len(endpoint.bodies) == 1


def test_a_receiver_that_is_not_there_is_tried_again(quick: Running, endpoint: Endpoint) -> None:
    live(quick, flow(trigger(quick), webhook("http://127.0.0.1:9/")))
    quick.api("POST", "/api/events", event("1", "Tier upgraded"))
    assert settled(quick, 2)[:2] == ["Waiting", "Waiting"]


def test_lost_answers_and_duplicates_are_ordered(quick: Running, endpoint: Endpoint) -> None:
    live(quick, flow(trigger(quick), webhook(endpoint.url)))
    quick.control("PUT", "/webhooks", {"lose_answers": 1, "duplicate": 1})
    quick.api("POST", "/api/events", event("1", "Tier upgraded"))
    assert settled(quick, 3) == ["Waiting", "Sent", "Sent"]
    assert len(endpoint.bodies) == 3
    assert len(set(endpoint.bodies)) == 1
    assert quick.control("GET", "/webhooks") == {"lose_answers": 0, "duplicate": 0}
    quick.control("PUT", "/webhooks", {"lose_answers": -1}, expect=400)


def test_a_split_on_a_property_leads_to_the_webhook_or_to_the_email(quick: Running, endpoint: Endpoint) -> None:
    actions = split(installed_condition(), "hook", "mail"), webhook(endpoint.url), email()
    live(quick, flow(trigger(quick), *actions))
    for name, properties in (("ann", {"wallet_pass_status": "installed"}), ("bo", {})):
        body = upsert(email=f"{name}@example.com", first_name=name, properties=properties)
        quick.api("POST", "/api/profile-import", body)
        quick.api("POST", "/api/events", event(name, "Tier upgraded", {"email": f"{name}@example.com"}))
        until(lambda name=name: [each for each in steps(quick) if each["outcome"] == "Sent" and name in each["email"]])
    assert [json.loads(body)["email"] for body in endpoint.bodies] == ["ann@example.com"]
    profile = quick.profile("bo@example.com")["id"]
    timeline = quick.api("GET", "/api/events", params={"filter": f'equals(profile_id,"{profile}")'}).json()["data"]
    assert "Hello bo" in {each["attributes"]["event_properties"].get("Subject") for each in timeline}


def test_a_split_on_what_came_back_since_the_flow_began_branches_to_email(quick: Running, endpoint: Endpoint) -> None:
    outcome = trigger(quick, "Push skipped")["id"]
    reason = {"property": "reason", "filter": {"type": "string", "operator": "equals", "value": "no card"}}
    condition = {
        "type": "profile-metric", "metric_id": outcome, "measurement": "count",
        "measurement_filter": {"type": "numeric", "operator": "greater-than", "value": 0},
        "timeframe_filter": {"type": "date", "operator": "flow-start"}, "metric_filters": [reason],
    }  # fmt: skip
    quick.control("PUT", "/settings", {"flow_hour_seconds": 3600})
    actions = webhook(endpoint.url, after="wait"), wait("wait", "split", 30), split(condition, "mail", None), email()
    live(quick, flow(trigger(quick), *actions))
    quick.api("POST", "/api/events", event("1", "Tier upgraded"))
    assert settled(quick, 2) == ["Sent", "Waiting"]
    quick.api("POST", "/api/events", event("2", "Push skipped", properties={"reason": "no card"}))
    quick.control("PUT", "/settings", {"clock_offset_seconds": 1801})
    assert settled(quick, 4)[2:] == ["Yes", "Sent"]


def test_joining_a_segment_enters_once_and_has_no_event(quick: Running, endpoint: Endpoint) -> None:
    body = '{"id": "{{ person.KlaviyoID }}", "event": "{{ event.tier }}", "key": "{{ event|lookup:\'$event_id\' }}"}'
    live(quick, flow({"type": "segment", "id": "Kseg01"}, webhook(endpoint.url, body=body)))
    quick.api("POST", "/api/profile-import", upsert(email="ann@example.com"))
    for method in ("POST", "DELETE", "POST"):
        quick.control(method, "/segments/Kseg01/members", {"emails": ["ann@example.com"]})
    assert settled(quick, 1) == ["Sent"]
    assert json.loads(endpoint.bodies[0]) == {"id": quick.profile("ann@example.com")["id"], "event": "", "key": ""}
    assert quick.control("GET", f"/ledger?account={NORDIC}")["flow_entries"] == 1


def test_the_filters_of_a_flow_keep_profiles_out(quick: Running, endpoint: Endpoint) -> None:
    cause = trigger(quick)
    gold = {"type": "string", "operator": "equals", "value": "Gold"}
    condition = {"type": "metric-property", "metric_id": cause["id"], "field": "tier", "filter": gold}
    live(
        quick,
        flow({**cause, "trigger_filter": {"condition_groups": [{"conditions": [condition]}]}}, webhook(endpoint.url)),
    )
    for tier in ("Silver", "Gold"):
        quick.api("POST", "/api/events", event(tier, "Tier upgraded", properties={"tier": tier}))
    assert sorted(settled(quick, 2)) == ["Sent", "Skipped"]
    assert "Gold" in endpoint.bodies[0]


def test_a_manual_flow_keeps_its_messages_until_it_is_live(quick: Running, endpoint: Endpoint) -> None:
    name = live(quick, flow(trigger(quick), webhook(endpoint.url)))
    status(quick, name, "manual")
    quick.api("POST", "/api/events", event("1", "Tier upgraded"))
    assert settled(quick, 1) == ["Needs review"]
    assert endpoint.received == []
    status(quick, name, "live")
    assert settled(quick, 2)[1:] == ["Sent"]


def test_what_waits_in_a_flow_goes_on_after_a_restart(klaviyo: Running, endpoint: Endpoint) -> None:
    klaviyo.control("PUT", "/settings", {"flow_hour_seconds": 3600})
    live(klaviyo, flow(trigger(klaviyo), webhook(endpoint.url)))
    endpoint.statuses = [503]
    klaviyo.api("POST", "/api/events", event("1", "Tier upgraded"))
    assert settled(klaviyo, 1) == ["Waiting"]
    klaviyo.restart()
    klaviyo.control("PUT", "/settings", {"clock_offset_seconds": 3600})
    assert settled(klaviyo, 2)[1:] == ["Sent"]
    assert len(set(endpoint.bodies)) == 1


def test_a_deleted_profile_leaves_its_flows(quick: Running, endpoint: Endpoint) -> None:
    endpoint.statuses = [503] * 30
    quick.control("PUT", "/settings", {"flow_hour_seconds": 3600})
    live(quick, flow(trigger(quick), webhook(endpoint.url)))
    quick.api("POST", "/api/events", event("1", "Tier upgraded"))
    settled(quick, 1)
    gone = {"type": "data-privacy-deletion-job", "attributes": {"profile": upsert(email="ann@example.com")}}
    assert quick.api("POST", "/api/data-privacy-deletion-jobs", {"data": gone}).status_code == 202
    assert steps(quick) == []
    assert quick.control("GET", f"/ledger?account={NORDIC}")["flow_entries"] == 0
