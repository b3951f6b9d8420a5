"""What holds for every request: credentials, revision, media types, sizes, limits, filters, fields, errors."""

import gzip
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from sandbox.klaviyo.limits import Limits
from sandbox.klaviyo.operations import OPERATIONS, Tier
from tests.sandbox.conftest import KEY, NORDIC, Running, event, upsert


def raw(klaviyo: Running, body: bytes, **headers: str) -> requests.Response:
    given = {"Authorization": f"Klaviyo-API-Key {KEY}", "revision": "2026-07-15",
             "Content-Type": "application/vnd.api+json", **headers}  # fmt: skip
    return klaviyo.session.post(klaviyo.url + "/api/events", data=body, headers=given, timeout=20)


def test_a_trailing_slash_makes_no_difference(klaviyo: Running) -> None:
    assert klaviyo.api("POST", "/api/events/", event("1")).status_code == 202
    found = klaviyo.api("GET", "/api/accounts/").json()
    assert found["data"][0]["id"] == NORDIC
    assert found["data"][0]["links"]["self"] == f"https://a.klaviyo.com/api/accounts/{NORDIC}/"
    assert klaviyo.api("GET", "/api/accounts").json()["links"]["self"] == "https://a.klaviyo.com/api/accounts"


@pytest.mark.parametrize("given", ["", "Bearer nope", "Klaviyo-API-Key nope", "Basic eDp5", "Bearer"])
def test_wrong_credentials_are_a_401_with_klaviyos_body(klaviyo: Running, given: str) -> None:
    answer = klaviyo.api("GET", "/api/accounts", headers={"Authorization": given})
    assert answer.status_code == 401
    (error,) = answer.json()["errors"]
    assert error["code"] == ("authentication_failed" if given else "not_authenticated")
    assert error["source"] == {"pointer": "/data/"}
    assert error["status"] == 401


@pytest.mark.parametrize(
    ("revision", "status"), [("2026-10-15", 200), ("2024-10-15.pre", 200), ("", 400), ("soon", 400)]
)
def test_a_revision_is_required_and_must_look_like_a_date(klaviyo: Running, revision: str, status: int) -> None:
    answer = klaviyo.api("GET", "/api/accounts", headers={"revision": revision})
    assert answer.status_code == status


def test_a_private_key_with_few_scopes_may_little(klaviyo: Running) -> None:
    made = klaviyo.control("POST", "/private-keys", {"account": "H4rB0r", "scopes": ["accounts:read"]})
    headers = {"Authorization": f"Klaviyo-API-Key {made['key']}"}
    assert klaviyo.api("GET", "/api/accounts", headers=headers).json()["data"][0]["id"] == "H4rB0r"
    assert klaviyo.api("GET", "/api/profiles", headers=headers).status_code == 403


def test_other_media_types_and_encodings_are_a_415(klaviyo: Running) -> None:
    body = json.dumps(event("1")).encode()
    assert raw(klaviyo, body, **{"Content-Type": "application/json"}).status_code == 202
    assert raw(klaviyo, body, **{"Content-Type": "text/plain"}).status_code == 415
    assert raw(klaviyo, body, **{"Content-Encoding": "br"}).status_code == 415
    assert (
        raw(klaviyo, gzip.compress(json.dumps(event("2")).encode()), **{"Content-Encoding": "gzip"}).status_code == 202
    )
    assert raw(klaviyo, b"no gzip", **{"Content-Encoding": "gzip"}).status_code == 400
    assert len(klaviyo.events()) == 2


def test_more_than_five_megabytes_are_a_413_also_when_packed(klaviyo: Running) -> None:
    body = json.dumps(event("1", properties={f"p{n}": "x" * 90_000 for n in range(60)})).encode()
    assert raw(klaviyo, body).status_code == 413
    assert raw(klaviyo, gzip.compress(body), **{"Content-Encoding": "gzip"}).status_code == 413


