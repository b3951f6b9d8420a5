"""Claiming: what is due, in order per customer, to one worker at a time, one merchant after the other."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text
from sqlalchemy.engine import Connection

from portal.db import db, in_own_session, transaction, utcnow
from portal.models import ConnectionState
from portal.services import outbox
from portal.services.outbox import BULK_LIMIT, QUIET, SINGLE_LIMIT, Mode
from tests.portal.services import stage
from tests.portal.services.stage import event_ids, told


def _mode(shop: int, *, after: float = 0) -> Mode | None:
    return outbox.mode_for(shop, utcnow() + timedelta(seconds=after))


def test_nothing_waiting_is_nothing_to_do(shop: int) -> None:
    assert _mode(shop) is None
    assert stage.claim(shop) is None


def test_a_claim_leases_rows_oldest_first(shop: int) -> None:
    stage.record_many(shop, 3)
    batch = stage.must_claim(shop)
    assert event_ids(batch) == ["e0", "e1", "e2"]
    assert [parcel.attempts for parcel in batch.parcels] == [1, 1, 1]
    assert stage.claim(shop) is None, "what is leased is nobody else's"


def test_what_a_dead_worker_held_comes_due_again(shop: int) -> None:
    stage.record_many(shop, 2)
    stage.must_claim(shop)
    assert stage.claim(shop, after=stage.LEASE - 1) is None
    again = stage.must_claim(shop, after=stage.LEASE + 1)
    assert event_ids(again) == ["e0", "e1"]
    assert [parcel.attempts for parcel in again.parcels] == [2, 2]


@pytest.mark.parametrize(("number", "mode"), [(1, Mode.SINGLE), (QUIET, Mode.SINGLE), (QUIET + 1, Mode.BULK)])
def test_a_few_go_singly_and_a_backlog_goes_in_bulk(shop: int, number: int, mode: Mode) -> None:
    stage.record_many(shop, number)
    assert _mode(shop) is mode


def test_a_backlog_that_begins_with_a_tried_row_goes_singly_first(shop: int) -> None:
    stage.record_many(shop, QUIET + 5)
    stage.settle(stage.must_claim(shop), stage.answer(500), first=1)
    assert _mode(shop, after=stage.LEASE + 1) is Mode.SINGLE


@pytest.mark.parametrize(("mode", "limit"), [(Mode.SINGLE, SINGLE_LIMIT), (Mode.BULK, BULK_LIMIT)])
def test_a_claim_is_bounded(shop: int, mode: Mode, limit: int) -> None:
    stage.record_many(shop, limit + 3)
    assert len(stage.must_claim(shop, mode).parcels) == limit
    assert len(stage.must_claim(shop, mode).parcels) == 3


# --- order per customer --------------------------------------------------------------------------


def test_what_follows_a_postponed_event_of_the_same_customer_waits(shop: int) -> None:
    stage.record(shop, told("a1", "a@example.com"), told("b1", "b@example.com"), told("a2", "a@example.com"))
    batch = stage.must_claim(shop)
    stage.settle(batch, stage.answer(500), first=1)
    with transaction():
        outbox.release(batch, [parcel.id for parcel in batch.parcels[1:]], utcnow())
    assert event_ids(stage.claim(shop)) == ["b1"]
    assert event_ids(stage.claim(shop, after=10)) == ["a1", "a2"]


def test_what_follows_a_leased_event_of_the_same_customer_waits(shop: int) -> None:
    stage.record(shop, told("a1", "a@example.com"))
    first = stage.must_claim(shop)
    stage.record(shop, told("a2", "a@example.com"), told("b1", "b@example.com"))
    assert event_ids(stage.claim(shop)) == ["b1"]
    stage.settle(first, stage.answer(202))
    assert event_ids(stage.claim(shop)) == ["a2"]


def test_what_follows_a_refused_event_goes_on(shop: int) -> None:
    stage.record(shop, told("a1", "a@example.com"))
    first = stage.must_claim(shop)
    stage.record(shop, told("a2", "a@example.com"))
    stage.settle(first, stage.answer(400, '{"errors": []}'))
    assert event_ids(stage.claim(shop)) == ["a2"]


def test_bulk_takes_only_fresh_rows_and_nothing_behind_a_tried_one(shop: int) -> None:
    stage.record(shop, told("a1", "a@example.com"))
    with transaction():
        batch = outbox.claim(shop, Mode.SINGLE, utcnow(), stage.LEASE)
        assert batch is not None
        outbox.keep_alone(batch, [batch.parcels[0].id], utcnow(), call_id=1)
    stage.record(shop, told("a2", "a@example.com"), told("b1", "b@example.com"))
    assert event_ids(stage.claim(shop, Mode.BULK)) == ["b1"]
    assert event_ids(stage.claim(shop, Mode.SINGLE)) == ["a1", "a2"]


def test_another_merchants_customers_are_in_nobodys_way(shop: int) -> None:
    other = stage.make_merchant()
    stage.connect(other, "H4rB0r")
    stage.switch_on(other)
    stage.record(shop, "mine")
    stage.record(other, "theirs")
    stage.must_claim(other)
    assert event_ids(stage.claim(shop)) == ["mine"]


class _Simulation:
    """Random deeds of several workers. What arrives is written down; a late worker's request arrives all the same."""

    def __init__(self, shop: int, draw: random.Random) -> None:
        self.shop, self.draw, self.seconds, self.number = shop, draw, 0.0, 0
        self.held: list[outbox.Batch] = []
        self.arrived: list[int] = []
        self.recovered = False

    def step(self) -> None:
        self.draw.choice((self.tell, self.claim, self.answer, self.answer, self.die, self.wait))()

    def tell(self) -> None:
        for _ in range(self.draw.randint(1, 4)):
            stage.record(self.shop, told(f"n{self.number}", f"c{self.draw.randint(0, 2)}@example.com"))
            self.number += 1

    def claim(self) -> None:
        batch = stage.claim(self.shop, self.draw.choice(list(Mode)), after=self.seconds)
        if batch is not None:
            self.held.append(batch)

    def answer(self) -> None:
        if not self.held:
            return
        batch = self.held.pop(self.draw.randrange(len(self.held)))
        first = 1 if batch.mode is Mode.SINGLE else len(batch.parcels)
        status = 202 if self.recovered else self.draw.choice((202, 202, 202, 429, 503))
        if status == 202:
            self.arrived += [parcel.id for parcel in batch.parcels[:first]]
        stage.settle(batch, stage.answer(status), first=first, after=self.seconds)
        with transaction():
            outbox.release(batch, [parcel.id for parcel in batch.parcels[first:]], utcnow() + self.past())

    def die(self) -> None:
        self.held = self.held[1:]

    def wait(self) -> None:
        # Never past a lease while somebody still holds it: a late worker is another test.
        self.seconds += self.draw.choice((1, 7, 40)) if not self.held else 0
        stage.change_connection(self.shop, paused_until=None, failures_in_a_row=0)

    def past(self) -> timedelta:
        return timedelta(seconds=self.seconds)

    def finish(self) -> None:
        """Klaviyo recovers, and time enough passes for the longest pause between two tries."""
        self.held.clear()
        self.recovered = True
        for _ in range(100):
            self.seconds += max(outbox.RETRY_AFTER)
            self.wait()
            self.claim()
            self.answer()
            self.held.clear()
            if set(stage.states(self.shop)) <= {"delivered"}:
                return
        raise AssertionError(f"never done: {stage.states(self.shop)}")


