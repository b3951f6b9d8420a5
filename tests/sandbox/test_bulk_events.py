"""Bulk events: a thousand at a time, all or none, and a rule of its own for repeats."""

from tests.sandbox.conftest import Running, bulk, event, pointers

JOBS = "/api/event-bulk-create-jobs"
ROWS = "/data/attributes/events-bulk-create/data"


def many(count: int, start: int = 0) -> list[dict[str, object]]:
    return [event(f"u{n}", profile={"email": f"c{n % 7}@example.com"}) for n in range(start, start + count)]


def test_a_thousand_events_are_answered_202_with_nothing_and_recorded_in_order(klaviyo: Running) -> None:
    answer = klaviyo.api("POST", JOBS, bulk(*many(1000)))
    assert (answer.status_code, answer.content) == (202, b"")
    assert [each["unique_id"] for each in klaviyo.events()] == [f"u{n}" for n in range(1000)]


def test_a_thousand_and_one_are_refused(klaviyo: Running) -> None:
    answer = klaviyo.api("POST", JOBS, bulk(*many(1001)))
    assert answer.status_code == 400
    assert pointers(answer) == [ROWS]
    assert klaviyo.events() == []


def test_one_bad_event_refuses_all_and_names_its_row(klaviyo: Running) -> None:
    events = many(3)
    events[1]["data"]["attributes"]["value"] = "12"  # type: ignore[index]
    answer = klaviyo.api("POST", JOBS, bulk(*events))
    assert answer.status_code == 400
    assert pointers(answer) == [f"{ROWS}/1/attributes/events/data/0/attributes/value"]
    assert klaviyo.events() == []


def test_a_unique_id_repeated_inside_the_request_fails_all_of_it(klaviyo: Running) -> None:
    answer = klaviyo.api("POST", JOBS, bulk(event("a"), event("b"), event("a")))
    assert answer.status_code == 400
    assert pointers(answer) == [f"{ROWS}/2/attributes/events/data/0/attributes/unique_id"]
    assert klaviyo.events() == []


def test_the_same_unique_id_for_two_profiles_is_no_repeat(klaviyo: Running) -> None:
    sent = bulk(event("a"), event("a", profile={"email": "bo@example.com"}), event("a", metric="Tier upgraded"))
    assert klaviyo.api("POST", JOBS, sent).status_code == 202
    assert len(klaviyo.events()) == 3


def test_a_unique_id_recorded_earlier_fails_the_request_even_under_another_identifier(klaviyo: Running) -> None:
    klaviyo.api("POST", "/api/events", event("a"))
    profile = klaviyo.events()[0]["profile_id"]
    for named in (None, {"id": profile}):
        answer = klaviyo.api("POST", JOBS, bulk(event("b"), event("a", profile=named)))
        assert answer.status_code == 400
        assert pointers(answer) == [f"{ROWS}/1/attributes/events/data/0/attributes/unique_id"]
    assert len(klaviyo.events()) == 1


def test_a_unique_id_that_is_accepted_but_not_recorded_yet_fails_the_request_too(klaviyo: Running) -> None:
    klaviyo.control("PUT", "/settings", {"visibility_seconds": 3600})
    assert klaviyo.api("POST", JOBS, bulk(event("a"))).status_code == 202
    assert klaviyo.api("POST", JOBS, bulk(event("a"))).status_code == 400


def test_when_not_strict_what_was_recorded_earlier_is_dropped_silently(klaviyo: Running) -> None:
    klaviyo.control("PUT", "/settings", {"strict_bulk_dedupe": False})
    for sent in (bulk(event("a")), bulk(event("a"), event("b"))):
        assert klaviyo.api("POST", JOBS, sent).status_code == 202
    assert [each["unique_id"] for each in klaviyo.events()] == ["a", "b"]


def test_backfill_of_the_row_holds_for_its_events_unless_they_say_otherwise(klaviyo: Running) -> None:
    klaviyo.api("POST", JOBS, bulk(event("a"), event("b", backfill=False), backfill=True))
    assert [each["backfill"] for each in klaviyo.events()] == [True, False]


def test_an_empty_or_misshapen_request_is_refused(klaviyo: Running) -> None:
    for body in ({}, bulk(), {"data": {"type": "event-bulk-create-job", "attributes": {}}}):
        assert klaviyo.api("POST", JOBS, body).status_code == 400
    wrong = bulk(event("a"))
    wrong["data"]["attributes"]["events-bulk-create"]["data"][0]["type"] = "event"
    assert pointers(klaviyo.api("POST", JOBS, wrong)) == [f"{ROWS}/0/type"]


def test_metrics_of_an_app_and_of_a_key_are_two(klaviyo: Running) -> None:
    klaviyo.api("POST", JOBS, bulk(event("a")))
    found = klaviyo.api("GET", "/api/metrics", params={"filter": 'equals(integration.name,"API")'}).json()["data"]
    assert [each["attributes"]["name"] for each in found] == ["Balance changed"]
    nothing = klaviyo.api("GET", "/api/metrics", params={"filter": 'equals(integration.category,"API")'}).json()
    assert nothing["data"] == []
