"""A turn of delivering, in this process, against the sandbox: what arrives, in which order, and when it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from portal import queue
from portal.config import Settings
from portal.db import db, transaction, utcnow
from portal.jobs import deliveries, schedule, turns
from portal.klaviyo.limits import EVENT, EVENT_BULK, Pacer
from portal.models import Call, Connection, ConnectionState, Delivery
from portal.services import connection_health, delivering
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import BULK_PATH, HARBOR, NORDIC, SINGLE_PATH, Sandbox


def _turn(app: Flask, shop: Shop) -> bool:
    with app.app_context():
        return deliveries.take_turn(shop.id)


def _drain(app: Flask, shop: Shop) -> None:
    """Turn after turn, with whatever waits made due, until nothing does."""
    for _ in range(60):
        if not _turn(app, shop) and not [row for row in _rows(app, shop) if row.state == "pending"]:
            return
        factories.let_time_pass(app, shop, 30)
    raise AssertionError([row.reason for row in _rows(app, shop) if row.state == "pending"][:3])


def _rows(app: Flask, shop: Shop) -> list[Delivery]:
    with app.app_context():
        return list(db.session.scalars(select(Delivery).where(Delivery.merchant_id == shop.id).order_by(Delivery.id)))


def _calls(app: Flask, shop: Shop) -> list[Call]:
    with app.app_context():
        return list(db.session.scalars(select(Call).where(Call.merchant_id == shop.id).order_by(Call.id)))


def _in_order(sandbox: Sandbox, told: list[dict[str, Any]]) -> bool:
    """Each customer's events were recorded in the order in which they were told, each once."""
    recorded = sandbox.event_ids()
    place = {event_id: number for number, event_id in enumerate(recorded)}
    assert sorted(recorded) == sorted(event["id"] for event in told)
    by_customer: dict[str, list[int]] = {}
    for event in told:
        by_customer.setdefault(event["customer"]["email"], []).append(place[event["id"]])
    return all(places == sorted(places) for places in by_customer.values())


def test_a_few_events_go_one_by_one_and_in_order(
    app: Flask, client: FlaskClient, sandbox: Sandbox, connected: Shop
) -> None:
    told = factories.events("e", 8, customers=2)
    factories.tell_all(client, connected, told)
    assert _turn(app, connected) is False
    assert _in_order(sandbox, told)
    assert {(call.path, call.items, call.status) for call in _calls(app, connected)} == {(SINGLE_PATH, 1, 202)}


def test_a_backlog_goes_in_bulk_over_several_lanes_and_in_order(
    app: Flask, client: FlaskClient, sandbox: Sandbox, connected: Shop
) -> None:
    told = factories.events("e", 2300, customers=40)
    factories.tell_all(client, connected, told, at_once=1000)
    _drain(app, connected)
    assert _in_order(sandbox, told)
    calls = _calls(app, connected)
    assert sum(call.items for call in calls if call.status == 202) == 2300
    assert BULK_PATH in {call.path for call in calls}
    assert len(calls) <= 12


def test_a_turn_ends_in_time_however_slow_klaviyo_is(
    app: Flask, client: FlaskClient, sandbox: Sandbox, connected: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "TURN_SECONDS", 0.3)
    sandbox.order("slow", SINGLE_PATH, seconds=0.5, times=None)
    factories.tell_all(client, connected, factories.events("e", 8))
    assert _turn(app, connected) is True
    assert len(_calls(app, connected)) == 1
    rows = _rows(app, connected)
    assert [row.state for row in rows] == ["delivered"] + ["pending"] * 7
    assert {(row.attempts, row.lease) for row in rows[1:]} == {(0, None)}, "the others were given back"
    sandbox.clear_faults()