@given(seed=st.integers(0, 10_000))
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_each_event_arrives_and_each_customers_in_order(app: Flask, seed: int) -> None:
    with app.app_context():
        shop = stage.make_merchant()
        stage.connect(shop, f"acc{seed}-{shop}")
        stage.switch_on(shop)
        simulation = _Simulation(shop, random.Random(seed))
        simulation.tell()
        for _ in range(25):
            simulation.step()
        simulation.finish()
        rows = stage.deliveries(shop)
        firsts = list(dict.fromkeys(simulation.arrived))
        assert sorted(firsts) == [row.id for row in rows], "each arrives"
        for customer in {row.customer_id for row in rows}:
            mine = [row.id for row in rows if row.customer_id == customer]
            assert [arrived for arrived in firsts if arrived in mine] == mine, "in order"


# --- several workers -----------------------------------------------------------------------------


def _in_threads(number: int, work: Callable[[], list[str]]) -> list[list[str]]:
    with ThreadPoolExecutor(number) as pool:
        return [future.result() for future in [pool.submit(in_own_session(work)) for _ in range(number)]]


def test_no_row_and_no_customer_goes_to_two_workers_at_once(shop: int) -> None:
    stage.record_many(shop, 120, customers=6)
    together = threading.Barrier(4)

    def work() -> list[str]:
        together.wait()
        batch = stage.claim(shop)
        return [] if batch is None else [f"{parcel.customer_id}:{parcel.id}" for parcel in batch.parcels]

    claimed = _in_threads(4, work)
    rows = [row for each in claimed for row in each]
    assert len(rows) == len(set(rows)) > 0
    holders = [{row.split(":")[0] for row in each} for each in claimed]
    assert sum(len(each) for each in holders) == len(set().union(*holders)), "a customer has one worker at a time"


