"""Imports of history, turn by turn in this process, with the sandbox's Klaviyo at the other end."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import uploads
from portal.db import db, transaction, utcnow
from portal.errors import ConflictError, ConnectingError, InvalidError
from portal.jobs import imports as jobs
from portal.models import Customer, Delivery, ErasedIdentifier, HistoryImport, Programme, Tier
from portal.services import erasing, forgotten, importing, imports, unsent
from portal.services.customers import Identifiers
from portal.services.import_progress import progress_of
from tests import factories
from tests.factories import ACTOR, Shop
from tests.klaviyo_account import Sandbox
from tests.portal.jobs import history
from tests.portal.jobs.history import CSV, purchase


def test_a_file_is_checked_and_counted_before_anything_is_imported(app: Flask, connected: Shop) -> None:
    import_id = history.hand_in(app, connected, CSV)
    work = history.work_on(app, import_id)
    assert (work.state, work.found, work.refused, work.columns_ignored) == ("ready", 3, 2, "colour")
    assert work.first_at is not None
    assert work.first_at.isoformat() == "2025-01-01T09:00:00+00:00"
    assert work.last_at is not None
    assert work.last_at.isoformat() == "2025-03-15T08:30:00+00:00"
    assert [line for line, _ in history.problems(app, import_id)] == [4, 5]
    assert "Line 2 has the same id" in history.problems(app, import_id)[1][1]
    with app.app_context():
        progress = progress_of(work)
        assert progress.seconds is not None
        assert progress.seconds < 1
        assert db.session.scalars(select(Delivery)).all() == []


def test_every_good_row_is_at_klaviyo_once_in_order_of_time_and_sets_off_no_flow(
    app: Flask, connected: Shop, sandbox: Sandbox
) -> None:
    work = history.run(app, connected, CSV)
    assert (work.state, work.done, work.known) == ("finished", 3, 0)
    events = sandbox.events()
    assert [event["unique_id"] for event in events] == ["o4", "o1", "o2"]
    assert {event["backfill"] for event in events} == {True}
    assert history.customer(app, connected, "ada@example.com").balance == 2_500
    with app.app_context():
        progress = progress_of(work)
    assert (progress.delivered, progress.waiting, progress.moves) == (3, 0, False)
    assert history.left_of(app, work.id) == (0, 0), "the file holds personal data"


def test_a_file_that_is_imported_again_changes_nothing(app: Flask, connected: Shop, sandbox: Sandbox) -> None:
    rows = history.json_lines([purchase(number, number % 3) for number in range(20)])
    history.run(app, connected, rows)
    again = history.run(app, connected, rows)
    assert (again.done, again.known, again.promised) == (20, 20, 0)
    assert len(sandbox.event_ids()) == len(set(sandbox.event_ids())) == 20
    assert history.customer(app, connected, "c0@example.com").balance == 7_000


def test_tiers_are_reached_in_the_order_in_which_things_happened(app: Flask, connected: Shop, sandbox: Sandbox) -> None:
    with app.app_context(), transaction():
        programme = db.session.get_one(Programme, connected.id)
        for name, threshold in (("Silver", 1_000), ("Gold", 3_000)):
            db.session.add(Tier(merchant_id=connected.id, name=name, threshold=threshold))
        programme.version += 1
    rows = [purchase(number, "x", f"2025-0{9 - number}-01") for number in range(4)]
    history.run(app, connected, history.json_lines(rows))
    told = [event for event in sandbox.events() if event["metric"] == "Tier upgraded"]
    assert [(event["properties"]["tier"], event["time"][:7]) for event in told] == [
        ("Silver", "2025-06"),
        ("Gold", "2025-08"),
    ]
    found = history.customer(app, connected, "cx@example.com")
    assert found.member_since.isoformat()[:7] == "2025-06"


def test_a_stated_balance_of_the_past_does_not_undo_what_came_since(
    app: Flask, client: FlaskClient, connected: Shop
) -> None:
    factories.tell_all(client, connected, [factories.event("live", "cx@example.com", properties={"change": 50})])
    past = purchase(1, "x", properties={"change": 10, "balance": 10, "previous_balance": 0})
    only_balances = purchase(2, "x", "2025-03-15", properties={"balance": 7, "previous_balance": 10})
    history.run(app, connected, history.json_lines([past, only_balances]))
    assert history.customer(app, connected, "cx@example.com").balance == 5_700


def test_what_cannot_be_recorded_is_listed_too(app: Flask, connected: Shop) -> None:
    rows = [
        purchase(1, 1),
        purchase(2, 1, customer={"id": "cus_4711"}),
        purchase(3, 1, type="reward_redeemed_online", properties={"cost": 5_000}),
    ]
    work = history.run(app, connected, history.json_lines(rows))
    assert (work.done, work.refused) == (3, 2)
    reasons = dict(history.problems(app, work.id))
    assert "no customer with this id" in reasons[2]
    assert "points" in reasons[3]


# --- pausing, cancelling, failing ------------------------------------------------------------------


def test_a_paused_import_stands_still_and_goes_on_where_it_was(
    app: Flask, connected: Shop, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "ROWS_AT_ONCE", 4)
    import_id = history.hand_in(app, connected, history.json_lines([purchase(number, number) for number in range(10)]))
    history.work_on(app, import_id)
    history.start(app, connected, import_id)
    monkeypatch.setattr(jobs, "TURN_SECONDS", -1.0)
    with app.app_context():
        turn = importing.take(import_id, utcnow(), 60)
        db.session.commit()
        assert turn is not None
        jobs._step(turn, importing.look(turn) or HistoryImport())
        with transaction():
            imports.pause(connected.id, import_id, ACTOR)
        assert jobs._record(turn, db.session.get_one(HistoryImport, import_id)) is jobs.Step.DONE
        with transaction():
            assert importing.release(turn, utcnow()) is False
    assert (history.look(app, import_id).done, history.look(app, import_id).due_at) == (4, None)
    monkeypatch.undo()
    with app.app_context(), transaction():
        imports.resume(connected.id, import_id, ACTOR)
    assert history.work_on(app, import_id).done == 10
    history.drain(app, connected)
    assert len(sandbox.event_ids()) == 10


def test_a_cancelled_import_keeps_what_was_imported_and_removes_the_rest(app: Flask, connected: Shop) -> None:
    import_id = history.hand_in(app, connected, CSV)
    history.work_on(app, import_id)
    with app.app_context(), transaction():
        imports.cancel(connected.id, import_id, ACTOR)
    work = history.work_on(app, import_id)
    assert (work.state, history.left_of(app, import_id)) == ("cancelled", (0, 0))
    assert work.due_at is None
    with app.app_context(), pytest.raises(ConflictError, match="cancelled"):
        imports.start(connected.id, import_id, ACTOR)


def test_only_one_import_runs_at_a_time(app: Flask, connected: Shop) -> None:
    first, second = (history.hand_in(app, connected, CSV) for _ in range(2))
    for import_id in (first, second):
        history.work_on(app, import_id)
    history.start(app, connected, first)
    with pytest.raises(ConflictError, match="Another import"):
        history.start(app, connected, second)


def test_without_a_connection_nothing_is_started_and_a_running_import_waits(app: Flask, connected: Shop) -> None:
    import_id = history.hand_in(app, connected, CSV)
    history.work_on(app, import_id)
    factories.switch(app, connected, on=False)
    with pytest.raises(ConnectingError, match="Switch it on"):
        history.start(app, connected, import_id)
    factories.switch(app, connected)
    history.start(app, connected, import_id)
    factories.switch(app, connected, on=False)
    work = history.work_on(app, import_id)
    assert (work.state, work.done) == ("running", 0)
    assert "Events is switched off" in str(work.reason)
    factories.switch(app, connected)
    with time_machine.travel(utcnow() + timedelta(seconds=10)):
        assert history.work_on(app, import_id).state == "finished"


def test_a_file_of_no_use_fails_with_the_reason(app: Flask, connected: Shop) -> None:
    for content, said in (
        (b"name,price\nCoffee,3\n", "no column type"),
        (b"\n \n", "no row that names its columns"),
        (b"id,type,email,occurred_at\n", "No row of the file"),
        (b'{"id": 1}\n', "No row of the file"),
    ):
        work = history.work_on(app, history.hand_in(app, connected, content))
        assert work.state == "failed"
        assert said in str(work.reason)
        assert history.left_of(app, work.id) == (0, 0)


def test_a_file_that_does_not_come_in_whole_leaves_nothing_behind(app: Flask, connected: Shop) -> None:
    class BreaksOff:
        def read(self, _size: int) -> bytes:
            raise ConnectionError("the browser went away")

    with app.app_context():
        with pytest.raises(ConnectionError):
            uploads.receive(connected.id, BreaksOff(), "x", ACTOR)
        with pytest.raises(InvalidError, match="empty"):
            uploads.receive(connected.id, io.BytesIO(), "x", ACTOR)
        assert db.session.scalars(select(HistoryImport)).all() == []


# --- from before the connection ----------------------------------------------------------------------


def test_what_was_recorded_before_the_connection_is_sent_as_history(
    app: Flask, client: FlaskClient, merchant: Shop, sandbox: Sandbox
) -> None:
    factories.tell_all(client, merchant, factories.events("early", 12, customers=3))
    factories.tell_all(client, merchant, [factories.event("nobody", customer={"external_id": "7"})])
    factories.connect(app, sandbox, merchant)
    factories.switch(app, merchant)
    with app.app_context():
        assert unsent.count(merchant.id) == 12
        with transaction():
            import_id = imports.prepare_unsent(merchant.id, ACTOR).id
    assert history.work_on(app, import_id).found == 12
    history.start(app, merchant, import_id)
    assert history.work_on(app, import_id).state == "finished"
    factories.tell_all(client, merchant, factories.events("live", 3, customers=3))
    history.drain(app, merchant)
    events = sandbox.events()
    assert [event["backfill"] for event in events] == [True] * 12 + [False] * 3
    assert {event["unique_id"] for event in events[:12]} == {f"early-{number:05}" for number in range(12)}
    assert events[0]["properties"]["change"] == 0
    with app.app_context():
        assert unsent.count(merchant.id) == 0
        with transaction():
            again = imports.prepare_unsent(merchant.id, ACTOR).id
    assert history.work_on(app, again).reason == unsent.NOTHING


# --- keeping -------------------------------------------------------------------------------------


def test_what_nobody_starts_is_called_off_and_old_imports_go(app: Flask, connected: Shop) -> None:
    import_id = history.hand_in(app, connected, CSV)
    history.work_on(app, import_id)
    now = utcnow()
    with app.app_context(), time_machine.travel(now + timedelta(days=8)):
        jobs.let_go()
    assert history.look(app, import_id).state == "cancelled"
    with time_machine.travel(now + timedelta(days=8, minutes=1)):
        history.work_on(app, import_id)
    assert history.left_of(app, import_id) == (0, 0)
    with app.app_context(), time_machine.travel(now + timedelta(days=200)):
        jobs.let_go()
        assert db.session.scalars(select(HistoryImport)).all() == []


def test_whoever_was_erased_after_the_file_came_in_does_not_come_back_with_it(app: Flask, connected: Shop) -> None:
    with app.app_context():
        ada, _ = factories.know(connected.id, [Identifiers(email=f"c{name}@example.com") for name in ("ada", "eve")])
    rows = [purchase(1, "ADA"), purchase(2, "eve"), purchase(3, "ada", "2025-03-15")]
    import_id = history.hand_in(app, connected, history.json_lines(rows))
    history.work_on(app, import_id)
    assert ada is not None
    with app.app_context(), transaction():
        erasing.erase(connected.id, ada.id, ACTOR)
    history.start(app, connected, import_id)
    ended = history.work_on(app, import_id)
    assert (ended.state, ended.refused) == ("finished", 2)
    assert history.problems(app, import_id) == [(1, forgotten.REASON), (3, forgotten.REASON)]
    with app.app_context():
        assert [each.email for each in db.session.scalars(select(Customer))] == ["ceve@example.com"]
        jobs.let_go()
        assert db.session.scalars(select(ErasedIdentifier)).all() == []
    later = history.run(app, connected, history.json_lines(rows))
    assert (later.state, later.refused, later.known) == ("finished", 0, 1), "whoever comes back later is somebody new"
