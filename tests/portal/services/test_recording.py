"""Recording events: once per id, in order, with the promise to deliver."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from portal.db import db, transaction
from portal.errors import NotFoundError
from portal.models import ConnectionState, Customer, Delivery, Event, Module, Unsent
from portal.services import events, modules
from portal.services.customers import Identifiers
from portal.services.events import ACCEPTED, CONFLICT, DUPLICATE, NO_SUCH_CUSTOMER
from tests.portal.services import stage
from tests.portal.services.stage import told


def _count(model: type) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_a_repeat_is_recorded_once(shop: int) -> None:
    assert stage.record(shop, "a") == [ACCEPTED]
    assert stage.record(shop, "a") == [DUPLICATE]
    assert (_count(Event), _count(Delivery), _count(Customer)) == (1, 1, 1)


def test_another_event_under_the_same_id_is_a_conflict_and_changes_nothing(shop: int) -> None:
    stage.record(shop, told("a", properties={"change": 1}))
    assert stage.record(shop, told("a", properties={"change": 2})) == [CONFLICT]
    assert json.loads(db.session.scalars(select(Event.properties)).one())["change"] == 1


def test_verdicts_come_in_the_order_of_the_events(shop: int) -> None:
    stage.record(shop, "known")
    verdicts = stage.record(
        shop, "new", "known", told("nobody", Identifiers(id=1)), told("known", "other@example.com"), "newer", "new"
    )
    assert verdicts == [ACCEPTED, DUPLICATE, NO_SUCH_CUSTOMER, CONFLICT, ACCEPTED, DUPLICATE]
    assert set(db.session.scalars(select(Event.event_id))) == {"known", "new", "newer"}


def test_the_same_id_with_another_body_in_one_list_is_a_conflict(shop: int) -> None:
    assert stage.record(shop, told("a"), told("a", properties={"change": 1})) == [ACCEPTED, CONFLICT]


def test_another_merchant_may_use_the_same_id(shop: int) -> None:
    other = stage.make_merchant()
    stage.record(shop, "a")
    assert stage.record(other, "a") == [ACCEPTED]
    assert events.find(other, "a")[0].merchant_id == other


def test_an_event_of_another_merchant_is_not_found(shop: int) -> None:
    stage.record(shop, "a")
    with pytest.raises(NotFoundError):
        events.find(stage.make_merchant(), "a")


def test_a_repeat_with_its_keys_in_another_order_is_the_same_event() -> None:
    assert events.digest_of({"id": "a", "properties": {"x": 1, "y": 2}}) == events.digest_of(
        {"properties": {"y": 2, "x": 1}, "id": "a"}
    )


@pytest.mark.parametrize("other", [{"id": "b"}, {"id": "a", "x": 1}, {"id": ["a"]}, {"id": None}, {}])
def test_any_difference_tells_two_events_apart(other: dict[str, object]) -> None:
    assert events.digest_of({"id": "a"}) != events.digest_of(other)


def test_what_is_frozen_is_what_klaviyo_will_be_told(shop: int) -> None:
    at = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    stage.record(
        shop, told('ä"1', "ada@example.com", occurred_at=at, properties={"reason": 'Grüße "x"', "change": 2.5})
    )
    row = stage.deliveries(shop)[0]
    assert json.loads(row.profile) == {"data": {"type": "profile", "attributes": {"email": "ada@example.com"}}}
    assert json.loads(row.payload) == {
        "properties": {
            "source": "api",
            "reason": 'Grüße "x"',
            "change": 2.5,
            "direction": "increase",
            "balance": 2.5,
            "previous_balance": 0,
            "wallet_pass_status": "not_installed",
        },
        "time": "2026-11-23T09:30:00+00:00",
        "unique_id": 'ä"1',
        "metric": {"data": {"type": "metric", "attributes": {"name": "Balance changed"}}},
    }


def test_what_we_compute_is_sent_in_place_of_what_was_told(shop: int) -> None:
    mine = {"balance": 9, "tier": "Diamond", "next_tier": "Moon", "source": "till", "location": "Harbour"}
    stage.record(shop, told("a", type="checked_in", properties=mine))
    assert json.loads(stage.deliveries(shop)[0].payload)["properties"] == {
        "source": "api",
        "location": "Harbour",
        "balance": 0,
        "wallet_pass_status": "not_installed",
    }


def test_where_a_customer_came_from_is_kept_as_told(shop: int) -> None:
    stage.record(shop, told("a", type="customer_created", properties={"source": "till"}))
    assert json.loads(stage.deliveries(shop)[0].payload)["properties"]["source"] == "till"


def test_what_is_not_known_is_left_out(shop: int) -> None:
    stage.record(shop, told("a", type="card_opened", properties={}))
    assert json.loads(stage.deliveries(shop)[0].payload)["properties"] == {
        "source": "api",
        "balance": 0,
        "wallet_pass_status": "not_installed",
    }


# --- what is recorded and not sent ---------------------------------------------------------------


def _unsent(merchant_id: int, *what: object) -> list[Unsent | None]:
    stage.record(merchant_id, *what)  # type: ignore[arg-type]
    return list(db.session.scalars(select(Event.unsent).where(Event.merchant_id == merchant_id).order_by(Event.id)))


def test_without_a_connection_an_event_is_recorded_only(lone: int) -> None:
    assert _unsent(lone, "a") == [Unsent.NOT_CONNECTED]
    assert stage.deliveries(lone) == []


def test_after_disconnecting_an_event_is_recorded_only(shop: int) -> None:
    stage.change_connection(shop, state=ConnectionState.DISCONNECTED)
    assert _unsent(shop, "a") == [Unsent.NOT_CONNECTED]


def test_while_access_is_lost_events_wait(shop: int) -> None:
    stage.change_connection(shop, state=ConnectionState.RECONNECT)
    assert _unsent(shop, "a") == [None]
    assert stage.states(shop) == ["pending"]


def test_with_the_module_off_an_event_is_recorded_only(shop: int) -> None:
    with transaction():
        modules.switch(shop, Module.EVENTS, False, stage.ACTOR)
    assert _unsent(shop, "a") == [Unsent.MODULE_OFF]


def test_only_the_type_that_was_switched_off_is_held_back(shop: int) -> None:
    with transaction():
        modules.choose(shop, "card_opened", False, stage.ACTOR)
    assert _unsent(
        shop, told("a", type="card_opened", properties={}), told("b", type="card_clicked", properties={})
    ) == [Unsent.TYPE_OFF, None]


def test_a_customer_whom_klaviyo_cannot_know_is_not_told_about(shop: int) -> None:
    assert _unsent(shop, told("a", Identifiers(external_id="42"))) == [Unsent.UNREACHABLE]
    assert _unsent(shop, told("b", Identifiers(external_id="42", email="ada@example.com"))) == [
        Unsent.UNREACHABLE,
        None,
    ]