# --- who may, and whose turn it is ---------------------------------------------------------------


@pytest.mark.parametrize("state", [ConnectionState.RECONNECT, ConnectionState.DISCONNECTED])
def test_without_access_nothing_is_claimed_and_nothing_lost(shop: int, state: ConnectionState) -> None:
    stage.record(shop, "a")
    stage.change_connection(shop, state=state)
    assert stage.claim(shop) is None
    assert outbox.merchants_due(utcnow()) == []
    assert stage.states(shop) == ["pending"]


def test_a_resting_connection_is_left_alone_until_its_time(shop: int) -> None:
    stage.record(shop, "a")
    stage.change_connection(shop, paused_until=utcnow() + timedelta(seconds=20))
    assert stage.claim(shop, after=19) is None
    assert outbox.merchants_due(utcnow() + timedelta(seconds=19)) == []
    assert outbox.merchants_due(utcnow() + timedelta(seconds=21)) == [shop]
    assert event_ids(stage.claim(shop, after=21)) == ["a"]


def test_after_failures_in_a_row_one_event_goes_at_a_time(shop: int) -> None:
    stage.record_many(shop, 30)
    stage.change_connection(shop, failures_in_a_row=outbox.FAILURES_BEFORE_PROBING)
    batch = stage.must_claim(shop, Mode.BULK)
    assert (batch.mode, event_ids(batch)) == (Mode.SINGLE, ["e0"])


def test_the_least_recently_served_merchant_is_served_first(shop: int) -> None:
    now = utcnow()
    shops = [shop]
    for account in ("two", "three", "idle"):
        shops.append(stage.make_merchant())
        stage.connect(shops[-1], account)
        stage.switch_on(shops[-1])
    for each in shops[:3]:
        stage.record(each, "a", "b")
    stage.change_connection(shops[0], served_at=now)
    stage.change_connection(shops[1], served_at=now - timedelta(minutes=1))
    assert outbox.merchants_due(utcnow()) == [shops[2], shops[1], shops[0]]
    with transaction():
        batch = outbox.claim(shops[2], Mode.SINGLE, utcnow(), stage.LEASE)
        assert batch is not None
        outbox.release(batch, [parcel.id for parcel in batch.parcels], utcnow())
    db.session.rollback()
    assert outbox.merchants_due(utcnow()) == [shops[1], shops[0], shops[2]]


# --- however long the outbox is ------------------------------------------------------------------


def test_statistics_of_an_empty_outbox_have_nobody_read_all_that_waits(shop: int) -> None:
    stage.record_many(shop, 600)
    stage.settle(stage.must_claim(shop, Mode.BULK), stage.answer(202))
    with transaction():
        db.session.execute(text("ANALYZE"))
    stage.record(shop, *(told(f"later-{number}", f"c{number}@example.com") for number in range(60)))
    plans = _plans(shop)
    assert len(plans) == 3
    assert all("ix_deliveries_unsettled" in plan for plan in plans[:2]), "what is in the way is sought by its customer"
    assert "ix_deliveries_pending" not in plans[2], "what is settled is sought by its ids"


def _plans(shop: int) -> list[str]:
    """How the database goes about looking for what is due, claiming it, and settling it."""
    explain = "EXPLAIN QUERY PLAN" if db.engine.dialect.name == "sqlite" else "EXPLAIN"
    plans = []

    def note(connection: Connection, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith(("SELECT deliveries", "UPDATE deliveries")):
            rows = connection.exec_driver_sql(f"{explain} {statement}", parameters)
            plans.append("\n".join(str(row) for row in rows))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        _mode(shop)
        stage.settle(stage.must_claim(shop, Mode.BULK), stage.answer(202))
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    return plans