@pytest.mark.parametrize("body", [b"", b"{", b'{"data": NaN}', b"\xff", b"[" * 200_000])
def test_what_is_no_json_is_a_400(klaviyo: Running, body: bytes) -> None:
    answer = raw(klaviyo, body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "parse_error"


def test_unknown_paths_and_methods_answer_as_json_api(klaviyo: Running) -> None:
    for method, path, status in (("GET", "/api/nothing", 404), ("DELETE", "/api/events", 405)):
        answer = klaviyo.api(method, path)
        assert answer.status_code == status
        assert answer.json()["errors"][0]["status"] == status


def test_answers_carry_the_limit_headers_and_a_429_only_retry_after(start_sandbox: Callable[..., Running]) -> None:
    klaviyo = start_sandbox(limits=True)
    first = klaviyo.api("GET", "/api/metrics")
    assert first.headers["ratelimit-limit"] == "10, 10;w=1, 150;w=60"
    assert first.headers["ratelimit-remaining"] == "9"
    assert first.headers["ratelimit-reset"] == "0"
    answers = [klaviyo.api("GET", "/api/accounts") for _ in range(20)]
    refused = [each for each in answers if each.status_code == 429]
    assert refused
    for each in refused:
        assert int(each.headers["Retry-After"]) >= 1
        assert not [name for name in each.headers if name.lower().startswith("ratelimit")]
        (error,) = each.json()["errors"]
        assert (error["code"], error["source"]) == ("throttled", {"pointer": "/data"})
        assert error["detail"].startswith("Request was throttled. Expected available in ")


def test_an_error_after_the_limit_check_has_the_limit_headers(klaviyo: Running) -> None:
    answer = klaviyo.api("GET", "/api/profiles/unknown")
    assert answer.status_code == 404
    assert answer.headers["ratelimit-limit"] == "75, 75;w=1, 750;w=60"


def test_windows_are_fixed_and_counted_for_each_caller_and_operation() -> None:
    limits = Limits()
    bucket = [("get_accounts", Tier.XS)]
    assert limits.take("a", bucket, 1000.0) == (0, 0)
    assert limits.take("a", bucket, 1000.9) == (1, 0)
    assert limits.take("b", bucket, 1000.9) == (0, 0)
    assert limits.take("a", [("get_account", Tier.XS)], 1000.9) == (0, 0)
    # The minute began at 960 and holds fifteen; one was used, refusals were not counted.
    for second in range(1001, 1015):
        assert limits.take("a", bucket, float(second))[0] == 0
    assert limits.take("a", bucket, 1015.5) == (5, 0)
    assert limits.take("a", bucket, 1020.0) == (0, 0)


def test_a_request_in_two_buckets_needs_room_in_both() -> None:
    limits = Limits()
    both = [("get_segment", Tier.L), ("profile_count", Tier.XS)]
    assert limits.take("a", both, 10.0) == (0, 74)
    assert limits.take("a", both, 10.0) == (1, 0)
    assert limits.take("a", both[:1], 10.0) == (0, 73)


def test_some_operations_are_limited_for_a_day_too() -> None:
    limits = Limits()
    bucket = [("create_flow", Tier.XS_DAILY)]
    for number in range(100):
        assert limits.take("a", bucket, number * 61.0) == (0, 0)
    assert limits.take("a", bucket, 80_000.0) == (6400, 0)
    assert limits.take("a", bucket, 86_400.0) == (0, 0)


def test_counting_members_has_the_strict_bucket(start_sandbox: Callable[..., Running]) -> None:
    klaviyo = start_sandbox(limits=True)
    asked = {"additional-fields[segment]": "profile_count"}
    statuses = {klaviyo.api("GET", "/api/segments/Kseg00", params=asked).status_code for _ in range(18)}
    assert statuses == {200, 429}
    assert klaviyo.api("GET", "/api/segments/Kseg00").status_code == 200


def test_each_operation_has_the_tier_the_facts_name() -> None:
    expected = {
        "create_event": Tier.XL, "bulk_create_events": Tier.M, "get_accounts": Tier.XS, "get_events": Tier.XL,
        "create_or_update_profile": Tier.L, "bulk_import_profiles": Tier.M, "get_segments": Tier.L,
        "get_segments_for_profile": Tier.S, "request_profile_deletion": Tier.S, "merge_profiles": Tier.M,
        "get_metrics": Tier.M, "get_flow": Tier.S,
    }  # fmt: skip
    assert {name: OPERATIONS[name].tier for name in expected} == expected


@pytest.mark.parametrize(
    "text",
    [
        'equals(email,"a@example.com"', "email=x", "(", 'equals("email","x")', 'like(email,"x")', 'equals(age,"3")',
        "greater-than(created,soon)", "equals(email)", 'equals(email,"a") or equals(email,"b")', 'any(email,["a"',
        "greater-than(email,\"x\")",
    ],
)  # fmt: skip
def test_a_bad_filter_is_a_400_that_names_the_parameter(klaviyo: Running, text: str) -> None:
    answer = klaviyo.api("GET", "/api/profiles", params={"filter": text})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"] == {"parameter": "filter"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("equals(email,'ann@example.com')", ["ann"]),
        ('any(email,["ANN@example.com","bo@example.com"])', ["ann", "bo"]),
        ('and(any(email,["ann@example.com","bo@example.com"]),equals(external_id,"b,(1)"))', ["bo"]),
        ('equals(phone_number,"+4520112233"),equals(email,"ann@example.com")', ["ann"]),
        ('any(email,["ann@example.com"]),greater-than(created,2999-01-01T00:00:00Z)', []),
    ],
)
def test_good_filters_find_what_they_say(klaviyo: Running, text: str, names: list[str]) -> None:
    klaviyo.api("POST", "/api/profile-import", upsert(email="ann@example.com", phone_number="+4520112233"))
    klaviyo.api("POST", "/api/profile-import", upsert(email="bo@example.com", external_id="b,(1)"))
    found = klaviyo.api("GET", "/api/profiles", params={"filter": text}).json()["data"]
    assert [each["attributes"]["email"].partition("@")[0] for each in found] == names


