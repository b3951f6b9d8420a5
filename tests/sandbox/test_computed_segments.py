"""Segments that are computed when a profile changes, and the flows that joining one sets off."""

from typing import Any

import pytest

from tests.sandbox.conftest import NORDIC, Running, event, until, upsert
from tests.sandbox.endpoint import Endpoint
from tests.sandbox.test_flows import flow, live, webhook
from tests.sandbox.test_imports import JOBS, job


def condition(
    operator: str = "equals", value: Any = "Gold", kind: str = "string", name: str = "tier"
) -> dict[str, Any]:
    tested = {"type": kind, "operator": operator} | ({} if kind == "existence" else {"value": value})
    return {"type": "profile-property", "property": f"properties['{name}']", "filter": tested}


def computed(klaviyo: Running, *conditions: dict[str, Any], **more: Any) -> str:
    definition = {"condition_groups": [{"conditions": [each]} for each in conditions]}
    order = {"account": NORDIC, "name": "Gold", "computed": True, "definition": definition, **more}
    made: str = klaviyo.control("POST", "/segments", order)["id"]
    return made


def members(klaviyo: Running, segment: str) -> set[str]:
    found = klaviyo.api("GET", f"/api/segments/{segment}/profiles", params={"page[size]": 100}).json()["data"]
    return {each["attributes"]["email"] for each in found}


def upserted(klaviyo: Running, email: str, **properties: Any) -> None:
    assert klaviyo.api("POST", "/api/profile-import", upsert(email=email, properties=properties)).ok


def test_who_fits_already_is_in_it_from_the_beginning(klaviyo: Running) -> None:
    upserted(klaviyo, "ann@example.com", tier="Gold")
    upserted(klaviyo, "bo@example.com", tier="Silver")
    assert members(klaviyo, computed(klaviyo, condition())) == {"ann@example.com"}


def test_a_profile_joins_and_leaves_by_whichever_way_it_changes(klaviyo: Running) -> None:
    segment = computed(klaviyo, condition())
    upserted(klaviyo, "ann@example.com", tier="Gold")
    klaviyo.api("POST", JOBS, job({"email": "bo@example.com", "properties": {"tier": "Gold"}}))
    klaviyo.api("POST", "/api/events", event("1", profile={"email": "cy@example.com", "properties": {"tier": "Gold"}}))
    klaviyo.control("POST", "/profiles", {"account": NORDIC, "profiles": [
        {"email": "di@example.com", "properties": {"tier": "Gold"}}]})  # fmt: skip
    assert members(klaviyo, segment) == {f"{name}@example.com" for name in ("ann", "bo", "cy", "di")}
    upserted(klaviyo, "ann@example.com", tier="Silver")
    upserted(klaviyo, "bo@example.com", tier=None)
    profile = klaviyo.profile("cy@example.com")["id"]
    klaviyo.api("PATCH", f"/api/profiles/{profile}", upsert(id=profile, properties={"tier": "Gold", "more": 1}))
    assert members(klaviyo, segment) == {"cy@example.com", "di@example.com"}


@pytest.mark.parametrize(
    ("tested", "fitting"),
    [
        (condition("greater-than", 100, "numeric", "points"), {"ann"}),
        (condition("not-equals", "Gold"), {"bo", "cy"}),
        (condition("is-set", kind="existence"), {"ann", "bo"}),
        (condition("not-set", kind="existence"), {"cy"}),
        (condition("contains", "old"), {"ann"}),
        (condition("contains", "ios", "list", "platforms"), {"bo"}),
        (condition("equals", True, "boolean", "vip"), {"cy"}),
    ],
)
def test_properties_are_compared_by_their_kind(klaviyo: Running, tested: dict[str, Any], fitting: set[str]) -> None:
    # The seeded profiles have none of these properties; a last condition keeps them out.
    segment = computed(klaviyo, tested, condition("is-set", kind="existence", name="mine"))
    upserted(klaviyo, "ann@example.com", mine=1, tier="Gold", points=120)
    upserted(klaviyo, "bo@example.com", mine=1, tier="Silver", points=80, platforms=["ios"])
    upserted(klaviyo, "cy@example.com", mine=1, points="many", vip=True)
    assert members(klaviyo, segment) == {f"{name}@example.com" for name in fitting}


def test_an_inactive_one_is_frozen_and_catches_up_when_it_is_active_again(klaviyo: Running) -> None:
    segment = computed(klaviyo, condition())
    klaviyo.control("PATCH", f"/segments/{segment}", {"is_active": False})
    upserted(klaviyo, "ann@example.com", tier="Gold")
    assert members(klaviyo, segment) == set()
    klaviyo.control("PATCH", f"/segments/{segment}", {"is_active": True})
    assert members(klaviyo, segment) == {"ann@example.com"}


def test_merging_looks_again_at_who_is_left(klaviyo: Running) -> None:
    segment = computed(klaviyo, condition())
    upserted(klaviyo, "ann@example.com")
    upserted(klaviyo, "bo@example.com", tier="Gold")
    ann, bo = (klaviyo.profile(each)["id"] for each in ("ann@example.com", "bo@example.com"))
    klaviyo.api("POST", "/api/profile-merge", {"data": {"type": "profile-merge", "id": ann, "relationships": {
        "profiles": {"data": [{"type": "profile", "id": bo}]}}}})  # fmt: skip
    assert members(klaviyo, segment) == {"ann@example.com"}


def test_a_tier_that_changes_runs_through_segment_and_flow_to_the_webhook(klaviyo: Running, endpoint: Endpoint) -> None:
    segment = computed(klaviyo, condition())
    again = {"duration": 0, "unit": "alltime"}
    live(
        klaviyo,
        flow({"type": "segment", "id": segment}, webhook(endpoint.url, body="{{ email }}"), reentry_criteria=again),
    )
    for tier in ("Gold", "Silver", "Gold"):
        upserted(klaviyo, "ann@example.com", tier=tier)
    until(lambda: endpoint.bodies == ["ann@example.com"] * 2)


def test_what_cannot_be_computed_and_members_of_what_is_are_refused(klaviyo: Running) -> None:
    wrong = {"account": NORDIC, "name": "x", "computed": True}
    orders = {"type": "profile-metric", "metric_id": "Kmtr00"}
    for definition in (None, {"condition_groups": []}, {"condition_groups": [{"conditions": [orders]}]}):
        klaviyo.control("POST", "/segments", {**wrong, "definition": definition}, expect=400)
    segment = computed(klaviyo, condition())
    klaviyo.control("POST", f"/segments/{segment}/members", {"first": 1}, expect=400)
    klaviyo.control("POST", "/segments", {"account": NORDIC, "name": " "}, expect=400)