def test_what_may_have_been_sent_is_not_given_back_when_we_fail(
    app: Flask, client: FlaskClient, sandbox: Sandbox, connected: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.tell_all(client, connected, factories.events("e", 3))

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(delivering, "settle", fail)
    with pytest.raises(ZeroDivisionError):
        _turn(app, connected)
    rows = _rows(app, connected)
    assert [row.attempts for row in rows] == [1, 0, 0]
    assert rows[0].due_at > utcnow(), "its lease runs out first, so that a mistake of ours is no hot loop"
    monkeypatch.undo()
    with app.app_context(), transaction():
        db.session.execute(update(Delivery).where(Delivery.lease.is_not(None)).values(due_at=utcnow()))
    _drain(app, connected)
    assert sorted(sandbox.event_ids()) == ["e-00000", "e-00001", "e-00002"]


def test_an_expired_access_token_is_refreshed_and_nothing_is_counted_as_a_try(
    app: Flask, client: FlaskClient, sandbox: Sandbox, connected: Shop
) -> None:
    sandbox.expire_access()
    factories.tell_all(client, connected, factories.events("e", 3))
    _turn(app, connected)
    assert [(row.state, row.attempts) for row in _rows(app, connected)] == [("delivered", 1)] * 3


def test_lost_access_keeps_everything_until_the_merchant_reconnects(
    app: Flask, client: FlaskClient, sandbox: Sandbox, connected: Shop
) -> None:
    told = factories.events("e", 30, customers=3)
    factories.tell_all(client, connected, told)
    sandbox.uninstall()
    assert _turn(app, connected) is False
    assert factories.connection_of(app, connected).state == ConnectionState.RECONNECT
    assert {(row.state, row.attempts, row.lease) for row in _rows(app, connected)} == {("pending", 0, None)}
    factories.connect(app, sandbox, connected)
    _drain(app, connected)
    assert _in_order(sandbox, told)


def test_being_asked_to_slow_down_stops_every_lane_until_then(
    app: Flask, client: FlaskClient, sandbox: Sandbox, connected: Shop
) -> None:
    told = factories.events("e", 5, customers=1)
    factories.tell_all(client, connected, told)
    sandbox.order("status", SINGLE_PATH, status=429, retry_after=7)
    assert _turn(app, connected) is False
    assert _turn(app, connected) is False
    assert [call.status for call in _calls(app, connected)] == [429]
    assert {(row.state, row.attempts) for row in _rows(app, connected)} == {("pending", 0)}
    factories.let_time_pass(app, connected, 8)
    _drain(app, connected)
    assert _in_order(sandbox, told)


@pytest.mark.parametrize("number", [4, 40])
@pytest.mark.parametrize("fault", ["reset", "garbage", "html_403", "status"])
def test_an_answer_that_is_lost_after_klaviyo_took_it_makes_no_second_event(
    app: Flask, client: FlaskClient, sandbox: Sandbox, connected: Shop, fault: str, number: int
) -> None:
    told = factories.events("e", number, customers=2)
    factories.tell_all(client, connected, told)
    sandbox.order(fault, "/api/event", accept=True, times=2)
    _drain(app, connected)
    assert _in_order(sandbox, told)


def test_one_event_that_klaviyo_refuses_sinks_nobody_else(
    app: Flask, client: FlaskClient, sandbox: Sandbox, connected: Shop
) -> None:
    told = factories.events("e", 40, customers=8)
    factories.tell_all(client, connected, told)
    with app.app_context(), transaction():
        poison = db.session.scalars(select(Delivery).order_by(Delivery.id)).all()[20]
        poison.payload = poison.payload.replace('"time":"', '"time":"never ')
    _drain(app, connected)
    assert sorted(sandbox.event_ids()) == sorted(event["id"] for event in told if event["id"] != "e-00020")
    states = [row.state for row in _rows(app, connected)]
    assert (states.count("dead"), states[20]) == (1, "dead")


def test_while_the_token_endpoint_is_away_nothing_is_lost_and_nobody_storms_it(
    app: Flask, client: FlaskClient, sandbox: Sandbox, connected: Shop
) -> None:
    factories.tell_all(client, connected, factories.events("e", 3))
    sandbox.expire_access()
    sandbox.order("status", "/oauth/token", status=503, times=None)
    rests = []
    for _ in range(6):
        assert _turn(app, connected) is False
        until = factories.connection_of(app, connected).paused_until
        assert until is not None
        rests.append((until - utcnow()).total_seconds())
        factories.let_time_pass(app, connected, 4000)
    assert rests[-1] > 60 > rests[0], "longer each time"
    assert {(row.state, row.attempts) for row in _rows(app, connected)} == {("pending", 0)}
    sandbox.clear_faults()
    _drain(app, connected)
    assert len(sandbox.event_ids()) == 3


def test_a_merchant_who_is_gone_or_has_nothing_is_no_work(app: Flask, sandbox: Sandbox, connected: Shop) -> None:
    assert _turn(app, connected) is False
    with app.app_context():
        assert deliveries.take_turn(connected.id + 1000) is False


# --- the ticker ----------------------------------------------------------------------------------


def _two_shops(app: Flask, sandbox: Sandbox, client: FlaskClient, connected: Shop) -> Shop:
    other = factories.make_shop(app, "Harbor Books")
    factories.connect(app, sandbox, other, HARBOR)
    factories.switch(app, other)
    for shop in (connected, other):
        factories.tell_all(client, shop, factories.events(f"m{shop.id}", 3))
    return other


def test_the_ticker_rings_for_what_is_due(
    app: Flask, client: FlaskClient, sandbox: Sandbox, connected: Shop, settings: Settings
) -> None:
    other = _two_shops(app, sandbox, client, connected)
    queue.client().flushall()
    with app.app_context():
        schedule.tick()
        schedule.tick()
    jobs = queue.queue(queue.DELIVERIES, queue.patient(settings.redis_url)).jobs
    assert sorted(job.args[0] for job in jobs) == sorted([connected.id, other.id]), "once each, however often"
    assert sandbox.event_ids() == []


def test_without_redis_the_ticker_delivers_by_itself(
    app: Flask, client: FlaskClient, sandbox: Sandbox, connected: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    _two_shops(app, sandbox, client, connected)
    monkeypatch.setattr(queue, "_client", queue.impatient("redis://127.0.0.1:9/0"))
    monkeypatch.setattr(queue, "_silent_until", 0.0)
    turns.pacer.cache_clear()
    with app.app_context():
        schedule.tick()
    turns.pacer.cache_clear()
    assert len(sandbox.event_ids()) == len(sandbox.event_ids(HARBOR)) == 3


def test_one_merchants_trouble_of_ours_does_not_stop_the_ticker(
    app: Flask, client: FlaskClient, sandbox: Sandbox, connected: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = _two_shops(app, sandbox, client, connected)
    monkeypatch.setattr(queue, "ring", lambda *_: False)
    real: Callable[[int], bool] = deliveries.take_turn

    def take_turn(merchant_id: int) -> bool:
        if merchant_id == connected.id:
            raise ZeroDivisionError
        return real(merchant_id)

    monkeypatch.setattr(deliveries, "take_turn", take_turn)
    with app.app_context():
        schedule.tick()
    assert (len(sandbox.event_ids(NORDIC)), len(sandbox.event_ids(HARBOR))) == (0, 3)
    assert other.id != connected.id


# --- pacing --------------------------------------------------------------------------------------


def test_without_leave_nothing_is_claimed(app: Flask, client: FlaskClient, sandbox: Sandbox, connected: Shop) -> None:
    factories.tell_all(client, connected, factories.events("e", 3))
    pacer = Pacer(queue.client(), 1)
    assert pacer.wait(EVENT, connected.id) == 0
    queue.client().hset(f"portal:pace:{connected.id}:{EVENT.name}", "tokens", -10_000)
    assert _turn(app, connected) is True, "something is left"
    assert _calls(app, connected) == []
    assert {(row.attempts, row.lease) for row in _rows(app, connected)} == {(0, None)}
    assert pacer.wait(EVENT_BULK, NORDIC) == 0, "each endpoint has a budget of its own"
    assert pacer.wait(EVENT, HARBOR) == 0, "and each account"


def test_a_pause_is_seen_by_the_next_turn(app: Flask, client: FlaskClient, sandbox: Sandbox, connected: Shop) -> None:
    factories.tell_all(client, connected, factories.events("e", 3))
    with app.app_context(), transaction():
        connection_health.pause(connected.id, delivering.soon(utcnow()), "a rest")
    assert _turn(app, connected) is False
    assert _calls(app, connected) == []
    with app.app_context():
        assert db.session.scalars(select(Connection.pause_reason)).one() == "a rest"
