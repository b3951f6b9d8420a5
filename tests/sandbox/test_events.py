"""Single events: what is recorded, what is dropped, what is refused, and what they do to profiles."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.conftest import KEY, NORDIC, Running, event, pointers, until, upsert


def test_an_accepted_event_is_answered_202_with_nothing_and_is_recorded(klaviyo: Running) -> None:
    answer = klaviyo.api("POST", "/api/events", event("e1", time="2026-11-22T10:00:00.987+01:00", value=9.5))
    assert (answer.status_code, answer.content) == (202, b"")
    (recorded,) = klaviyo.events()
    assert recorded["metric"] == "Balance changed"
    assert recorded["unique_id"] == "e1"
    assert recorded["email"] == "ann@example.com"
    assert recorded["time"] == "2026-11-22T09:00:00+00:00"
    assert recorded["value"] == 9.5
    assert recorded["properties"] == {"balance": 10}


def test_a_repeat_is_accepted_and_recorded_once_and_the_first_wins(klaviyo: Running) -> None:
    for balance in (1, 2):
        sent = event("same", properties={"balance": balance})
        assert klaviyo.api("POST", "/api/events", sent).status_code == 202
    (recorded,) = klaviyo.events()
    assert recorded["properties"] == {"balance": 1}
    assert klaviyo.control("GET", f"/ledger?account={NORDIC}")["duplicates_dropped"] == 1


def test_the_same_unique_id_counts_anew_for_another_profile_or_metric(klaviyo: Running) -> None:
    klaviyo.api("POST", "/api/events", event("same"))
    klaviyo.api("POST", "/api/events", event("same", profile={"email": "bo@example.com"}))
    klaviyo.api("POST", "/api/events", event("same", metric="Tier upgraded"))
    assert len(klaviyo.events()) == 3


def test_without_unique_id_two_events_of_one_second_become_one(klaviyo: Running) -> None:
    for moment in ("2026-11-22T10:00:00.1Z", "2026-11-22T10:00:00.9Z", "2026-11-22T10:00:01Z"):
        klaviyo.api("POST", "/api/events", event(time=moment))
    assert [each["time"][17:19] for each in klaviyo.events()] == ["00", "01"]


def test_a_unique_id_that_looks_like_a_time_is_no_time(klaviyo: Running) -> None:
    klaviyo.api("POST", "/api/events", event(time="2026-11-22T10:00:00Z"))
    klaviyo.api("POST", "/api/events", event("@1795341600", time="2026-11-22T10:00:00Z"))
    assert len(klaviyo.events()) == 2


def test_an_event_is_not_visible_before_the_delay_and_is_after_it(klaviyo: Running) -> None:
    klaviyo.control("PUT", "/settings", {"visibility_seconds": 3600})
    klaviyo.api("POST", "/api/events", event("late"))
    assert klaviyo.events() == []
    assert klaviyo.control("GET", "/health")["waiting_events"] == 1
    klaviyo.control("PUT", "/settings", {"visibility_seconds": 0})
    until(klaviyo.events)


def with_change(path: str, value: Any) -> dict[str, Any]:
    """A good event with one thing changed; the path is within its attributes."""
    body = event("x")
    place = body["data"]["attributes"]
    *way, last = path.split("/")
    for step in way:
        place = place[step]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return body


NEXT_YEAR = (datetime.now(UTC) + timedelta(days=400)).isoformat()
DEEP: Any = "x"
for _ in range(10):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("properties", KeyError),
        ("properties", None),
        ("properties", {f"p{n}": n for n in range(401)}),
        ("properties/long", "x" * 100_001),
        ("properties/deep", DEEP),
        ("properties/many", list(range(4001))),
        ("time", "yesterday"),
        ("time", "2026-11-22T10:00:00"),
        ("time", "2026-13-45T10:00:00Z"),
        ("time", "1989-12-31T23:59:59Z"),
        pytest.param("time", NEXT_YEAR, id="time-over-a-year-ahead"),
        ("time", 1795341600),
        ("value", "12"),
        ("value", True),
        ("value_currency", "kroner"),
        ("unique_id", 7),
        ("unique_id", ""),
        ("backfill", "yes"),
        ("surprise", 1),
        ("metric/data/attributes/name", KeyError),
        ("metric/data/attributes/name", " "),
        ("metric/data/attributes/name", "n" * 128),
        ("metric/data/attributes/service", 1),
        ("metric/data/type", "metrics"),
        ("profile/data/type", "person"),
        ("profile/data/attributes/email", "not an address"),
        ("profile/data/attributes/email", 5),
        ("profile/data/attributes/phone_number", "0045 20 11 22 33"),
        ("profile/data/attributes/phone_number", "+999123456789"),
        ("profile/data/attributes/first_name", 1),
        ("profile/data/attributes/_kx", "nonsense"),
        ("profile/data/attributes/location", "Aarhus"),
        ("profile/data/attributes/location", {"planet": "Earth"}),
        ("profile/data/attributes/properties", []),
        ("profile/data/attributes/nickname", "Annie"),
    ],
)  # fmt: skip
def test_a_bad_event_is_refused_with_a_pointer_to_the_field(klaviyo: Running, path: str, value: Any) -> None:
    answer = klaviyo.api("POST", "/api/events", with_change(path, value))
    assert answer.status_code == 400
    (pointer,) = pointers(answer)
    step = path if path not in ("metric/data/type",) else "metric/data"
    assert pointer.startswith("/data/attributes/" + step)
    assert klaviyo.events() == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ([], "/data"),
        ({}, "/data"),
        ({"data": {"type": "events", "attributes": event()["data"]["attributes"]}}, "/data/type"),
        ({"data": {"type": "event"}}, "/data/attributes"),
        (event(profile={}), "/data/attributes/profile/data/attributes"),
        (event(profile={"first_name": "Ann"}), "/data/attributes/profile/data/attributes"),
    ],
)
def test_a_body_of_the_wrong_shape_is_refused(klaviyo: Running, body: Any, pointer: str) -> None:
    answer = klaviyo.api("POST", "/api/events", body)
    assert answer.status_code == 400
    assert pointers(answer) == [pointer]


def test_at_the_very_limits_an_event_is_taken(klaviyo: Running) -> None:
    properties = {f"p{n}": n for n in range(398)} | {"long": "x" * 100_000, "many": list(range(4000))}
    sent = event("big", metric="n" * 127, properties=properties, value=0, value_currency="DKK")
    assert klaviyo.api("POST", "/api/events", sent).status_code == 202
    assert len(klaviyo.events()) == 1


def test_profile_attributes_of_an_event_update_the_profile(klaviyo: Running) -> None:
    klaviyo.api("POST", "/api/events", event("1", profile={
        "email": "Ann@Example.com", "first_name": "Ann", "properties": {"tier": "gold", "balance": 1}}))  # fmt: skip
    klaviyo.api("POST", "/api/events", event("2", profile={
        "email": "ann@example.com", "properties": {"balance": 2, "tier": None}}))  # fmt: skip
    found = klaviyo.profile("ann@example.com")["attributes"]
    assert found["first_name"] == "Ann"
    assert found["properties"] == {"balance": 2}
    assert found["last_event_date"] is not None


def test_two_identifiers_of_two_profiles_merge_them_for_good(klaviyo: Running) -> None:
    klaviyo.api("POST", "/api/events", event("1", profile={"email": "ann@example.com"}))
    klaviyo.api("POST", "/api/events", event("2", profile={"phone_number": "+4520112233"}))
    by_phone = {each["profile_id"] for each in klaviyo.events() if each["phone_number"]}
    both = {"email": "ann@example.com", "phone_number": "+4520112233"}
    klaviyo.api("POST", "/api/events", event("3", profile=both))
    merged = klaviyo.profile("ann@example.com")
    assert {each["profile_id"] for each in klaviyo.events()} == {merged["id"]}
    assert merged["attributes"]["phone_number"] == "+4520112233"
    assert by_phone != {merged["id"]}
    # The id that is gone leads to its successor for a while, then nowhere.
    assert klaviyo.api("GET", f"/api/profiles/{by_phone.pop()}").json()["data"]["id"] == merged["id"]


def test_the_identifier_that_wins_is_the_id_then_external_id_then_email(klaviyo: Running) -> None:
    first = klaviyo.api("POST", "/api/profile-import", upsert(external_id="shop-1")).json()["data"]["id"]
    klaviyo.api("POST", "/api/events", event("1", profile={"external_id": "shop-1", "email": "new@example.com"}))
    assert klaviyo.profile("new@example.com")["id"] == first
    klaviyo.api("POST", "/api/events", event("2", profile={"id": first, "email": "newer@example.com"}))
    assert klaviyo.profile("newer@example.com")["id"] == first


def test_an_event_for_an_id_nobody_has_is_accepted_and_goes_nowhere(klaviyo: Running) -> None:
    answer = klaviyo.api("POST", "/api/events", event("1", profile={"id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}))
    assert answer.status_code == 202
    assert klaviyo.events() == []
    assert klaviyo.control("GET", f"/ledger?account={NORDIC}")["dropped_unknown_profile"] == 1


def test_an_event_enters_a_live_flow_and_a_backfilled_one_does_not(klaviyo: Running) -> None:
    """The seeded live flow hangs on Klaviyo's own metric; a key's metric of that name is another one."""
    store = klaviyo.app.extensions["klaviyo_stand_in"].store
    klaviyo.api("POST", "/api/events", event("0"))
    with store.writing() as connection:
        metric = connection.execute("SELECT pk FROM metric WHERE name = 'Balance changed'").fetchone()[0]
        connection.execute("UPDATE flow SET metric = ? WHERE status = 'live' AND account = 1", (metric,))
    for unique_id, backfill in (("1", True), ("2", False), ("2", False)):
        klaviyo.api("POST", "/api/events", event(unique_id, backfill=backfill))
    assert klaviyo.control("GET", f"/ledger?account={NORDIC}")["flow_entries"] == 1
    assert [each["backfill"] for each in klaviyo.events()] == [False, True, False]


def test_events_can_be_read_back_by_profile_and_metric_with_what_klaviyo_adds(klaviyo: Running) -> None:
    klaviyo.api("POST", "/api/events", event("a", value=3, time="2026-11-22T10:00:00Z"))
    klaviyo.api("POST", "/api/events", event("b", metric="Tier upgraded", time="2026-11-22T11:00:00Z"))
    profile = klaviyo.profile("ann@example.com")["id"]
    found = klaviyo.api("GET", "/api/events", params={
        "filter": f'equals(profile_id,"{profile}"),greater-than(datetime,2026-11-22T09:00:00Z)',
        "include": "metric,profile", "fields[metric]": "name"}).json()  # fmt: skip
    assert [each["attributes"]["event_properties"]["$event_id"] for each in found["data"]] == ["b", "a"]
    assert found["data"][1]["attributes"]["event_properties"]["$value"] == 3
    metrics = {each["id"]: each["attributes"]["name"] for each in found["included"] if each["type"] == "metric"}
    assert set(metrics.values()) == {"Balance changed", "Tier upgraded"}
    metric = next(key for key, name in metrics.items() if name == "Tier upgraded")
    one = klaviyo.api("GET", "/api/events", params={"filter": f'equals(metric_id,"{metric}")'}).json()["data"]
    assert [each["id"] for each in one] == [found["data"][0]["id"]]
    same = klaviyo.api("GET", f"/api/events/{one[0]['id']}").json()["data"]
    assert same == one[0]


def test_an_impossible_event_id_is_a_bad_request_and_an_unused_one_is_not_found(klaviyo: Running) -> None:
    assert klaviyo.api("GET", "/api/events/NOPE01").status_code == 400
    assert klaviyo.api("GET", "/api/events/32222222223").status_code == 404


def test_half_a_surrogate_pair_is_refused_and_not_stored(klaviyo: Running) -> None:
    raw = json.dumps(event("x")).replace("ann@", "\\ud83d").encode()
    answer = klaviyo.session.post(klaviyo.url + "/api/events", data=raw, timeout=10, headers={
        "Authorization": f"Klaviyo-API-Key {KEY}", "revision": "2026-07-15",
        "Content-Type": "application/vnd.api+json"})  # fmt: skip
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "parse_error"


def test_events_of_one_profile_are_paged_by_time(klaviyo: Running) -> None:
    for number in range(25):
        sent = event(str(number), time=f"2026-11-22T10:00:{number:02d}Z")
        klaviyo.api("POST", "/api/events", sent)
        klaviyo.api("POST", "/api/events", event(str(number), profile={"email": "bo@example.com"}))
    profile = klaviyo.profile("ann@example.com")["id"]
    params = {"filter": f'equals(profile_id,"{profile}")', "page[size]": "10"}
    seen: list[str] = []
    while True:
        page = klaviyo.api("GET", "/api/events", params=params).json()
        seen += [each["attributes"]["event_properties"]["$event_id"] for each in page["data"]]
        if page["links"]["next"] is None:
            break
        params["page[cursor]"] = page["links"]["next"].rpartition("=")[2]
    assert seen == [str(number) for number in range(24, -1, -1)]
