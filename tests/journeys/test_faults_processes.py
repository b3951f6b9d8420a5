"""Workers that die and a Redis that goes away: nothing is lost, nothing arrives twice, order is kept."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from portal import queue
from portal.db import utcnow
from portal.services import status
from tests import factories
from tests.factories import Shop
from tests.journeys.arrivals import all_settled, arrive
from tests.klaviyo_account import BULK_PATH, SINGLE_PATH, Sandbox
from tests.servers import Processes, RedisServer
from tests.waiting import eventually


@pytest.mark.settings(lease_seconds=2)
@pytest.mark.parametrize(
    ("database_url", "path", "number"),
    [("postgresql", BULK_PATH, 60), ("sqlite", SINGLE_PATH, 5)],
    ids=["bulk", "single"],
    indirect=["database_url"],
)
@pytest.mark.parametrize("moment", ["hang_before", "hang_after_accept"])
def test_a_worker_killed_during_a_request_loses_and_doubles_nothing(
    app: Flask,
    client: FlaskClient,
    connected: Shop,
    sandbox: Sandbox,
    processes: Processes,
    moment: str,
    path: str,
    number: int,
) -> None:
    told = factories.events("kill", number)
    sandbox.order(moment, path, seconds=8)
    victim = processes.worker()
    factories.tell_all(client, connected, told)
    eventually(lambda: not sandbox.faults())  # the request has arrived and hangs
    processes.kill(victim)
    processes.worker()
    processes.ticker()
    arrive(sandbox, told)
    all_settled(app, connected)


@pytest.mark.settings(lease_seconds=600)
def test_a_worker_that_is_told_to_stop_gives_back_what_it_has_not_sent(
    app: Flask, client: FlaskClient, connected: Shop, sandbox: Sandbox, processes: Processes
) -> None:
    told = factories.events("stop", 40, customers=40)
    sandbox.set(latency_ms={"/api/event": 300})
    first = processes.worker()
    for start in range(0, 40, 8):  # few enough to go one by one
        factories.tell_all(client, connected, told[start : start + 8])
    eventually(lambda: sandbox.event_ids())
    first.send(signal.SIGTERM)
    eventually(lambda: first.exit_code is not None)
    assert first.exit_code == 0
    sandbox.set(latency_ms={})
    processes.worker()
    processes.ticker()
    # Well before the lease of a dead worker would have ended.
    arrive(sandbox, told, seconds=60)
    all_settled(app, connected)


# --- Redis ---------------------------------------------------------------------------------------


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path).start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(own_redis: RedisServer) -> str:
    return own_redis.url


def _emptied(redis: RedisServer) -> None:
    redis.empty()


def _killed(redis: RedisServer) -> None:
    redis.send(signal.SIGKILL)


def _stalled(redis: RedisServer) -> None:
    redis.send(signal.SIGSTOP)


def _restarted(redis: RedisServer) -> None:
    redis.start()


def _resumed(redis: RedisServer) -> None:
    redis.send(signal.SIGCONT)


def _as_it_is(_redis: RedisServer) -> None:
    return None


@pytest.mark.parametrize(
    ("trouble", "recovery"),
    [(_emptied, _as_it_is), (_killed, _restarted), (_stalled, _resumed)],
    ids=["emptied", "killed", "stalled"],
)
def test_events_are_taken_and_delivered_while_redis_is_in_trouble(
    app: Flask,
    client: FlaskClient,
    connected: Shop,
    sandbox: Sandbox,
    processes: Processes,
    own_redis: RedisServer,
    trouble: Callable[[RedisServer], None],
    recovery: Callable[[RedisServer], None],
) -> None:
    told = factories.events("redis", 90)
    processes.worker()
    processes.ticker()
    factories.tell_all(client, connected, told[:30])
    trouble(own_redis)
    factories.tell_all(client, connected, told[30:60])
    arrive(sandbox, told[:60])  # the ticker delivers by itself
    recovery(own_redis)
    factories.tell_all(client, connected, told[60:])
    arrive(sandbox, told)
    all_settled(app, connected)
    eventually(lambda: own_redis.answers())


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_worker_that_was_there_before_redis_finds_it(
    client: FlaskClient, connected: Shop, sandbox: Sandbox, processes: Processes, own_redis: RedisServer
) -> None:
    _killed(own_redis)
    worker = processes.worker()
    eventually(lambda: _heartbeats(client.application, "worker"))
    _restarted(own_redis)
    time.sleep(queue.SILENCE_SECONDS)  # this process has just met a dead Redis and does not ring for so long
    told = factories.events("late", 5)
    factories.tell_all(client, connected, told)
    arrive(sandbox, told)  # there is no ticker that could have done it
    assert worker.exit_code is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("seconds_before", [0.0, 1.0])
def test_a_worker_stops_when_it_is_told_although_redis_goes_away_at_the_same_moment(
    app: Flask, processes: Processes, own_redis: RedisServer, seconds_before: float
) -> None:
    worker = processes.worker()
    eventually(lambda: _heartbeats(app, "worker") and _listening(own_redis))
    _killed(own_redis)
    time.sleep(seconds_before)
    worker.send(signal.SIGTERM)
    assert eventually(lambda: worker.exit_code is not None)
    assert worker.exit_code == 0


def _listening(redis: RedisServer) -> int:
    with Redis.from_url(redis.url) as client:
        return len(list(client.scan_iter("rq:worker:*")))


def _heartbeats(app: Flask, kind: str) -> int:
    with app.app_context():
        return status.count_alive(kind, utcnow())
