"""Requests that tell the same events or customers at the same moment: every one is answered, each event is stored once."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.config import Settings
from portal.db import db
from portal.models import Customer, Delivery, Event
from tests import factories
from tests.factories import Shop
from tests.waiting import eventually


def _count(app: Flask, model: type) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def _tell_at_once(app: Flask, shop: Shop, bodies: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Each body in a thread of its own; the results of each."""

    def tell(body: dict[str, Any]) -> list[dict[str, Any]]:
        headers = {"Authorization": f"Bearer {shop.api_key}"}
        answer = app.test_client().post("/v1/events", json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        return list(answer.get_json()["results"])

    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(tell, bodies))


def test_the_same_event_from_many_requests_is_one_row(app: Flask, connected: Shop) -> None:
    results = _tell_at_once(app, connected, [factories.event("a")] * 8)
    assert Counter(result["status"] for [result] in results) == {"accepted": 1, "duplicate": 7}
    # Beside it, that there is a new customer.
    assert [_count(app, model) for model in (Event, Delivery, Customer)] == [2, 2, 1]


def test_new_events_of_one_new_customer_make_one_customer(app: Flask, connected: Shop) -> None:
    results = _tell_at_once(app, connected, [factories.event(f"e{n}") for n in range(8)])
    assert Counter(result["status"] for [result] in results) == {"accepted": 8}
    assert [_count(app, model) for model in (Event, Customer)] == [8 + 1, 1]


def test_shuffled_batches_that_overlap_are_all_recorded_once(app: Flask, connected: Shop) -> None:
    everything = factories.events("e", 120, customers=40)
    shuffler = random.Random(7)
    results = _tell_at_once(app, connected, [{"events": shuffler.sample(everything, 120)} for _ in range(6)])
    statuses = Counter(result["status"] for batch in results for result in batch)
    assert statuses == {"accepted": 120, "duplicate": 5 * 120}
    assert [_count(app, model) for model in (Event, Delivery, Customer)] == [120 + 40, 120 + 40, 40]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True, scope="module")
def test_a_request_that_deadlocks_with_another_is_repeated(app: Flask, connected: Shop, settings: Settings) -> None:
    assert _tell_at_once(app, connected, [factories.event("first")])
    with psycopg.connect(settings.database_url.replace("+psycopg", "")) as other:
        copy_under("b", other)
        with ThreadPoolExecutor(1) as pool:
            told = pool.submit(
                _tell_at_once, app, connected, [{"events": [factories.event("a"), factories.event("b")]}]
            )
            eventually(lambda: _waiting(settings) > 0)
            with suppress(psycopg.errors.DeadlockDetected):
                copy_under("a", other)  # waits for the request, which waits for us
            other.rollback()
            [results] = told.result()
    assert [result["status"] for result in results] == ["accepted", "accepted"]
    assert _count(app, Event) == 3 + 1


def copy_under(event_id: str, other: psycopg.Connection[tuple[Any, ...]]) -> None:
    """The first event once more under another id, by somebody who has not committed yet."""
    other.execute(
        "INSERT INTO events (id, merchant_id, event_id, type, customer_id, occurred_at, received_at, properties, digest)"
        " SELECT id + ascii(%s), merchant_id, %s, type, customer_id, occurred_at, received_at, properties, digest"
        " FROM events WHERE event_id = 'first'",
        (event_id, event_id),
    )


def _waiting(settings: Settings) -> int:
    with psycopg.connect(settings.database_url.replace("+psycopg", "")) as watcher:
        row = watcher.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
        return row[0] if row else 0
