"""Klaviyo's own Python SDK as a client that was not written for us: it must be content with the sandbox.

It parses every answer with strict models and follows `next` links the way it does against Klaviyo.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.sandbox.conftest import KEY, NORDIC, Running, bulk, event, upsert
from tests.sandbox.test_flows import email, flow, installed_condition, split, webhook
from tests.sandbox.test_imports import job

klaviyo_api = pytest.importorskip("klaviyo_api", reason="the klaviyo-api package is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")


def sdk(klaviyo: Running) -> Any:
    return klaviyo_api.KlaviyoAPI(KEY, max_delay=5, max_retries=3, test_host=klaviyo.url)


def test_events_single_and_bulk_arrive_and_are_read_back(klaviyo: Running) -> None:
    client = sdk(klaviyo)
    client.Events.create_event(event("1", value=5.0, time="2026-11-22T10:00:00+00:00"))
    client.Events.bulk_create_events(bulk(event("2"), event("3")))
    assert [each["unique_id"] for each in klaviyo.events()] == ["1", "2", "3"]
    profile = klaviyo.profile("ann@example.com")["id"]
    found = client.Events.get_events(filter=f'equals(profile_id,"{profile}")', include=["metric", "profile"])
    assert len(found.data) == 3


def test_profiles_are_upserted_searched_and_got(klaviyo: Running) -> None:
    client = sdk(klaviyo)
    made = client.Profiles.create_or_update_profile(upsert(email="ann@example.com", properties={"tier": "gold"}))
    found = client.Profiles.get_profiles(filter='equals(email,"ann@example.com")')
    assert [each.id for each in found.data] == [made.data.id]
    assert client.Profiles.get_profile(made.data.id).data.attributes.properties == {"tier": "gold"}


def test_a_conflict_reaches_the_caller_with_the_other_id(klaviyo: Running) -> None:
    client = sdk(klaviyo)
    made = client.Profiles.create_profile(upsert(email="ann@example.com"))
    with pytest.raises(Exception, match="duplicate_profile") as caught:
        client.Profiles.create_profile(upsert(email="ann@example.com"))
    assert caught.value.status == 409
    assert made.data.id in str(caught.value.body)


def test_a_bulk_import_is_ordered_and_its_errors_read(klaviyo: Running) -> None:
    client = sdk(klaviyo)
    ordered = client.Profiles.bulk_import_profiles(job({"email": "a@example.com"}, {"id": "gone"}))
    found = client.Profiles.get_bulk_import_profiles_job(ordered.data.id)
    assert (found.data.attributes.status, found.data.attributes.failed_count) == ("complete", 1)
    errors = client.Profiles.get_errors_for_bulk_import_profiles_job(ordered.data.id)
    assert [each.attributes.code for each in errors.data] == ["not_found"]


def test_members_of_a_segment_are_paged_by_handing_next_back(klaviyo: Running) -> None:
    klaviyo.control("POST", "/profiles", {"account": NORDIC, "count": 230, "prefix": "paged"})
    emails = [f"paged{n}@shop.example.com" for n in range(230)]
    segment = klaviyo.control("POST", "/segments", {"account": NORDIC, "name": "Big", "emails": emails})["id"]
    client = sdk(klaviyo)
    seen: list[str] = []
    cursor = None
    while True:
        page = client.Segments.get_profile_ids_for_segment(segment, page_size=100, page_cursor=cursor)
        seen += [each.id for each in page.data]
        cursor = page.links.next
        if not cursor:
            break
    assert len(seen) == len(set(seen)) == 230
    listed = client.Segments.get_segments(page_size=10)
    assert "Big" in {each.attributes.name for each in listed.data}
    # With sparse fields the SDK leaves its models aside and hands the answer on as it is.
    sparse = client.Segments.get_segments(fields_segment=["name"])
    assert {"name": "Big"} in [each["attributes"] for each in sparse["data"]]
    members = client.Segments.get_profiles_for_segment(segment, page_size=10)
    assert members.data[0].attributes.joined_group_at is not None


def test_metrics_accounts_and_flow_triggers_are_understood(klaviyo: Running) -> None:
    client = sdk(klaviyo)
    assert client.Accounts.get_accounts().data[0].id == NORDIC
    metrics = client.Metrics.get_metrics()
    assert "Placed Order" in {each.attributes.name for each in metrics.data}
    flows = client.Metrics.get_flows_triggered_by_metric("Kmtr00")
    assert [each.attributes.status for each in flows.data] == ["live"]


def test_a_flow_with_a_webhook_is_made_read_and_switched_on(klaviyo: Running) -> None:
    client = sdk(klaviyo)
    trigger = {"type": "metric", "id": "Kmtr00"}
    actions = split(installed_condition(), "hook", "mail"), webhook("https://shop.example.com/v1/push"), email()
    made = client.Flows.create_flow(flow(trigger, *actions))
    assert made.data.attributes.status == "draft"
    full = client.Flows.get_flow(made.data.id, additional_fields_flow=["definition"])
    assert [each["type"] for each in full.data.attributes.definition.actions] == [
        "conditional-split", "send-webhook", "send-email"]  # fmt: skip
    attributes = {"status": "live"}
    client.Flows.update_flow(made.data.id, {"data": {"type": "flow", "id": made.data.id, "attributes": attributes}})
    assert {each.attributes.status for each in client.Flows.get_flows(filter='equals(status,"live")').data} == {"live"}


def test_the_sdk_waits_as_told_and_then_gets_through(start_sandbox: Callable[..., Running]) -> None:
    klaviyo = start_sandbox(limits=True)
    klaviyo.control("POST", "/faults", {
        "match": {"path": "/api/metrics"}, "fault": "status", "status": 429, "retry_after": 1})  # fmt: skip
    assert sdk(klaviyo).Metrics.get_metrics().data
    statuses = {each["status"] for each in klaviyo.control("GET", f"/ledger?account={NORDIC}")["requests"]}
    assert statuses == {200, 429}
