"""What each kind of answer means, and the bodies that are sent: pure functions, enumerated."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.klaviyo import bodies
from portal.services import delivering
from portal.services.delivering import Outcome, judge
from portal.services.outbox import Parcel
from tests.portal.services.stage import answer

HTML = {"content_type": "text/html", "body": "<html>Just a moment...</html>"}


@pytest.mark.parametrize(
    ("status", "more", "outcome"),
    [
        (202, {}, Outcome.DELIVERED),
        (200, {}, Outcome.DELIVERED),
        (202, {"content_type": ""}, Outcome.DELIVERED),
        (201, {"body": '{"data": {}}'}, Outcome.DELIVERED),
        (202, {"body": '{"data": {}}', "content_type": "application/vnd.api+json"}, Outcome.DELIVERED),
        (200, HTML, Outcome.RETRY),
        (301, {}, Outcome.RETRY),
        (302, HTML, Outcome.RETRY),
        (304, {}, Outcome.RETRY),
        (400, {"body": '{"errors": []}'}, Outcome.REFUSED),
        (400, {"body": "not json"}, Outcome.REFUSED),
        (400, {"body": "[" * 100_000}, Outcome.REFUSED),
        (404, {"body": "{}"}, Outcome.REFUSED),
        (409, {"body": "{}"}, Outcome.REFUSED),
        (413, {"body": "{}"}, Outcome.REFUSED),
        (422, {"body": "{}"}, Outcome.REFUSED),
        (401, {"body": "{}"}, Outcome.EXPIRED),
        (403, {"body": "{}"}, Outcome.BROKEN),
        (403, HTML, Outcome.RETRY),
        (408, {}, Outcome.RETRY),
        (429, {"retry_after": 7}, Outcome.THROTTLED),
        (429, HTML, Outcome.THROTTLED),
        (500, {"body": "{}"}, Outcome.RETRY),
        (502, HTML, Outcome.RETRY),
        (503, {}, Outcome.RETRY),
        (504, {}, Outcome.RETRY),
        (524, HTML, Outcome.RETRY),
        (None, {"failure": "no answer within 10 s"}, Outcome.RETRY),
        (None, {}, Outcome.RETRY),
    ],
)
def test_every_kind_of_answer_has_one_outcome(status: int | None, more: dict[str, object], outcome: Outcome) -> None:
    judgement = judge(answer(status, **more))  # type: ignore[arg-type]
    assert judgement.outcome is outcome
    assert bool(judgement.reason) == (outcome is not Outcome.DELIVERED)


def test_how_long_klaviyo_asks_for_is_passed_on() -> None:
    assert judge(answer(429, retry_after=7)).retry_after == 7
    assert judge(answer(429)).retry_after is None


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ([{"detail": "Invalid phone number"}], "Phone number not valid for Klaviyo."),
        ([{"detail": "Invalid.", "source": {"pointer": "/a/phone_number"}}], "Phone number not valid for Klaviyo."),
        ([{"detail": "Bad email"}], "Email address not valid for Klaviyo."),
        ([{"detail": "Too odd."}], "Klaviyo refused this event: Too odd."),
        ([{"title": "Conflict."}, {"title": "Conflict."}], "Klaviyo refused this event: Conflict."),
        ([{"detail": None, "source": None}, "text", 7], "Klaviyo refused this event: HTTP 400"),
        ([{"detail": ["a", {"b": 1}]}], "Klaviyo refused this event: ['a', {'b': 1}]"),
        ("text", "Klaviyo refused this event: HTTP 400"),
    ],
)
def test_a_refusal_is_told_in_our_words(errors: object, said: str) -> None:
    assert judge(answer(400, json.dumps({"errors": errors}))).reason.startswith(said)


# --- bodies --------------------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
AT = datetime(2026, 11, 23, 9, 30, 0, 123456, tzinfo=UTC)


def _attributes(metric: str, unique_id: str, properties: dict[str, object]) -> dict[str, object]:
    """What an event should be, built plainly."""
    return {
        "properties": properties,
        "time": "2026-11-23T09:30:00.123456+00:00",
        "unique_id": unique_id,
        "metric": {"data": {"type": "metric", "attributes": {"name": metric}}},
    }


@given(metric=texts, unique_id=texts, email=texts.filter(bool), properties=st.dictionaries(texts, values, max_size=4))
def test_joined_parts_equal_a_body_built_plainly(
    metric: str, unique_id: str, email: str, properties: dict[str, object]
) -> None:
    frozen = json.dumps(properties, ensure_ascii=False, separators=(",", ":"))
    event = bodies.event_of(metric=metric, unique_id=unique_id, time=AT, properties=frozen)
    profile = bodies.profile_of(klaviyo_profile_id=None, email=email, phone=None)
    plain_profile = {"data": {"type": "profile", "attributes": {"email": email}}}
    attributes = _attributes(metric, unique_id, properties)
    single = {"data": {"type": "event", "attributes": {**attributes, "profile": plain_profile}}}
    assert json.loads(bodies.single(profile, event)) == single
    entry = {"profile": plain_profile, "events": {"data": [{"type": "event", "attributes": attributes}]}}
    bulk = {"data": [{"type": "event-bulk-create", "attributes": entry}]}
    whole = {"data": {"type": "event-bulk-create-job", "attributes": {"events-bulk-create": bulk}}}
    assert json.loads(bodies.bulk([(profile, event)])) == whole


def test_history_is_marked_as_backfill_and_nothing_else_is() -> None:
    told = {"metric": "m", "unique_id": "a", "time": AT, "properties": "{}"}
    assert json.loads(bodies.event_of(**told, backfill=True))["backfill"] is True  # type: ignore[arg-type]
    assert "backfill" not in json.loads(bodies.event_of(**told))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("known", "identifier"),
    [
        (("01HZ", "a@example.com", "+4520123456"), {"id": "01HZ", "attributes": {}}),
        ((None, "a@example.com", "+4520123456"), {"attributes": {"email": "a@example.com"}}),
        (("", "", "+4520123456"), {"attributes": {"phone_number": "+4520123456"}}),
    ],
)
def test_a_profile_is_named_by_exactly_one_identifier(
    known: tuple[str | None, str | None, str], identifier: dict[str, object]
) -> None:
    told = bodies.profile_of(klaviyo_profile_id=known[0], email=known[1], phone=known[2])
    assert json.loads(told) == {"data": {"type": "profile", **identifier}}


@given(st.lists(st.integers(0, 4), max_size=30))
def test_pointers_into_a_bulk_body_lead_to_the_event_they_name(customers: list[int]) -> None:
    profiles = [bodies.profile_of(klaviyo_profile_id=f"p{each}", email=None, phone=None) for each in customers]
    parts = [(profile, json.dumps({"n": number})) for number, profile in enumerate(profiles)]
    entries = json.loads(bodies.bulk(parts))["data"]["attributes"]["events-bulk-create"]["data"]
    for number, (entry, event) in enumerate(bodies.bulk_places(profiles)):
        assert entries[entry]["attributes"]["events"]["data"][event]["attributes"] == {"n": number}
        assert entries[entry]["attributes"]["profile"]["data"]["id"] == f"p{customers[number]}"


# --- how much fits -------------------------------------------------------------------------------


def _parcels(*sizes: int) -> tuple[Parcel, ...]:
    profile = bodies.profile_of(klaviyo_profile_id="p", email=None, phone=None)
    return tuple(Parcel(n, n, 1, AT, profile, f'{{"text":"{"ä" * (size // 2)}"}}') for n, size in enumerate(sizes))


@pytest.mark.parametrize(
    ("sizes", "fit"),
    [
        ((100,) * 1000, 1000),
        ((1_000_000,) * 6, 4),
        ((6_000_000, 10), 1),
        ((10, 6_000_000, 10), 1),
        ((4_499_000, 10, 10), 3),
    ],
)
def test_a_request_takes_as_many_from_the_front_as_fit_and_at_least_one(sizes: tuple[int, ...], fit: int) -> None:
    parcels = _parcels(*sizes)
    fitting = delivering.fitting(parcels)
    assert fitting == list(parcels[:fit])
    if fit > 1:
        body = bodies.bulk((parcel.profile, parcel.payload) for parcel in fitting)
        assert len(body.encode()) <= 5_000_000


def test_many_small_events_with_a_profile_each_stay_below_klaviyos_cap() -> None:
    parcels = [
        Parcel(
            n, n, 1, AT, bodies.profile_of(klaviyo_profile_id=None, email=f"{n}@a.dk", phone=None), "{}" + " " * 4350
        )
        for n in range(1000)
    ]
    body = bodies.bulk((parcel.profile, parcel.payload) for parcel in delivering.fitting(parcels))
    assert len(body.encode()) <= 5_000_000
