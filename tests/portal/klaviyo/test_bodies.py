"""Bodies made by joining frozen JSON are what the vendor expects, and each part can be found again by its pointer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from portal.klaviyo import bodies

AT = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
texts = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable())
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def _event(unique_id: str, properties: dict[str, Any] | None = None) -> str:
    return bodies.event_of(
        metric="Balance changed", unique_id=unique_id, time=AT, properties=json.dumps(properties or {})
    )


def _profile(email: str) -> str:
    return bodies.profile_of(klaviyo_profile_id=None, email=email, phone=None)


@given(unique_id=texts, properties=st.dictionaries(st.text(), values, max_size=5))
def test_a_single_body_says_what_was_put_in(unique_id: str, properties: dict[str, Any]) -> None:
    document = json.loads(bodies.single(_profile("ada@example.com"), _event(unique_id, properties)))
    assert document == {
        "data": {
            "type": "event",
            "attributes": {
                "properties": properties,
                "time": "2026-11-23T09:30:00+00:00",
                "unique_id": unique_id,
                "metric": {"data": {"type": "metric", "attributes": {"name": "Balance changed"}}},
                "profile": {"data": {"type": "profile", "attributes": {"email": "ada@example.com"}}},
            },
        }
    }


def test_a_profile_is_named_by_one_identifier_only() -> None:
    whole = json.loads(bodies.profile_of(klaviyo_profile_id="01ABC", email="a@b.example", phone="+4520123456"))
    assert whole == {"data": {"type": "profile", "id": "01ABC", "attributes": {}}}
    mail = json.loads(bodies.profile_of(klaviyo_profile_id=None, email="a@b.example", phone="+4520123456"))
    assert mail["data"]["attributes"] == {"email": "a@b.example"}
    phone = json.loads(bodies.profile_of(klaviyo_profile_id=None, email=None, phone="+4520123456"))
    assert phone["data"]["attributes"] == {"phone_number": "+4520123456"}


def test_history_is_marked_so_that_flows_do_not_start() -> None:
    past = bodies.event_of(metric="Balance changed", unique_id="1", time=AT, properties="{}", backfill=True)
    assert json.loads(past)["backfill"] is True
    assert "backfill" not in json.loads(_event("1"))


@given(st.lists(st.integers(min_value=0, max_value=5), min_size=1, max_size=40))
def test_every_part_of_a_bulk_body_is_where_its_place_says(owners: list[int]) -> None:
    parts = [(_profile(f"{owner}@example.com"), _event(str(number))) for number, owner in enumerate(owners)]
    entries = json.loads(bodies.bulk(parts))["data"]["attributes"]["events-bulk-create"]["data"]
    assert len(entries) == len(set(owners))
    places = bodies.bulk_places(profile for profile, _ in parts)
    for number, (owner, (entry, place)) in enumerate(zip(owners, places, strict=True)):
        attributes = entries[entry]["attributes"]
        assert attributes["profile"]["data"]["attributes"]["email"] == f"{owner}@example.com"
        assert attributes["events"]["data"][place]["attributes"]["unique_id"] == str(number)


@given(st.lists(st.integers(min_value=0, max_value=5), min_size=1, max_size=40))
def test_a_customers_events_keep_their_order_in_a_bulk_body(owners: list[int]) -> None:
    parts = [(_profile(f"{owner}@example.com"), _event(f"{number:03}")) for number, owner in enumerate(owners)]
    for entry in json.loads(bodies.bulk(parts))["data"]["attributes"]["events-bulk-create"]["data"]:
        ids = [event["attributes"]["unique_id"] for event in entry["attributes"]["events"]["data"]]
        assert ids == sorted(ids)
