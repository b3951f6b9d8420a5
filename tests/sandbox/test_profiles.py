"""Profiles: upsert, create, patch, conflicts, merge, deletion, search."""

from typing import Any

import pytest

from tests.sandbox.conftest import Running, event, pointers, upsert

IMPORT = "/api/profile-import"


def imported(klaviyo: Running, meta: Any = None, **attributes: Any) -> dict[str, Any]:
    answer = klaviyo.api("POST", IMPORT, upsert(meta, **attributes))
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


def test_an_upsert_creates_with_201_and_then_updates_with_200(klaviyo: Running) -> None:
    first = klaviyo.api("POST", IMPORT, upsert(email="ann@example.com", first_name="Ann"))
    second = klaviyo.api("POST", IMPORT, upsert(email="ANN@example.com", last_name="Bo"))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["data"]["id"] == second.json()["data"]["id"]
    found = second.json()["data"]["attributes"]
    assert (found["email"], found["first_name"], found["last_name"]) == ("ann@example.com", "Ann", "Bo")
    assert len(second.json()["data"]["id"]) == 26


def test_null_clears_and_absence_keeps(klaviyo: Running) -> None:
    imported(klaviyo, email="ann@example.com", first_name="Ann", last_name="Bo", phone_number="+4520112233",
             location={"city": "Aarhus", "zip": "8000"}, properties={"a": 1, "b": 2})  # fmt: skip
    found = imported(klaviyo, email="ann@example.com", first_name=None, phone_number=None,
                     location={"zip": None}, properties={"a": None, "c": 3})["attributes"]  # fmt: skip
    assert (found["first_name"], found["last_name"], found["phone_number"]) == (None, "Bo", None)
    assert (found["location"]["city"], found["location"]["zip"]) == ("Aarhus", None)
    assert found["properties"] == {"b": 2, "c": 3}


def test_patch_operations_unset_append_and_unappend(klaviyo: Running) -> None:
    imported(klaviyo, email="ann@example.com", properties={"platforms": ["ios"], "gone": 1, "also": 2, "stays": 3})
    found = imported(klaviyo, {"append": {"platforms": ["android", "ios"], "fresh": "x"}, "unset": ["gone", "also"]},
                     email="ann@example.com")  # fmt: skip
    assert found["attributes"]["properties"] == {"platforms": ["ios", "android"], "stays": 3, "fresh": ["x"]}
    found = imported(klaviyo, {"unappend": {"platforms": "ios"}, "unset": "stays"}, email="ann@example.com")
    assert found["attributes"]["properties"] == {"platforms": ["android"], "fresh": ["x"]}


def test_identifiers_of_two_profiles_are_a_conflict_and_nothing_changes(klaviyo: Running) -> None:
    imported(klaviyo, email="ann@example.com")
    by_phone = imported(klaviyo, phone_number="+4520112233")
    answer = klaviyo.api("POST", IMPORT, upsert(email="ann@example.com", phone_number="+4520112233", title="x"))
    assert answer.status_code == 409
    (error,) = answer.json()["errors"]
    assert (error["code"], error["status"]) == ("duplicate_profile", 409)
    assert error["source"] == {"pointer": "/data/attributes"}
    assert error["meta"]["duplicate_profile_id"] == by_phone["id"]
    assert klaviyo.profile("ann@example.com")["attributes"]["title"] is None


def test_an_id_with_the_email_of_another_profile_is_the_misleading_404(klaviyo: Running) -> None:
    imported(klaviyo, email="ann@example.com")
    other = imported(klaviyo, email="bo@example.com")
    answer = klaviyo.api("POST", IMPORT, upsert(id=other["id"], email="ann@example.com"))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "not_found")
    unknown = klaviyo.api("POST", IMPORT, upsert(id="01ARZ3NDEKTSV4RRFFQ69G5FAV"))
    assert unknown.status_code == 404


def test_an_id_with_a_free_email_takes_the_new_email(klaviyo: Running) -> None:
    first = imported(klaviyo, email="ann@example.com")
    imported(klaviyo, id=first["id"], email="ann.bo@example.com")
    assert klaviyo.profile("ann.bo@example.com")["id"] == first["id"]
    found = klaviyo.api("GET", "/api/profiles", params={"filter": 'equals(email,"ann@example.com")'}).json()
    assert found["data"] == []


def test_an_upsert_does_not_take_an_anonymous_id_and_needs_an_identifier(klaviyo: Running) -> None:
    answer = klaviyo.api("POST", IMPORT, upsert(email="a@example.com", anonymous_id="x"))
    assert pointers(answer) == ["/data/attributes/anonymous_id"]
    answer = klaviyo.api("POST", IMPORT, upsert(first_name="Nobody"))
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["detail"] == "One or more identifiers is required."


def test_a_profile_over_100_kb_is_refused(klaviyo: Running) -> None:
    answer = klaviyo.api("POST", IMPORT, upsert(email="a@example.com", properties={"x": "y" * 100_000}))
    assert answer.status_code == 413


