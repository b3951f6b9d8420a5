"""Pacing: however Klaviyo's fixed windows lie, neither of its two limits is ever exceeded."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from portal.klaviyo import limits
from portal.klaviyo.limits import EVENT, EVENT_BULK, SEGMENT, Pace, Pacer
from portal.queue import impatient
from tests.servers import RedisServer

PACES = (EVENT, EVENT_BULK, SEGMENT)
NOWHERE = "redis://127.0.0.1:9/0"


class _Clock:
    """In place of `time`, in the module under test."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@given(
    pace=st.sampled_from(PACES),
    rests=st.lists(st.floats(0, 90), max_size=6),
    phase=st.floats(0, 60),
    processes=st.integers(1, 4),
)
@settings(max_examples=25, deadline=None)
def test_no_window_of_klaviyos_sees_more_than_its_limit(
    pace: Pace, rests: list[float], phase: float, processes: int
) -> None:
    clock, granted = _Clock(), []
    patch = pytest.MonkeyPatch()
    patch.setattr(limits, "time", clock)
    pacers = [Pacer(impatient(NOWHERE), processes) for _ in range(processes)]
    try:
        for rest in (*rests, 0.0):
            clock.now += rest
            until = clock.now + 40
            while clock.now < until:  # as many as there is leave for, by everybody at once
                waits = [pacer._wait_alone("key", pace) for pacer in pacers]
                granted += [clock.now] * waits.count(0.0)
                clock.now += max(min(waits), 0.000_1) if all(waits) else 0.0
    finally:
        patch.undo()
    for window, limit in ((1.0, pace.burst), (60.0, pace.steady)):
        counts: dict[int, int] = {}
        for at in granted:
            place = int((at + phase) // window)
            counts[place] = counts.get(place, 0) + 1
        assert max(counts.values()) <= limit


@pytest.mark.parametrize("pace", PACES, ids=lambda pace: pace.name)
def test_at_least_nine_tenths_of_the_steady_limit_are_used(pace: Pace) -> None:
    assert pace.per_second * 60 >= 0.9 * pace.steady


@pytest.mark.parametrize(
    "wrong", [{"capacity": 10, "per_second": 1}, {"capacity": 1, "per_second": 10}, {"capacity": 9, "per_second": 2.5}]
)
def test_a_pace_that_could_exceed_a_limit_cannot_be_made(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="can exceed"):
        Pace("x", burst=10, steady=150, **wrong)  # type: ignore[arg-type]


# --- through Redis -------------------------------------------------------------------------------


@pytest.fixture
def redis(redis_server: RedisServer) -> Redis:
    redis_server.empty()
    return impatient(redis_server.url)


def test_all_workers_share_one_budget_per_account(redis: Redis) -> None:
    together = threading.Barrier(8)

    def ask() -> int:
        pacer = Pacer(redis, 2)
        together.wait()
        return sum(pacer.wait(EVENT_BULK, 1) == 0 for _ in range(EVENT_BULK.capacity))

    with ThreadPoolExecutor(8) as pool:
        granted = sum(future.result() for future in [pool.submit(ask) for _ in range(8)])
    assert EVENT_BULK.capacity <= granted <= EVENT_BULK.capacity + 1
    assert Pacer(redis, 2).wait(EVENT_BULK, 2) == 0


def test_who_has_to_wait_is_told_how_long(redis: Redis) -> None:
    pacer = Pacer(redis, 1)
    waits = [pacer.wait(EVENT_BULK, 1) for _ in range(EVENT_BULK.capacity + 1)]
    assert waits[:-1] == [0] * EVENT_BULK.capacity
    assert 0 < waits[-1] <= 1 / EVENT_BULK.per_second + 0.001


def test_a_long_rest_fills_the_budget_and_no_more(redis: Redis) -> None:
    pacer, key = Pacer(redis, 1), f"portal:pace:1:{EVENT_BULK.name}"
    pacer.wait(EVENT_BULK, 1)
    long_ago = int(float(redis.hget(key, "at") or 0)) - 3_600_000  # type: ignore[arg-type]
    redis.hset(key, mapping={"tokens": 0, "at": long_ago})
    waits = [pacer.wait(EVENT_BULK, 1) for _ in range(EVENT_BULK.capacity + 1)]
    assert [wait == 0 for wait in waits] == [True] * EVENT_BULK.capacity + [False]


def test_a_clock_that_was_put_back_gives_nothing_away(redis: Redis) -> None:
    pacer, key = Pacer(redis, 1), f"portal:pace:1:{EVENT_BULK.name}"
    pacer.wait(EVENT_BULK, 1)
    ahead = int(float(redis.hget(key, "at") or 0)) + 60_000  # type: ignore[arg-type]
    redis.hset(key, mapping={"tokens": 0, "at": ahead})
    assert pacer.wait(EVENT_BULK, 1) > 0


def test_without_redis_each_process_begins_carefully(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _Clock()
    monkeypatch.setattr(limits, "time", clock)
    pacer = Pacer(impatient(NOWHERE), 2)
    first, second = pacer.wait(EVENT, "one"), pacer.wait(EVENT, "one")
    assert first == 0
    assert second == pytest.approx(2 / EVENT.per_second)
    clock.now += second
    assert pacer.wait(EVENT, "one") == 0


def test_waiting_as_long_as_told_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _Clock()
    monkeypatch.setattr(limits, "time", clock)
    pacer, granted = Pacer(impatient(NOWHERE), 1), []
    while len(granted) < 50:
        if wait := pacer._wait_alone("key", EVENT_BULK):
            clock.now += wait + 1e-9
        else:
            granted.append(clock.now)
    assert all(later - earlier <= 1.01 / EVENT_BULK.per_second for earlier, later in pairwise(granted))
