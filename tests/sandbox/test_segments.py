"""Segments: lists of ten, sizes, members by page, joins, and the flows that hang on them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.conftest import NORDIC, Running


@pytest.fixture
def big(klaviyo: Running) -> str:
    """A segment of 250 profiles."""
    klaviyo.control("POST", "/profiles", {"account": NORDIC, "count": 250, "prefix": "member"})
    emails = [f"member{n}@shop.example.com" for n in range(250)]
    made: str = klaviyo.control("POST", "/segments", {"account": NORDIC, "name": "Big", "emails": emails})["id"]
    return made


def walk(klaviyo: Running, path: str, **params: Any) -> list[str]:
    """All ids, by following the cursors of `next`."""
    found: list[str] = []
    cursor = None
    while True:
        page = klaviyo.api("GET", path, params={**params, **({"page[cursor]": cursor} if cursor else {})}).json()
        found += [each["id"] for each in page["data"]]
        if page["links"]["next"] is None:
            return found
        cursor = page["links"]["next"].rpartition("page%5Bcursor%5D=")[2]


def test_the_seeded_segments_have_definitions_and_one_is_inactive(klaviyo: Running) -> None:
    found = {
        each["attributes"]["name"]: each["attributes"] for each in klaviyo.api("GET", "/api/segments").json()["data"]
    }
    assert len(found) == 4
    assert [name for name, each in found.items() if not each["is_active"]] == ["Old winter list"]
    relative = found["Bought in the last 30 days"]["definition"]["condition_groups"][0]["conditions"][0]
    assert relative["timeframe_filter"]["operator"] == "in-the-last"
    assert "profile_count" not in found["VIP Gold"]


def test_segments_come_ten_at_a_time_and_more_is_an_error(klaviyo: Running) -> None:
    for number in range(20):
        klaviyo.control("POST", "/segments", {"account": NORDIC, "name": f"Extra {number:02d}"})
    assert len(klaviyo.api("GET", "/api/segments").json()["data"]) == 10
    assert len(walk(klaviyo, "/api/segments")) == 24
    names = walk(klaviyo, "/api/segments", sort="-name")
    assert names == list(reversed(walk(klaviyo, "/api/segments", sort="name")))
    answer = klaviyo.api("GET", "/api/segments", params={"page[size]": 11})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"] == {"parameter": "page[size]"}


def test_the_size_is_told_for_one_segment_and_not_for_the_list(klaviyo: Running, big: str) -> None:
    asked = {"additional-fields[segment]": "profile_count"}
    assert klaviyo.api("GET", f"/api/segments/{big}", params=asked).json()["data"]["attributes"]["profile_count"] == 250
    assert "profile_count" not in klaviyo.api("GET", f"/api/segments/{big}").json()["data"]["attributes"]
    assert klaviyo.api("GET", "/api/segments", params=asked).status_code == 400


@pytest.mark.parametrize("path", ["profiles", "relationships/profiles"])
def test_members_are_walked_once_each_by_pages_of_at_most_100(klaviyo: Running, big: str, path: str) -> None:
    path = f"/api/segments/{big}/{path}"
    assert len(klaviyo.api("GET", path).json()["data"]) == 20
    assert klaviyo.api("GET", path, params={"page[size]": 101}).status_code == 400
    found = walk(klaviyo, path, **{"page[size]": 100})
    assert len(found) == len(set(found)) == 250


def test_a_leading_equals_sign_in_the_cursor_is_forgiven_and_prev_leads_back(klaviyo: Running, big: str) -> None:
    path = f"/api/segments/{big}/relationships/profiles"
    first = klaviyo.api("GET", path).json()
    assert first["links"]["prev"] is None
    cursor = first["links"]["next"].rpartition("=")[2]
    second = klaviyo.api("GET", path, params={"page[cursor]": "=" + cursor}).json()
    assert {each["id"] for each in second["data"]}.isdisjoint(each["id"] for each in first["data"])
    back = second["links"]["prev"].rpartition("=")[2]
    assert klaviyo.api("GET", path, params={"page[cursor]": back}).json()["data"] == first["data"]
    assert klaviyo.api("GET", path, params={"page[cursor]": "nonsense"}).status_code == 400


def test_members_tell_when_they_joined_and_can_be_filtered_by_it(klaviyo: Running) -> None:
    everyone = klaviyo.api("GET", "/api/segments/Kseg00/profiles", params={"sort": "-joined_group_at"}).json()["data"]
    joined = [each["attributes"]["joined_group_at"] for each in everyone]
    assert len(joined) == 8
    assert joined == sorted(joined, reverse=True)
    recent = klaviyo.api("GET", "/api/segments/Kseg00/relationships/profiles", params={
        "filter": f"greater-than(joined_group_at,{joined[3]})"}).json()["data"]  # fmt: skip
    assert [each["id"] for each in recent] == sorted(each["id"] for each in everyone[:3])


@pytest.mark.parametrize("path", ["profiles", "relationships/profiles"])
def test_walks_over_disjoint_times_of_joining_find_each_member_once(klaviyo: Running, big: str, path: str) -> None:
    klaviyo.control("PUT", f"/segments/{big}/members", {"first": 0})
    klaviyo.control("PUT", f"/segments/{big}/members", {"first": 270, "joined_over_seconds": 86_400})
    here = f"/api/segments/{big}/{path}"
    half = datetime.now(UTC) - timedelta(hours=12)
    early = walk(klaviyo, here, filter=f"less-than(joined_group_at,{half.isoformat()})")
    late = walk(klaviyo, here, filter=f"greater-or-equal(joined_group_at,{half.isoformat()})", sort="-joined_group_at")
    assert len(early) > 50
    assert len(late) > 50
    assert len({*early, *late}) == len(early) + len(late) == 270


def test_a_segment_deleted_during_a_walk_is_not_found(klaviyo: Running, big: str) -> None:
    path = f"/api/segments/{big}/relationships/profiles"
    cursor = klaviyo.api("GET", path).json()["links"]["next"].rpartition("=")[2]
    klaviyo.control("DELETE", f"/segments/{big}")
    assert klaviyo.api("GET", path, params={"page[cursor]": cursor}).status_code == 404
    klaviyo.control("DELETE", f"/segments/{big}", expect=404)


def test_membership_can_be_replaced_added_to_and_taken_from(klaviyo: Running, big: str) -> None:
    path = f"/segments/{big}/members"
    kept = [f"member{n}@shop.example.com" for n in range(10)]
    assert klaviyo.control("PUT", path, {"emails": kept})["members"] == 10
    assert klaviyo.control("POST", path, {"first": 12})["members"] == 22
    assert klaviyo.control("DELETE", path, {"emails": kept[:4]})["members"] == 18
    changed = klaviyo.control("PATCH", f"/segments/{big}", {"is_processing": True, "name": "Renamed"})
    assert changed["attributes"]["is_processing"] is True
    found = klaviyo.api("GET", f"/api/segments/{big}", params={"fields[segment]": "name,is_processing"}).json()["data"]
    assert found["attributes"] == {"name": "Renamed", "is_processing": True}


def test_a_member_who_stays_keeps_the_time_of_joining(klaviyo: Running, big: str) -> None:
    path = f"/api/segments/{big}/profiles"
    before = klaviyo.api("GET", path, params={"page[size]": 5, "sort": "joined_group_at"}).json()["data"]
    klaviyo.control("PUT", f"/segments/{big}/members", {"profile_ids": [before[0]["id"]]})
    (after,) = klaviyo.api("GET", path).json()["data"]
    assert after["attributes"]["joined_group_at"] == before[0]["attributes"]["joined_group_at"]


def test_the_segments_of_a_profile_are_listed(klaviyo: Running) -> None:
    member = klaviyo.api("GET", "/api/segments/Kseg00/relationships/profiles").json()["data"][0]["id"]
    found = klaviyo.api("GET", f"/api/profiles/{member}/segments").json()["data"]
    assert {each["id"] for each in found} == {"Kseg00", "Kseg01", "Kseg02"}
    included = klaviyo.api("GET", f"/api/profiles/{member}", params={"include": "segments"}).json()["included"]
    assert [each["id"] for each in included] == [each["id"] for each in found]


def test_the_activity_filter_is_accepted_and_has_no_effect_until_switched_on(klaviyo: Running) -> None:
    asked = {"filter": "equals(is_active,false)"}
    assert len(klaviyo.api("GET", "/api/segments", params=asked).json()["data"]) == 4
    klaviyo.control("PUT", "/settings", {"apply_segment_flag_filters": True})
    assert [each["id"] for each in klaviyo.api("GET", "/api/segments", params=asked).json()["data"]] == ["Kseg03"]


def test_flows_are_listed_and_filtered(klaviyo: Running) -> None:
    def ids(**params: str) -> list[str]:
        return [each["id"] for each in klaviyo.api("GET", "/api/flows", params=params).json()["data"]]

    assert ids() == ["Kflw00", "Kflw01"]
    assert ids(sort="-name") == ["Kflw01", "Kflw00"]
    assert ids(filter='equals(status,"live")') == ["Kflw00"]
    assert ids(filter='contains(name,"VIP"),equals(trigger_type,"Added to List"),equals(archived,false)') == ["Kflw01"]
    assert ids(filter='starts-with(name,"*")') == []
    assert klaviyo.api("GET", "/api/flows", params={"page[size]": 51}).status_code == 400


def test_flows_are_found_from_their_metric_and_their_segment(klaviyo: Running) -> None:
    metric = klaviyo.api("GET", "/api/metrics/Kmtr00/flow-triggers").json()["data"]
    assert [(each["id"], each["attributes"]["status"], each["attributes"]["trigger_type"]) for each in metric] == [
        ("Kflw00", "live", "Metric")]  # fmt: skip
    ids = klaviyo.api("GET", "/api/segments/Kseg00/relationships/flow-triggers").json()["data"]
    assert ids == [{"type": "flow", "id": "Kflw01"}]
    full = klaviyo.api("GET", "/api/segments/Kseg00/flow-triggers").json()["data"]
    assert full[0]["attributes"]["status"] == "draft"
    assert klaviyo.api("GET", "/api/flows/Kflw00").json()["data"] == metric[0]
    included = klaviyo.api("GET", "/api/metrics/Kmtr00", params={"include": "flow-triggers"}).json()["included"]
    assert included == metric
    assert klaviyo.api("GET", "/api/metrics/Kmtr01/relationships/flow-triggers").json()["data"] == []
    for path in ("/api/metrics/nope", "/api/segments/nope", "/api/flows/nope", "/api/segments/Hseg00"):
        assert klaviyo.api("GET", path).status_code == 404
