"""Settling: what each answer of Klaviyo's does to rows and connection, and that a late worker changes nothing."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal.db import db, transaction, utcnow
from portal.errors import NotFoundError
from portal.models import AuditEntry, Call, ConnectionState, Delivery, DeliveryMinute
from portal.services import connecting, counting, outbox
from portal.services.outbox import RETRY_AFTER, Mode
from tests.portal.services import stage
from tests.portal.services.stage import answer, event_ids, told


def _counted(shop: int, *names: str) -> tuple[int, ...]:
    """Over all minutes, for one may end while a test runs."""
    sums = [func.sum(getattr(DeliveryMinute, name)) for name in names]
    return tuple(db.session.execute(select(*sums).where(DeliveryMinute.merchant_id == shop)).one())


def test_a_success_delivers_the_row_and_writes_down_the_call(shop: int) -> None:
    stage.record(shop, "a")
    stage.settle(stage.must_claim(shop), answer(202))
    [row] = stage.deliveries(shop)
    [call] = db.session.scalars(select(Call))
    assert (row.state, row.lease, row.reason, row.call_ids) == ("delivered", None, None, [call.id])
    assert (call.merchant_id, call.status, call.items, call.duration_ms) == (shop, 202, 1, 12)
    lags = counting.lags_since(shop, utcnow() - timedelta(minutes=5))
    assert (*_counted(shop, "delivered"), sum(lags.values())) == (1, 1)


def test_a_late_worker_changes_nothing(shop: int) -> None:
    stage.record(shop, "a")
    late = stage.must_claim(shop)
    newer = stage.must_claim(shop, after=stage.LEASE + 1)
    for given in (answer(202), answer(400), answer(503), answer(429), answer(401)):
        stage.settle(late, given)
        [row] = stage.deliveries(shop)
        assert (row.state, row.lease, row.attempts, row.calls) == ("pending", newer.lease, 2, "")
    stage.settle(newer, answer(202))
    stage.settle(late, answer(400))
    assert stage.states(shop) == ["delivered"]
    assert _counted(shop, "delivered") == (1,)


def test_trouble_postpones_along_the_schedule_and_then_gives_up(shop: int) -> None:
    stage.record(shop, "a")
    for attempt, pause in enumerate(RETRY_AFTER, start=1):
        with transaction():
            outbox.make_due(shop, utcnow())
        stage.change_connection(shop, failures_in_a_row=0)
        before = utcnow()
        stage.settle(stage.must_claim(shop), answer(503))
        [row] = stage.deliveries(shop)
        assert (row.state, row.attempts) == ("pending", attempt)
        assert 0.8 * pause - 1 <= (row.due_at - before).total_seconds() <= 1.2 * pause + 1
    with transaction():
        outbox.make_due(shop, utcnow())
    stage.change_connection(shop, failures_in_a_row=0)
    stage.settle(stage.must_claim(shop), answer(503))
    [row] = stage.deliveries(shop)
    assert row.state == "dead"
    assert row.reason is not None
    assert "almost three days" in row.reason
    assert _counted(shop, "retried", "failed") == (len(RETRY_AFTER), 1)


def test_the_schedule_ends_within_72_hours() -> None:
    assert 60 <= sum(RETRY_AFTER) / 3600 <= 72
    assert sum(RETRY_AFTER) + RETRY_AFTER[-1] > 72 * 3600


def test_being_asked_to_slow_down_is_not_a_try_and_rests_the_connection(shop: int) -> None:
    stage.record(shop, "a", "b")
    stage.settle(stage.must_claim(shop), answer(429, retry_after=7), first=1)
    row = stage.deliveries(shop)[0]
    assert (row.state, row.attempts, row.lease, len(row.call_ids)) == ("pending", 0, None, 1)
    assert stage.claim(shop, after=6) is None
    assert "a" in event_ids(stage.claim(shop, after=8))
    assert _counted(shop, "throttled") == (1,)


@pytest.mark.parametrize(("asked", "rest"), [(None, 1), (0, 1), (30, 30), (67_608, 900), (10**12, 900)])
def test_however_long_klaviyo_asks_for_the_rest_is_bounded(shop: int, asked: int | None, rest: int) -> None:
    stage.record(shop, "a")
    before = utcnow()
    stage.settle(stage.must_claim(shop), answer(429, retry_after=asked))
    until = stage.connection(shop).paused_until
    assert until is not None
    assert rest <= (until - before).total_seconds() < rest + 5


def test_a_shorter_rest_never_ends_a_longer_one(shop: int) -> None:
    stage.record_many(shop, 2)
    batch = stage.must_claim(shop)
    stage.settle(batch, answer(429, retry_after=60), first=1)
    until = stage.connection(shop).paused_until
    stage.settle(batch, answer(429, retry_after=1))
    assert stage.connection(shop).paused_until == until


def test_a_success_that_began_before_a_rest_does_not_end_it(shop: int) -> None:
    stage.record_many(shop, 3)
    batch = stage.must_claim(shop)
    stage.change_connection(shop, failures_in_a_row=1)
    stage.settle(batch, answer(429, retry_after=60), first=1)
    until = stage.connection(shop).paused_until
    stage.settle(batch, answer(202), first=2)
    assert stage.connection(shop).paused_until == until
    stage.change_connection(shop, paused_until=utcnow() - timedelta(hours=2))
    stage.record(shop, "later")
    stage.settle(stage.must_claim(shop, after=stage.LEASE + 1), answer(202))
    assert (stage.connection(shop).paused_until, stage.connection(shop).failures_in_a_row) == (None, 0)


def test_a_refusal_buries_the_event_with_its_reason(shop: int) -> None:
    stage.record(shop, "a")
    said = {"errors": [{"detail": "Invalid phone number.", "source": {"pointer": "/data/x/phone_number"}}]}
    stage.settle(stage.must_claim(shop), answer(400, json.dumps(said)))
    [row] = stage.deliveries(shop)
    assert row.state == "dead"
    assert row.reason is not None
    assert row.reason.startswith("Phone number not valid for Klaviyo.")
    assert stage.connection(shop).is_connected
    assert _counted(shop, "failed") == (1,)


def test_a_reason_that_no_database_takes_is_written_down_without_it(shop: int) -> None:
    stage.record(shop, "a")
    said = '{"errors": [{"detail": "odd\\u0000 \\ud800 ' + "x" * 3000 + '"}]}'
    stage.settle(stage.must_claim(shop), answer(400, said))
    [row] = stage.deliveries(shop)
    assert row.state == "dead"
    assert row.reason is not None
    assert row.reason.startswith("Klaviyo refused this event: odd ? xxx")


def test_an_answer_that_is_no_text_is_kept_as_far_as_it_is_one(shop: int) -> None:
    stage.record(shop, "a")
    stage.settle(stage.must_claim(shop), answer(500, "\x00<html>" + "y" * 9000, content_type="text/html"))
    [call] = db.session.scalars(select(Call))
    assert call.answer.startswith("<html>yyy")
    assert len(call.answer) <= 2000


@pytest.mark.parametrize("status", [401, 403])
def test_lost_access_breaks_the_connection_and_keeps_every_row(shop: int, status: int) -> None:
    stage.record(shop, "a", "b")
    stage.settle(stage.must_claim(shop), answer(status, "{}"))
    assert stage.states(shop) == ["pending", "pending"]
    assert [row.attempts for row in stage.deliveries(shop)] == [0, 0]
    connection = stage.connection(shop)
    assert connection.state == ConnectionState.RECONNECT
    assert connection.broken_reason
    lost = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "Klaviyo access lost")).all()
    assert len(lost) == 1, "the audit log tells once"


# --- the breaker ---------------------------------------------------------------------------------


def test_after_three_failed_calls_the_connection_rests_longer_each_time(shop: int) -> None:
    stage.record_many(shop, 60)
    rests = []
    for failure in range(10):
        stage.change_connection(shop, paused_until=None)
        before = utcnow()
        stage.settle(stage.must_claim(shop), answer(502), first=1)
        until = stage.connection(shop).paused_until
        rests.append((until - before).total_seconds() if until else 0)
        with transaction():
            outbox.make_due(shop, utcnow() + timedelta(seconds=1))
            db.session.execute(Delivery.__table__.update().values(lease=None, due_at=utcnow() - timedelta(seconds=1)))  # type: ignore[attr-defined]
        assert stage.connection(shop).failures_in_a_row == failure + 1
    assert rests[:2] == [0, 0]
    assert all(24 <= rest / 2**doubled <= 37 for doubled, rest in enumerate(rests[2:6]))
    assert all(720 <= rest <= 1100 for rest in rests[8:])


def test_a_success_ends_the_breaker(shop: int) -> None:
    stage.record_many(shop, 5)
    stage.change_connection(shop, failures_in_a_row=5)
    stage.settle(stage.must_claim(shop), answer(202))
    assert stage.connection(shop).failures_in_a_row == 0
    assert len(stage.must_claim(shop).parcels) == 4


# --- refused bulk requests -----------------------------------------------------------------------


def _pointing(*pointers: str) -> str:
    return json.dumps({"errors": [{"detail": "Invalid.", "source": {"pointer": pointer}} for pointer in pointers]})


_ENTRY = "/data/attributes/events-bulk-create/data/{}/attributes"


def _attempts(shop: int) -> dict[str, int]:
    return {row.event.event_id: row.attempts for row in stage.deliveries(shop)}


def test_of_a_refused_bulk_request_those_at_fault_go_alone_and_the_others_again(shop: int) -> None:
    stage.record_many(shop, 4)
    stage.settle(stage.must_claim(shop, Mode.BULK), answer(400, _pointing(_ENTRY.format(2) + "/profile")))
    assert _attempts(shop) == {"e0": 0, "e1": 0, "e2": 1, "e3": 0}
    assert event_ids(stage.claim(shop, Mode.BULK)) == ["e0", "e1", "e3"]
    assert event_ids(stage.claim(shop, Mode.SINGLE)) == ["e2"]


def test_a_pointer_to_one_event_of_a_profile_names_only_that_one(shop: int) -> None:
    stage.record_many(shop, 6, customers=2)  # c0: e0 e2 e4, c1: e1 e3 e5
    pointer = _ENTRY.format(1) + "/events/data/2/attributes/time"
    stage.settle(stage.must_claim(shop, Mode.BULK), answer(400, _pointing(pointer)))
    assert _attempts(shop) == {"e0": 0, "e1": 0, "e2": 0, "e3": 0, "e4": 0, "e5": 1}


def test_a_pointer_to_a_profile_names_all_its_events(shop: int) -> None:
    stage.record_many(shop, 4, customers=2)
    stage.settle(stage.must_claim(shop, Mode.BULK), answer(400, _pointing(_ENTRY.format(0) + "/profile/data/email")))
    assert _attempts(shop) == {"e0": 1, "e1": 0, "e2": 1, "e3": 0}


@pytest.mark.parametrize("body", ["", "[]", '{"errors": "no"}', _pointing("/data"), _pointing(_ENTRY.format(99))])
def test_where_nothing_is_named_each_goes_alone(shop: int, body: str) -> None:
    stage.record_many(shop, 3)
    stage.settle(stage.must_claim(shop, Mode.BULK), answer(400, body))
    assert _attempts(shop) == {"e0": 1, "e1": 1, "e2": 1}
    assert stage.claim(shop, Mode.BULK) is None
    assert event_ids(stage.claim(shop, Mode.SINGLE)) == ["e0", "e1", "e2"]


# --- by hand, and in bulk ------------------------------------------------------------------------


def _bury(shop: int, *ids: str) -> None:
    stage.record(shop, *ids)
    for _ in ids:
        batch = stage.must_claim(shop)
        stage.settle(batch, answer(400), first=1)
        with transaction():
            outbox.release(batch, [parcel.id for parcel in batch.parcels[1:]], utcnow())


def test_what_failed_can_be_tried_again_by_hand(shop: int) -> None:
    _bury(shop, "a", "b")
    a, b = stage.deliveries(shop)
    with transaction():
        outbox.retry(shop, b.id)
    assert stage.states(shop) == ["dead", "pending"]
    assert event_ids(stage.claim(shop, Mode.BULK)) == [], "it may have arrived before: never in bulk"
    batch = stage.must_claim(shop)
    assert event_ids(batch) == ["b"]
    stage.settle(batch, answer(202))
    assert stage.states(shop) == ["dead", "delivered"]
    assert a.state == "dead"
    assert [row.tries for row in stage.deliveries(shop)] == [1, 2], "every try counts, also those before"


@pytest.mark.parametrize("state", ["pending", "delivered", "another merchant's", "unknown"])
def test_only_what_failed_here_can_be_tried_again(shop: int, state: str) -> None:
    if state == "another merchant's":
        _bury(shop, "a")
    else:
        stage.record(shop, "a")
    if state == "delivered":
        stage.settle(stage.must_claim(shop), answer(202))
    asking = stage.make_merchant() if state == "another merchant's" else shop
    row_id = 1 if state == "unknown" else stage.deliveries(shop)[0].id
    before = stage.states(shop)
    with pytest.raises(NotFoundError), transaction():
        outbox.retry(asking, row_id)
    assert stage.states(shop) == before


def test_everything_that_failed_since_a_time_can_be_tried_again(shop: int) -> None:
    _bury(shop, "old")
    stage.change_connection(shop, failures_in_a_row=0)
    since = utcnow()
    _bury(shop, "new", "newer")
    other = stage.make_merchant()
    with transaction():
        assert outbox.retry_since(other, since - timedelta(hours=1)) == 0
        assert outbox.retry_since(shop, since) == 2
    assert stage.states(shop) == ["dead", "pending", "pending"]


def test_reconnecting_makes_everything_due_but_what_is_under_way(shop: int) -> None:
    stage.record(shop, "under way", told("waits", "b@example.com"))
    batch = stage.must_claim(shop)
    with transaction():
        outbox.postpone(batch, batch.parcels[1:], 1, utcnow(), "trouble")
    with transaction():
        outbox.make_due(shop, utcnow())
    assert event_ids(stage.claim(shop)) == ["waits"]
    stage.settle(batch, answer(202), first=1)
    assert stage.states(shop) == ["delivered", "pending"]


def test_what_waits_is_given_up_72_hours_after_disconnecting(shop: int) -> None:
    stage.record(shop, "a")
    batch = stage.must_claim(shop)
    with transaction():
        connecting.disconnect(shop, stage.ACTOR)
    for hours, given_up in ((71, 0), (73, 1)):
        with transaction():
            assert outbox.give_up_disconnected(utcnow() + timedelta(hours=hours)) == given_up
    stage.settle(batch, answer(500))
    [row] = stage.deliveries(shop)
    assert (row.state, row.reason) == ("dead", "Klaviyo was disconnected for more than 72 hours.")


def test_what_had_waited_for_long_before_is_not_given_up_at_once(shop: int) -> None:
    stage.record(shop, "a")
    stage.change_connection(shop, state=ConnectionState.RECONNECT)
    with transaction():
        db.session.execute(Delivery.__table__.update().values(created_at=utcnow() - timedelta(days=5)))  # type: ignore[attr-defined]
        connecting.disconnect(shop, stage.ACTOR)
    with transaction():
        assert outbox.give_up_disconnected(utcnow()) == 0
    assert stage.states(shop) == ["pending"]


def test_what_waits_for_a_reconnect_is_never_given_up(shop: int) -> None:
    stage.record(shop, "a")
    stage.change_connection(shop, state=ConnectionState.RECONNECT, broken_at=utcnow())
    with transaction():
        assert outbox.give_up_disconnected(utcnow() + timedelta(days=60)) == 0
