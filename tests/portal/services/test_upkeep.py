"""Periodic work: what is removed, what stays, and that each task is given to one process only."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal.config import Settings
from portal.db import db, first_id_at, in_own_session, new_id, transaction, utcnow
from portal.models import (
    Call,
    Delivery,
    DeliveryMinute,
    Event,
    Heartbeat,
    LoginFailure,
    LoginSession,
    Push,
    PushSource,
    PushState,
    Unsent,
)
from portal.services import activity, upkeep
from portal.services.customers import Identifiers
from tests import factories
from tests.portal.services import stage
from tests.portal.services.stage import answer

KEEP = Settings(keep_delivered_days=30, keep_failed_days=90)


def _count(model: type) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def _prune(days: float) -> int:
    with transaction():
        return upkeep.prune(KEEP, utcnow() + timedelta(days=days))


def _one_of_each(shop: int) -> None:
    """`ok` delivered, `bad` failed, `waits` pending."""
    stage.record(shop, "ok")
    stage.settle(stage.must_claim(shop), answer(202))
    stage.record(shop, "bad")
    stage.settle(stage.must_claim(shop), answer(400))
    stage.record(shop, "waits")


@pytest.mark.parametrize(
    ("days", "left"),
    [(29, ["delivered", "dead", "pending"]), (31, ["dead", "pending"]), (89, ["dead", "pending"]), (91, ["pending"])],
)
def test_what_is_settled_is_kept_for_its_time_and_what_waits_for_ever(shop: int, days: int, left: list[str]) -> None:
    _one_of_each(shop)
    assert _prune(days) == 3 - len(left)
    assert stage.states(shop) == left
    assert _count(Event) == 3, "events stay: their ids still tell a repeat"
    assert stage.record(shop, "ok") == ["duplicate"]


def test_what_failed_is_still_told_from_what_was_delivered_when_its_details_are_gone(shop: int) -> None:
    _one_of_each(shop)
    _prune(91)
    rows = {row.event.event_id: row for row in activity.page(shop).rows}
    assert {event_id: row.state for event_id, row in rows.items()} == {
        "ok": "delivered",
        "bad": "failed",
        "waits": "waiting",
    }
    assert activity.detail(shop, rows["bad"].event.id).unsent_sentence == activity.UNSENT_SENTENCES[Unsent.GIVEN_UP]
    assert activity.detail(shop, rows["ok"].event.id).unsent_sentence == activity.PRUNED
    assert activity.page(shop, state="not_sent").rows == []


def test_only_a_bounded_number_is_removed_at_once(shop: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.record_many(shop, 5)
    stage.settle(stage.must_claim(shop), answer(202))
    monkeypatch.setattr(upkeep, "PRUNE_AT_ONCE", 2)
    assert [_prune(31) for _ in range(4)] == [2, 2, 1, 0]


def test_pushes_go_with_their_outcomes_after_90_days_but_not_a_campaigns(shop: int) -> None:
    (person,) = factories.know(shop, [Identifiers(email="ada@example.com")])
    assert person is not None
    kept = {"merchant_id": shop, "customer_id": person.id, "message": "Hello", "digest": b"", "channels": ""}
    settled = {**kept, "created_at": utcnow(), "settled_at": utcnow(), "state": PushState.DELIVERED}
    with transaction():
        db.session.add_all(Push(id=new_id(), source=source, **settled) for source in PushSource)
        waiting = {**kept, "created_at": utcnow(), "due_at": utcnow(), "state": PushState.WAITING}
        db.session.add(Push(id=new_id(), source=PushSource.API, **waiting))
    _prune(89)
    assert _count(Push) == 4
    _prune(91)
    left = select(Push.source, Push.state).order_by(Push.id)
    assert [tuple(row) for row in db.session.execute(left)] == [("campaign", "delivered"), ("api", "waiting")]


def test_calls_are_kept_as_long_as_anything_they_carried(shop: int) -> None:
    _one_of_each(shop)
    _prune(89)
    assert _count(Call) == 2
    _prune(91)
    assert _count(Call) == 0


def test_counts_heartbeats_logins_and_failures_go_when_they_are_of_no_use(lone: int) -> None:
    now = utcnow()
    with transaction():
        db.session.add_all(LoginFailure(subject="x", at=now - timedelta(hours=hours)) for hours in (1, 25))
        db.session.add_all(DeliveryMinute(merchant_id=lone, minute=now - timedelta(days=days)) for days in (7, 9))
        upkeep.beat("worker.old", "worker", now - timedelta(hours=25))
        upkeep.beat("worker.new", "worker", now)
    _prune(0)
    assert (_count(LoginFailure), _count(DeliveryMinute), _count(Heartbeat), _count(LoginSession)) == (1, 1, 1, 0)


def test_ids_tell_when_they_were_made() -> None:
    before = utcnow() - timedelta(milliseconds=1)
    made = new_id()
    assert first_id_at(before) <= made
    assert first_id_at(before - timedelta(days=1)) < first_id_at(before)
    assert made < first_id_at(utcnow() + timedelta(days=1))
    assert first_id_at(before.replace(year=1999)) == 0


# --- due times -----------------------------------------------------------------------------------


def _take(after: float = 0) -> bool:
    with transaction():
        return upkeep.take_due("prune", timedelta(minutes=10), utcnow() + timedelta(seconds=after))


def test_a_task_is_due_at_once_and_then_after_its_time(lone: int) -> None:
    assert [_take(), _take(), _take(599), _take(601), _take(602)] == [True, False, False, True, False]


def test_a_due_task_is_given_to_one_process_only(lone: int) -> None:
    together = threading.Barrier(6)

    def ask() -> bool:
        together.wait()
        return _take()

    with ThreadPoolExecutor(6) as pool:
        given = [future.result() for future in [pool.submit(in_own_session(ask)) for _ in range(6)]]
    assert given.count(True) == 1


def test_tasks_do_not_wait_for_each_other(lone: int) -> None:
    assert _take()
    with transaction():
        assert upkeep.take_due("revoke", timedelta(minutes=5), utcnow())


def test_asked_which_tasks_are_due_it_leaves_out_those_that_have_been_taken(lone: int) -> None:
    assert upkeep.due_tasks(["prune", "revoke"], utcnow()) == ["prune", "revoke"]
    assert _take()
    assert upkeep.due_tasks(["prune", "revoke"], utcnow()) == ["revoke"]
    assert upkeep.due_tasks(["prune", "revoke"], utcnow() + timedelta(seconds=601)) == ["prune", "revoke"]


def test_a_heartbeat_is_one_row_however_often_it_beats(lone: int) -> None:
    for seconds in (0, 5):
        with transaction():
            upkeep.beat("worker.a", "worker", utcnow() + timedelta(seconds=seconds))
    assert _count(Heartbeat) == 1


def test_giving_up_twice_is_harmless(shop: int) -> None:
    stage.record(shop, "a")
    for _ in range(2):
        with transaction():
            upkeep.give_up(utcnow())
    assert stage.states(shop) == ["pending"]
    assert _count(Delivery) == 1