@pytest.mark.parametrize(
    ("path", "params", "parameter"),
    [
        ("/api/profiles", {"fields[profile]": "email,shoe_size"}, "fields[profile]"),
        ("/api/profiles", {"include": "profiless"}, "include"),
        ("/api/profiles", {"sort": "shoe_size"}, "sort"),
        ("/api/profiles", {"page[size]": "101"}, "page[size]"),
        ("/api/profiles", {"page[size]": "0"}, "page[size]"),
        ("/api/profiles", {"page[size]": "ten"}, "page[size]"),
        ("/api/profiles", {"page[cursor]": "%%%"}, "page[cursor]"),
        ("/api/profiles", {"additional-fields[profile]": "secrets"}, "additional-fields[profile]"),
        ("/api/events", {"page[size]": "1001"}, "page[size]"),
        ("/api/metrics", {"page[size]": "10"}, "page[size]"),
        ("/api/metrics", {"filter": 'equals(name,"x")'}, "filter"),
    ],
)
def test_bad_parameters_are_a_400_that_names_them(
    klaviyo: Running, path: str, params: dict[str, str], parameter: str
) -> None:
    answer = klaviyo.api("GET", path, params=params)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"] == {"parameter": parameter}


def test_pages_of_profiles_keep_their_order_while_rows_are_added(klaviyo: Running) -> None:
    klaviyo.control("POST", "/profiles", {"account": NORDIC, "count": 30})
    seen: list[str] = []
    params: dict[str, Any] = {"page[size]": 10, "sort": "-created"}
    while True:
        page = klaviyo.api("GET", "/api/profiles", params=params).json()
        seen += [each["id"] for each in page["data"]]
        klaviyo.api("POST", "/api/profile-import", upsert(email=f"new{len(seen)}@example.com"))
        if page["links"]["next"] is None:
            break
        params["page[cursor]"] = page["links"]["next"].rpartition("=")[2]
    assert len(seen) == len(set(seen)) == 54


def test_latency_can_be_set_for_a_path(klaviyo: Running) -> None:
    klaviyo.control("PUT", "/settings", {"latency_ms": {"/api/accounts": 200}})
    started = time.monotonic()
    klaviyo.api("GET", "/api/accounts")
    assert time.monotonic() - started >= 0.2
