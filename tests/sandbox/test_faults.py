"""Faults that were ordered happen, as often as ordered, and leave the rest alone."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from tests.sandbox.conftest import HARBOR, NORDIC, Running, event, until
from tests.sandbox.test_oauth import installed, refresh


def order(klaviyo: Running, fault: str, path: str = "/api/events", **more: Any) -> dict[str, Any]:
    wanted = {"match": {"method": "POST", "path": path}, "fault": fault, **more}
    found: dict[str, Any] = klaviyo.control("POST", "/faults", wanted, expect=201)
    return found


def test_a_status_is_answered_as_often_as_ordered_and_nothing_is_recorded(klaviyo: Running) -> None:
    order(klaviyo, "status", status=429, retry_after=7, times=2)
    answers = [klaviyo.api("POST", "/api/events", event(str(n))) for n in range(3)]
    assert [each.status_code for each in answers] == [429, 429, 202]
    assert answers[0].headers["Retry-After"] == "7"
    assert answers[0].json()["errors"][0]["code"] == "throttled"
    assert [each["unique_id"] for each in klaviyo.events()] == ["2"]
    assert klaviyo.control("GET", "/faults")["faults"] == []


def test_only_the_method_the_path_and_the_account_that_were_named_are_hit(klaviyo: Running) -> None:
    order(klaviyo, "status", status=500, times=None, account=NORDIC)
    assert klaviyo.api("GET", "/api/events").status_code == 200
    assert klaviyo.api("POST", "/api/profile-import", {"data": {}}).status_code == 400
    harbor = klaviyo.control("POST", "/private-keys", {"account": HARBOR})["key"]
    headers = {"Authorization": f"Klaviyo-API-Key {harbor}"}
    assert klaviyo.api("POST", "/api/events", event("1"), headers=headers).status_code == 202
    for _ in range(3):
        assert klaviyo.api("POST", "/api/events", event("1")).status_code == 500
    (listed,) = klaviyo.control("GET", "/faults")["faults"]
    assert listed["used"] == 3
    assert klaviyo.control("DELETE", "/faults") == {"cleared": 1}
    assert klaviyo.api("POST", "/api/events", event("1")).status_code == 202


def test_hanging_after_accepting_records_although_the_client_gave_up(klaviyo: Running) -> None:
    order(klaviyo, "hang_after_accept", seconds=1)
    with pytest.raises(requests.Timeout):
        klaviyo.api("POST", "/api/events", event("kept"), timeout=0.3)
    until(klaviyo.events)


def test_hanging_before_records_nothing(klaviyo: Running) -> None:
    order(klaviyo, "hang_before", seconds=0.2)
    with pytest.raises(requests.ConnectionError):
        klaviyo.api("POST", "/api/events", event("lost"))
    assert klaviyo.events() == []


@pytest.mark.parametrize(("accept", "recorded"), [(False, 0), (True, 1)])
def test_a_connection_breaks_before_or_after_accepting(klaviyo: Running, accept: bool, recorded: int) -> None:
    order(klaviyo, "reset", accept=accept)
    with pytest.raises(requests.ConnectionError):
        klaviyo.api("POST", "/api/events", event("1"))
    assert len(klaviyo.events()) == recorded


def test_garbage_is_a_200_that_cannot_be_read(klaviyo: Running) -> None:
    order(klaviyo, "garbage")
    answer = klaviyo.api("POST", "/api/events", event("1"))
    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"codec|Expecting|Unterminated|Invalid"):
        answer.json()


def test_the_firewall_page_is_html_with_its_mark(klaviyo: Running) -> None:
    order(klaviyo, "html_403")
    answer = klaviyo.api("POST", "/api/events", event("1"))
    assert (answer.status_code, answer.headers["cf-mitigated"]) == (403, "challenge")
    assert answer.headers["Content-Type"].startswith("text/html")


def test_a_redirect_leads_away(klaviyo: Running) -> None:
    order(klaviyo, "redirect")
    assert klaviyo.api("POST", "/api/events", event("1")).status_code == 302


@pytest.mark.parametrize("fault", ["slow", "drip"])
def test_slow_answers_are_whole_and_recorded(klaviyo: Running, fault: str) -> None:
    order(klaviyo, fault, seconds=0.2)
    assert klaviyo.api("POST", "/api/events", event("1")).status_code == 202
    assert len(klaviyo.events()) == 1


def test_the_token_endpoint_can_fail_too(klaviyo: Running) -> None:
    tokens = installed(klaviyo)
    order(klaviyo, "status", path="/oauth/token", status=503, retry_after=1)
    assert refresh(klaviyo, tokens["refresh_token"]).status_code == 503
    order(klaviyo, "html_403", path="/oauth/token")
    assert "text/html" in refresh(klaviyo, tokens["refresh_token"]).headers["Content-Type"]
    assert refresh(klaviyo, tokens["refresh_token"]).status_code == 200


@pytest.mark.parametrize(
    "wanted",
    [
        [], {"fault": "explode"}, {"status": 99}, {"times": 0}, {"seconds": -1}, {"match": "x"}, {"typo": 1},
        {"retry_after": "soon"}, {"accept": "yes"}, {"match": {"verb": "GET"}},
    ],
)  # fmt: skip
def test_an_order_that_makes_no_sense_is_refused(klaviyo: Running, wanted: Any) -> None:
    assert klaviyo.session.post(klaviyo.url + "/_sandbox/faults", json=wanted, timeout=10).status_code == 400


def test_settings_are_checked_as_a_whole(klaviyo: Running) -> None:
    for wanted in ({"limits": 1}, {"visibility_seconds": -1}, {"nope": 1}, {"latency_ms": {"/": "x"}}):
        answer = klaviyo.session.put(
            klaviyo.url + "/_sandbox/settings", json={"rotate_refresh_tokens": True, **wanted}, timeout=10
        )
        assert answer.status_code == 400
    assert klaviyo.control("GET", "/settings")["rotate_refresh_tokens"] is False


def test_the_ledger_counts_requests_by_path_and_status(klaviyo: Running) -> None:
    for number in ("1", "1", "2"):
        klaviyo.api("POST", "/api/events", event(number))
    klaviyo.api("GET", "/api/profiles/unknown")
    found = klaviyo.control("GET", f"/ledger?account={NORDIC}")
    assert (found["events_recorded"], found["distinct_unique_ids"], found["duplicates_dropped"]) == (2, 2, 1)
    assert {"method": "POST", "path": "/api/events", "status": 202, "count": 3} in found["requests"]
    assert {"method": "GET", "path": "/api/profiles/<id>", "status": 404, "count": 1} in found["requests"]
    assert klaviyo.session.get(klaviyo.url + "/_sandbox/ledger?account=nope", timeout=10).status_code == 404


def test_an_expired_cursor_meets_only_who_brings_one(klaviyo: Running) -> None:
    klaviyo.control("POST", "/faults", {"match": {"path": "/api/profiles"}, "fault": "expired_cursor"})
    first = klaviyo.api("GET", "/api/profiles")
    assert first.status_code == 200
    cursor = first.json()["links"]["next"].rpartition("=")[2]
    answer = klaviyo.api("GET", "/api/profiles", params={"page[cursor]": cursor})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"] == {"parameter": "page[cursor]"}
    assert klaviyo.api("GET", "/api/profiles", params={"page[cursor]": cursor}).status_code == 200


def test_a_repeated_page_comes_twice_and_then_the_walk_goes_on(klaviyo: Running) -> None:
    klaviyo.control("POST", "/faults", {"match": {"path": "/api/profiles"}, "fault": "repeat_page"})
    pages: list[list[str]] = []
    asked = {"page[size]": "10"}
    while True:
        page = klaviyo.api("GET", "/api/profiles", params=asked).json()
        pages.append([each["id"] for each in page["data"]])
        if page["links"]["next"] is None:
            break
        asked = dict(parse_qsl(urlsplit(page["links"]["next"]).query))
    assert pages[0] == pages[1]
    assert len(pages) == 4
    assert len({each for page in pages for each in page}) == 24
