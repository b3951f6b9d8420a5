"""The status panel's figures, that they are the merchant's own, and that they cost the same however much there is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import event, update

from portal.db import db, forget_last_id, transaction, utcnow
from portal.models import Connection, ConnectionState, Delivery, Module
from portal.services import activity, counting, events, last_hour, modules, status, upkeep
from portal.services.counting import Counts
from portal.services.last_hour import Rates
from portal.services.outbox import Mode
from tests.portal.services import stage
from tests.portal.services.stage import answer, told

NOON = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)


@contextmanager
def _queries() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    yield seen
    event.remove(db.engine, "before_cursor_execute", note)


def _count(merchant_id: int, at: datetime, **counts: int) -> None:
    with transaction():
        counting.add(merchant_id, at, Counts(**counts))


def test_a_merchant_without_anything_has_a_panel(lone: int) -> None:
    panel = status.panel(lone, utcnow())
    assert (panel.connection, panel.events_on, panel.segments_on) == (None, False, False)
    assert (panel.waiting, panel.failed, panel.delivered_today, panel.rates) == (0, 0, 0, Rates(0, 0, 0))
    assert (panel.lag_p50, panel.lag_p95, panel.oldest_waiting_seconds) == (None, None, None)
    assert (panel.budget_free, panel.running, panel.problems, panel.caught_up) == (1.0, False, [], None)
    assert (panel.workers, panel.workers_seen_seconds, panel.ticker_seen_seconds) == (0, None, None)
    assert [minute.delivered + minute.failed for minute in panel.minutes] == [0] * 60


def test_the_panel_counts_what_waits_failed_and_was_delivered(shop: int) -> None:
    stage.record_many(shop, 5)
    batch = stage.must_claim(shop)
    stage.settle(batch, answer(202), first=2)
    stage.settle(stage.Batch(shop, batch.lease, Mode.SINGLE, batch.parcels[2:3]), answer(400, '{"errors": []}'))
    now = utcnow()
    panel = status.panel(shop, now)
    assert (panel.waiting, panel.waiting_more, panel.failed, panel.failed_more) == (2, False, 1, False)
    assert (panel.delivered_today, panel.minutes[-1].delivered, panel.minutes[-1].failed) == (2, 2, 1)
    passed = 4 + (now.second + now.microsecond / 1e6) / 60
    assert panel.rates == Rates(5 / 5, pytest.approx(2 / passed), pytest.approx(1 / passed))
    assert (panel.running, panel.events_on) == (True, True)
    assert panel.lag_p50 is not None
    assert panel.lag_p95 is not None
    assert 0 < panel.lag_p50 <= panel.lag_p95 <= 5


def test_a_rush_is_counted_up_to_a_bound_and_its_rate_still_told(shop: int, monkeypatch: pytest.MonkeyPatch) -> None:
    now = utcnow()
    for ago in (40, 30, 20, 10):
        with time_machine.travel(now - timedelta(seconds=ago)):
            forget_last_id()
            stage.record(shop, f"event-{ago}")
    monkeypatch.setattr(last_hour, "COUNT_UP_TO", 3)  # of customers created too
    received = status.panel(shop, now).rates.received
    assert 3 / 40 * 60 <= received <= 3 / 10 * 60


def test_figures_of_another_merchant_are_nobody_elses(shop: int) -> None:
    stage.record_many(shop, 3)
    stage.settle(stage.must_claim(shop), answer(400), first=1)
    other = stage.make_merchant()
    panel = status.panel(other, utcnow())
    assert (panel.waiting, panel.failed, panel.budget_free, panel.problems) == (0, 0, 1.0, [])
    assert (status.home(other, utcnow()).customers, status.home(other, utcnow()).today) == (0, [])


def test_the_chart_shows_the_last_hour_minute_by_minute(lone: int) -> None:
    for ago, delivered in ((0, 7), (1, 3), (59, 2), (60, 100), (61, 100)):
        _count(lone, NOON - timedelta(minutes=ago), delivered=delivered)
    minutes = status.panel(lone, NOON).minutes
    assert len(minutes) == 60
    assert (minutes[-1].at, minutes[0].at) == (NOON.replace(second=0), NOON.replace(second=0) - timedelta(minutes=59))
    assert [minute.delivered for minute in minutes] == [2] + [0] * 57 + [3, 7]


@pytest.mark.parametrize(
    ("zone", "today"), [("UTC", 5 + 3), ("Europe/Copenhagen", 5 + 3 + 4), ("America/Los_Angeles", 5), ("Asia/Tokyo", 0)]
)
def test_today_begins_at_the_merchants_midnight(app: object, zone: str, today: int) -> None:
    with app.app_context():  # type: ignore[attr-defined]
        merchant = stage.make_merchant(zone)
        now = datetime(2026, 11, 23, 14, 59, tzinfo=UTC)  # in Tokyo it is a minute to midnight
        for at, delivered in (("23T08:10", 5), ("23T00:10", 3), ("22T23:10", 4), ("22T08:10", 2)):
            _count(merchant, datetime.fromisoformat(f"2026-11-{at}:00+00:00"), delivered=delivered)
        assert (
            status.panel(merchant, now + timedelta(minutes=2 if zone == "Asia/Tokyo" else 0)).delivered_today == today
        )


def test_home_counts_todays_events_by_kind(shop: int) -> None:
    with time_machine.travel(utcnow() - timedelta(days=2)):
        stage.record(shop, "before")
    now = utcnow()
    stage.record(shop, *(told(each, f"{each}@example.com", occurred_at=now) for each in ("ada", "b")))
    stage.record(shop, told("c", type="card_opened", occurred_at=now))
    home = status.home(shop, utcnow())
    assert [(entry.type, count) for entry, count in home.today] == [("card_opened", 1), ("balance_changed", 2)]
    assert (home.customers, home.customers_more, home.today_more) == (2, False, False)


def test_a_minute_that_has_only_begun_does_not_lower_the_rates(lone: int) -> None:
    for ago, delivered in enumerate((5, 10, 10, 10, 10, 70)):
        _count(lone, NOON - timedelta(minutes=ago), delivered=delivered, failed=delivered // 5)
    rates = status.panel(lone, NOON).rates
    assert (rates.delivered, rates.failed) == (10, 2)


def test_history_that_comes_in_today_is_not_of_today(shop: int) -> None:
    past = utcnow() - timedelta(days=40)
    with transaction():
        events.record(shop, [told("old", occurred_at=past), told("older", occurred_at=past)], history=True)
    stage.record(shop, told("new", occurred_at=utcnow()))
    home = status.home(shop, utcnow())
    assert [(entry.type, count) for entry, count in home.today] == [("balance_changed", 1)]


def test_coming_in_is_what_is_to_be_sent(shop: int) -> None:
    stage.record(shop, "a")
    with transaction():
        modules.switch(shop, Module.EVENTS, False, stage.ACTOR)
    stage.record(shop, "b", "c")
    assert status.panel(shop, utcnow()).rates.received == 1 / last_hour.RECENT_MINUTES


def test_the_oldest_waiting_event_has_an_age(shop: int) -> None:
    stage.record(shop, "a", "b")
    assert status.panel(shop, utcnow() + timedelta(seconds=90)).oldest_waiting_seconds == pytest.approx(90, abs=5)


def test_the_budget_is_what_the_tightest_limit_leaves(shop: int) -> None:
    stage.record_many(shop, 20)
    batch = stage.must_claim(shop, Mode.BULK)
    bulk = answer(202)
    bulk = type(bulk)(**{**bulk.__dict__, "path": "/api/event-bulk-create-jobs"})
    for _ in range(15):
        stage.settle(batch, bulk)
    assert status.panel(shop, utcnow()).budget_free == pytest.approx(1 - 15 / 150)
    assert status.panel(shop, utcnow() + timedelta(seconds=61)).budget_free == 1.0


def test_failures_with_the_same_reason_are_one_problem(shop: int) -> None:
    said = '{"errors": [{"detail": "Invalid phone number."}]}'
    for number, body in enumerate((said, said, "{}")):
        stage.record(shop, told(f"e{number}", f"{number}@example.com"))
        stage.settle(stage.must_claim(shop), answer(400, body))
    problems = status.panel(shop, utcnow()).problems
    assert [(problem.count, problem.filter) for problem in problems] == [
        (2, {"state": "failed"}),
        (1, {"state": "failed"}),
    ]
    assert problems[0].text == "Phone number not valid for Klaviyo"
    assert problems[0].remedy == "Correct the customer's phone number, then try again."


def test_a_rest_is_shown_while_it_lasts(shop: int) -> None:
    until = utcnow() + timedelta(seconds=30)
    stage.change_connection(shop, paused_until=until, pause_reason="Klaviyo asked us to slow down")
    panel = status.panel(shop, utcnow())
    assert (panel.paused_until, panel.pause_reason) == (until, "Klaviyo asked us to slow down")
    assert status.panel(shop, until + timedelta(seconds=1)).paused_until is None


def test_a_period_that_was_caught_up_is_shown_for_a_day(shop: int) -> None:
    stage.change_connection(shop, state=ConnectionState.RECONNECT, broken_at=utcnow() - timedelta(hours=3))
    stage.connect(shop)
    caught_up = status.panel(shop, utcnow()).caught_up
    assert caught_up is not None
    assert caught_up[1] - caught_up[0] == pytest.approx(timedelta(hours=3), abs=timedelta(minutes=1))
    assert status.panel(shop, utcnow() + timedelta(hours=25)).caught_up is None


def test_heartbeats_tell_who_is_alive(lone: int) -> None:
    with transaction():
        for name, kind, ago in (("w1", "worker", 1), ("w2", "worker", 29), ("w3", "worker", 300), ("t", "ticker", 4)):
            upkeep.beat(name, kind, NOON - timedelta(seconds=ago))
    panel = status.panel(lone, NOON)
    assert (panel.workers, panel.workers_seen_seconds, panel.ticker_seen_seconds) == (2, 1, 4)


def test_modules_and_segments_are_counted(shop: int) -> None:
    stage.switch_on(shop, Module.SEGMENTS)
    panel = status.panel(shop, utcnow())
    assert (panel.segments_on, panel.segments_selected, panel.segments_total) == (True, 0, 0)


def _cost(shop: int) -> dict[str, int]:
    looks = {
        "panel": lambda: status.panel(shop, utcnow()),
        "home": lambda: status.home(shop, utcnow()),
        "log": lambda: activity.page(shop),
        "failed": lambda: activity.page(shop, state="failed"),
        "customer": lambda: activity.page(shop, customer="c1@example.com"),
    }
    costs = {}
    for name, look in looks.items():
        db.session.rollback()
        db.session.expunge_all()
        with _queries() as queries:
            look()
        costs[name] = len([query for query in queries if not query.startswith("BEGIN")])
    return costs


def test_a_look_costs_as_many_queries_with_thousands_of_rows_as_with_none(shop: int) -> None:
    before = _cost(shop)
    stage.record_many(shop, 3000, customers=700)
    with transaction():
        db.session.execute(update(Delivery).where(Delivery.id % 3 == 0).values(state="dead", reason="no"))
        db.session.execute(update(Connection).values(served_at=utcnow()))
    assert _cost(shop) == before
    assert max(before.values()) <= 25


def test_counting_stops_where_it_would_become_slow(shop: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.record_many(shop, 12, customers=12)
    monkeypatch.setattr(status, "COUNT_UP_TO", 10)
    panel, home = status.panel(shop, utcnow()), status.home(shop, utcnow())
    assert (panel.waiting, panel.waiting_more) == (10, True)
    assert (home.customers, home.customers_more, home.today_more) == (10, True, True)