def test_create_refuses_what_exists_with_its_id(klaviyo: Running) -> None:
    created = klaviyo.api("POST", "/api/profiles", upsert(email="ann@example.com"))
    assert created.status_code == 201
    again = klaviyo.api("POST", "/api/profiles", upsert(email="ann@example.com"))
    assert again.status_code == 409
    assert again.json()["errors"][0]["meta"]["duplicate_profile_id"] == created.json()["data"]["id"]


def test_patch_changes_one_profile_and_wants_its_id_in_path_and_body(klaviyo: Running) -> None:
    profile = imported(klaviyo, email="ann@example.com", first_name="Ann")
    path = f"/api/profiles/{profile['id']}"
    answer = klaviyo.api("PATCH", path, upsert(id=profile["id"], first_name=None, properties={"a": 1}))
    assert answer.status_code == 200
    assert answer.json()["data"]["attributes"]["first_name"] is None
    assert klaviyo.api("PATCH", path, upsert(id="other")).status_code == 400
    assert pointers(klaviyo.api("PATCH", path, upsert(first_name="x"))) == ["/data/id"]
    assert klaviyo.api("PATCH", "/api/profiles/unknown", upsert(id="unknown")).status_code == 404


def test_get_profile_answers_one_or_404(klaviyo: Running) -> None:
    profile = imported(klaviyo, email="ann@example.com")
    path = f"/api/profiles/{profile['id']}"
    assert klaviyo.api("GET", path).json()["data"] == profile
    sparse = klaviyo.api("GET", path, params={"fields[profile]": "email,location.city"}).json()["data"]
    assert sparse["attributes"] == {"email": "ann@example.com", "location": {"city": None}}
    assert "relationships" not in sparse
    full = klaviyo.api("GET", path, params={"additional-fields[profile]": "subscriptions"}).json()["data"]
    assert full["attributes"]["subscriptions"]["email"]["marketing"]["consent"] == "NEVER_SUBSCRIBED"
    assert klaviyo.api("GET", "/api/profiles/unknown").status_code == 404


def test_profiles_are_found_by_a_hundred_emails_at_once(klaviyo: Running) -> None:
    klaviyo.control("POST", "/profiles", {"account": "K9x2Lm", "count": 150, "prefix": "many"})
    wanted = ",".join(f'"many{n}@shop.example.com"' for n in range(100))
    found = klaviyo.api("GET", "/api/profiles", params={"filter": f"any(email,[{wanted}])", "page[size]": 100}).json()
    assert len(found["data"]) == 100
    assert found["links"]["next"] is None


def test_merging_moves_events_and_leaves_one_profile(klaviyo: Running) -> None:
    for unique_id, email in (("1", "ann@example.com"), ("2", "bo@example.com")):
        klaviyo.api("POST", "/api/events", event(unique_id, profile={"email": email}))
    ann, bo = (klaviyo.profile(each)["id"] for each in ("ann@example.com", "bo@example.com"))
    body = {"data": {"type": "profile-merge", "id": ann, "relationships": {
        "profiles": {"data": [{"type": "profile", "id": bo}]}}}}  # fmt: skip
    assert klaviyo.api("POST", "/api/profile-merge", body).status_code == 202
    assert {each["profile_id"] for each in klaviyo.events()} == {ann}
    assert klaviyo.api("GET", f"/api/profiles/{bo}").json()["data"]["id"] == ann
    klaviyo.control("PUT", "/settings", {"merged_ids_resolve_seconds": 0})
    assert klaviyo.api("GET", f"/api/profiles/{bo}").status_code == 404


@pytest.mark.parametrize("kind", ["id", "email", "phone_number"])
def test_deletion_takes_exactly_one_identifier_and_erases_profile_and_events(klaviyo: Running, kind: str) -> None:
    profile = imported(klaviyo, email="ann@example.com", phone_number="+4520112233")
    klaviyo.api("POST", "/api/events", event("1"))
    named = {"id": profile["id"]} if kind == "id" else {kind: profile["attributes"][kind]}
    answer = klaviyo.api("POST", "/api/data-privacy-deletion-jobs", deletion(named))
    assert (answer.status_code, answer.content) == (202, b"")
    assert klaviyo.api("GET", f"/api/profiles/{profile['id']}").status_code == 404
    assert klaviyo.events() == []


def test_deletion_refuses_two_identifiers_or_none(klaviyo: Running) -> None:
    for named in ({}, {"email": "ann@example.com", "phone_number": "+4520112233"}, {"external_id": "x"}):
        assert klaviyo.api("POST", "/api/data-privacy-deletion-jobs", deletion(named)).status_code == 400


def deletion(named: dict[str, Any]) -> dict[str, Any]:
    profile = upsert(**named)
    return {"data": {"type": "data-privacy-deletion-job", "attributes": {"profile": profile}}}


def test_an_exchange_id_stands_for_its_profile(klaviyo: Running) -> None:
    from sandbox.klaviyo.persons import exchange_id

    profile = imported(klaviyo, email="ann@example.com")
    klaviyo.api("POST", "/api/events", event("1", profile={"_kx": exchange_id(profile["id"], "K9x2Lm")}))
    assert [each["profile_id"] for each in klaviyo.events()] == [profile["id"]]
