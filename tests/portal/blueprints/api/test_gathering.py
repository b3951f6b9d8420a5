"""Single events that arrive together share a transaction, and each still has an answer of its own."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from portal.blueprints.api.gathering import Gathering
from portal.errors import UnavailableError
from portal.services.events import ACCEPTED, DUPLICATE, Outcome
from portal.services.recording import Told
from tests.portal.services.stage import told
from tests.waiting import eventually

SHOP, OTHER = 1, 2


class _Store:
    """Records what it is given; the first call waits until it is let go, so that others gather behind it."""

    def __init__(self, poison: str | None = None) -> None:
        self.calls: list[tuple[int, list[str]]] = []
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.poison = poison

    def record(self, merchant_id: int, events: Sequence[Told]) -> list[Outcome]:
        self.calls.append((merchant_id, [event.event_id for event in events]))
        if len(self.calls) == 1:
            self.entered.set()
            assert self.go_on.wait(10)
        if self.poison in {event.event_id for event in events}:
            raise UnavailableError("not now")
        return [DUPLICATE if event.event_id.startswith("again") else ACCEPTED for event in events]


def _send(store: _Store, first: tuple[int, str], *others: tuple[int, str]) -> list[Future[Outcome]]:
    """The first is under way while the others arrive, one after the other."""
    gathering = Gathering(store.record)
    pool = ThreadPoolExecutor(1 + len(others))
    futures = [pool.submit(gathering.record, first[0], told(first[1]))]
    assert store.entered.wait(10)
    for number, (merchant_id, event_id) in enumerate(others, start=1):
        futures.append(pool.submit(gathering.record, merchant_id, told(event_id)))
        eventually(lambda expected=number: len(gathering._waiting) == expected)
    store.go_on.set()
    pool.shutdown()
    return futures


def test_one_that_is_alone_is_written_at_once() -> None:
    store = _Store()
    store.go_on.set()
    assert Gathering(store.record).record(SHOP, told("a")) is ACCEPTED
    assert store.calls == [(SHOP, ["a"])]


def test_those_that_arrive_meanwhile_are_written_together_in_their_order() -> None:
    store = _Store()
    futures = _send(store, (SHOP, "a"), (SHOP, "b"), (SHOP, "again"), (SHOP, "c"))
    assert [future.result() for future in futures] == [
        ACCEPTED,
        ACCEPTED,
        DUPLICATE,
        ACCEPTED,
    ]
    assert store.calls == [(SHOP, ["a"]), (SHOP, ["b", "again", "c"])]


def test_where_several_came_together_the_next_writer_waits_for_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.blueprints.api.gathering.PATIENCE_SECONDS", 10)
    store = _Store()
    gathering = Gathering(store.record)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(gathering.record, SHOP, told("a"))
        assert store.entered.wait(10)
        others = [pool.submit(gathering.record, SHOP, told("b"))]
        eventually(lambda: len(gathering._waiting) == 1)
        store.go_on.set()
        assert first.result() is ACCEPTED
        others.append(pool.submit(gathering.record, SHOP, told("c")))
        assert {other.result() for other in others} == {ACCEPTED}
    assert store.calls == [(SHOP, ["a"]), (SHOP, ["b", "c"])]


def test_two_merchants_events_are_never_written_together() -> None:
    store = _Store()
    futures = _send(store, (SHOP, "a"), (SHOP, "b"), (OTHER, "x"), (SHOP, "c"), (OTHER, "y"))
    assert {future.result() for future in futures} == {ACCEPTED}
    assert sorted(store.calls[1:]) == [(SHOP, ["b", "c"]), (OTHER, ["x", "y"])]


def test_one_that_cannot_be_written_does_not_take_the_others_with_it() -> None:
    store = _Store(poison="bad")
    first, good, bad, fine = _send(store, (SHOP, "a"), (SHOP, "good"), (SHOP, "bad"), (SHOP, "fine"))
    assert [first.result(), good.result(), fine.result()] == [ACCEPTED] * 3
    with pytest.raises(UnavailableError):
        bad.result()
    assert store.calls[1] == (SHOP, ["good", "bad", "fine"])
    assert sorted(store.calls[2:]) == [(SHOP, ["bad"]), (SHOP, ["fine"]), (SHOP, ["good"])]
