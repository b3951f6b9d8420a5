"""Bulk profile import: whole-request refusals, errors of single rows, and the states of a job."""

from typing import Any

from tests.sandbox.conftest import Running, person, pointers, until

JOBS = "/api/profile-bulk-import-jobs"


def job(*profiles: dict[str, Any], lists: list[str] | None = None) -> dict[str, Any]:
    data: dict[str, Any] = {
        "type": "profile-bulk-import-job",
        "attributes": {"profiles": {"data": [person(each) for each in profiles]}},
    }
    if lists is not None:
        data["relationships"] = {"lists": {"data": [{"type": "list", "id": each} for each in lists]}}
    return {"data": data}


def test_a_job_is_complete_and_its_profiles_are_there(klaviyo: Running) -> None:
    sent = job(*({"email": f"c{n}@example.com", "properties": {"n": n}} for n in range(120)), lists=["LstK9x"])
    answer = klaviyo.api("POST", JOBS, sent)
    assert answer.status_code == 202
    name = answer.json()["data"]["id"]
    found = klaviyo.api("GET", f"{JOBS}/{name}").json()["data"]["attributes"]
    assert (found["status"], found["total_count"], found["completed_count"], found["failed_count"]) == (
        "complete", 120, 120, 0)  # fmt: skip
    assert found["expires_at"] > found["created_at"]
    page = klaviyo.api("GET", f"{JOBS}/{name}/profiles", params={"page[size]": 100}).json()
    assert len(page["data"]) == 100
    assert page["links"]["next"].startswith("https://a.klaviyo.com/api/profile-bulk-import-jobs/")
    ids = klaviyo.api("GET", f"{JOBS}/{name}/relationships/profiles").json()["data"]
    assert len(ids) == 20
    assert set(ids[0]) == {"type", "id"}
    lists = klaviyo.api("GET", f"{JOBS}/{name}/relationships/lists").json()["data"]
    assert lists == [{"type": "list", "id": "LstK9x"}]


def test_a_job_goes_from_queued_over_processing_to_complete(klaviyo: Running) -> None:
    klaviyo.control("PUT", "/settings", {"import_step_seconds": 0.3})
    answer = klaviyo.api("POST", JOBS, job({"email": "a@example.com"}))
    assert answer.json()["data"]["attributes"]["status"] == "queued"
    seen: list[str] = []

    def complete() -> bool:
        path = f"{JOBS}/{answer.json()['data']['id']}"
        seen.append(klaviyo.api("GET", path).json()["data"]["attributes"]["status"])
        return seen[-1] == "complete"

    until(complete)
    assert "processing" in seen
    listed = klaviyo.api("GET", JOBS, params={"filter": 'equals(status,"complete")'}).json()["data"]
    assert len(listed) == 1


def test_malformed_rows_refuse_the_whole_request_with_a_pointer_each(klaviyo: Running) -> None:
    sent = job({"email": "good@example.com"}, {"email": "bad"}, {"email": "x@example.com", "phone_number": "12"}, {})
    answer = klaviyo.api("POST", JOBS, sent)
    assert answer.status_code == 400
    assert pointers(answer) == [
        "/data/attributes/profiles/data/1/attributes/email",
        "/data/attributes/profiles/data/2/attributes/phone_number",
        "/data/attributes/profiles/data/3/attributes",
    ]
    found = klaviyo.api("GET", "/api/profiles", params={"filter": 'equals(email,"good@example.com")'}).json()
    assert found["data"] == []
    assert klaviyo.api("GET", JOBS).json()["data"] == []


def test_a_good_number_of_a_region_the_account_does_not_support_refuses_the_request(klaviyo: Running) -> None:
    klaviyo.control("PUT", "/settings", {"unsupported_phone_prefixes": ["+7"]})
    sent = job({"phone_number": "+4520112233"}, {"email": "b@example.com", "phone_number": "+79161234567"})
    answer = klaviyo.api("POST", JOBS, sent)
    assert answer.status_code == 400
    assert pointers(answer) == ["/data/attributes/profiles/data/1/attributes/phone_number"]
    assert answer.json()["errors"][0]["detail"].startswith("Phone number is valid but is not in a supported region")
    single = klaviyo.api("POST", "/api/profile-import", {"data": person({"phone_number": "+79161234567"})})
    assert pointers(single) == ["/data/attributes/phone_number"]


def test_rows_that_fail_while_importing_become_errors_and_the_others_go_in(klaviyo: Running) -> None:
    for attributes in ({"email": "ann@example.com"}, {"phone_number": "+4520112233"}):
        klaviyo.api("POST", "/api/profile-import", {"data": person(attributes)})
    both = {"email": "ann@example.com", "phone_number": "+4520112233"}
    huge = {"email": "huge@example.com", "properties": {"x": "y" * 100_001}}
    answer = klaviyo.api("POST", JOBS, job({"email": "new@example.com"}, both, {"id": "gone"}, huge))
    name = answer.json()["data"]["id"]
    found = klaviyo.api("GET", f"{JOBS}/{name}").json()["data"]["attributes"]
    assert (found["completed_count"], found["failed_count"]) == (1, 3)
    errors = [each["attributes"] for each in klaviyo.api("GET", f"{JOBS}/{name}/import-errors").json()["data"]]
    assert [(each["code"], each["source"]["pointer"][-1]) for each in errors] == [
        ("duplicate_profile", "1"), ("not_found", "2"), ("payload_too_large", "3")]  # fmt: skip
    assert errors[0]["original_payload"]["attributes"] == both


def test_too_many_rows_and_unknown_lists_are_refused(klaviyo: Running) -> None:
    assert klaviyo.api("POST", JOBS, job(*({"email": f"{n}@example.com"} for n in range(10_001)))).status_code == 400
    answer = klaviyo.api("POST", JOBS, job({"email": "a@example.com"}, lists=["nope"]))
    assert pointers(answer) == ["/data"]
    assert answer.json()["errors"][0]["detail"] == "List ID nope does not exist."
    assert klaviyo.api("POST", JOBS, job()).status_code == 400


def test_a_job_expires_after_seven_days(klaviyo: Running) -> None:
    name = klaviyo.api("POST", JOBS, job({"email": "a@example.com"})).json()["data"]["id"]
    klaviyo.control("PUT", "/settings", {"clock_offset_seconds": 8 * 86400})
    assert klaviyo.api("GET", f"{JOBS}/{name}").status_code == 404
