"""Turns of an import: cut off at any point, taken up by whoever comes next, never two at once, never ahead of what is live."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask

from portal.db import transaction, utcnow
from portal.jobs import imports as jobs
from portal.jobs import schedule
from portal.services import importing
from portal.services.import_progress import progress_of
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.portal.jobs import history
from tests.portal.jobs.history import CSV, purchase


def test_whoever_comes_next_goes_on_when_a_worker_died_at_any_point(
    app: Flask, connected: Shop, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step ends in an error after its work, and with it the turn: nothing of it counts, and nothing is counted twice."""
    monkeypatch.setattr(importing, "ROWS_AT_ONCE", 5)
    monkeypatch.setattr("portal.uploads.PIECE_BYTES", 400)
    import_id = history.hand_in(
        app, connected, history.json_lines([purchase(number, number % 4) for number in range(20)])
    )
    settle_piece, settle_batch = importing.settle_piece, importing.settle_batch
    died = []

    def dying(settle: Callable[..., None]) -> Callable[..., None]:
        def settle_and_die(work: Any, what: Any) -> None:
            settle(work, what)
            if len(died) % 2 == 0:
                died.append(work.id)
                raise MemoryError("killed")
            died.append(0)

        return settle_and_die

    monkeypatch.setattr(importing, "settle_piece", dying(settle_piece))
    monkeypatch.setattr(importing, "settle_batch", dying(settle_batch))
    started = False
    with time_machine.travel(utcnow(), tick=False) as clock:
        for _ in range(80):
            clock.shift(61)
            try:
                work = history.work_on(app, import_id)
            except MemoryError:
                continue
            if work.state == "ready":
                history.start(app, connected, import_id)
                started = True
            if work.has_ended:
                break
    assert started
    assert len([each for each in died if each]) > 8
    assert (work.state, work.found, work.done) == ("finished", 20, 20)
    factories.let_time_pass(app, connected, 80 * 61)
    history.drain(app, connected)
    assert len(sandbox.event_ids()) == len(set(sandbox.event_ids())) == 20
    assert history.customer(app, connected, "c0@example.com").balance == 5_000


def test_an_import_that_kills_every_worker_is_given_up(app: Flask, connected: Shop) -> None:
    import_id = history.hand_in(app, connected, CSV)
    with app.app_context():
        for number in range(importing.MOST_TURNS + 1):
            with transaction():
                importing.take(import_id, utcnow() + timedelta(minutes=5 * number), 60)
    work = history.look(app, import_id)
    assert (work.state, work.reason) == ("failed", importing.OUR_FAULT)


def test_two_workers_never_work_on_one_import_at_once(app: Flask, connected: Shop) -> None:
    import_id = history.hand_in(app, connected, CSV)
    with app.app_context():
        with transaction():
            first = importing.take(import_id, utcnow(), 60)
        assert first is not None
        assert jobs.take_turn(import_id) is False
        with transaction():
            second = importing.take(import_id, utcnow() + timedelta(seconds=61), 60)
            assert second is not None
            assert importing.mine(first) is None, "the lease of one who was too slow is worth nothing"


def test_the_ticker_takes_up_what_nobody_works_on(app: Flask, connected: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    import_id = history.hand_in(app, connected, CSV)
    monkeypatch.setattr("portal.queue.enqueue", lambda *_: False)  # Redis is away
    with app.app_context():
        schedule.tick()
    assert history.look(app, import_id).state == "ready"


# --- pace ----------------------------------------------------------------------------------------


def test_history_waits_while_enough_is_on_its_way(app: Flask, connected: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "ROWS_AT_ONCE", 5)
    monkeypatch.setattr(jobs, "MOST_WAITING", 10)
    monkeypatch.setattr(jobs, "TURN_SECONDS", 0.3)
    rows = history.json_lines([purchase(number, number) for number in range(40)])
    import_id = history.hand_in(app, connected, rows)
    history.work_on(app, import_id)
    history.start(app, connected, import_id)
    assert history.work_on(app, import_id, turns=2).done == 5
    history.drain(app, connected)
    assert history.work_on(app, import_id, turns=2).done == 10
    with app.app_context():
        assert progress_of(history.look(app, import_id)).waiting == 5
