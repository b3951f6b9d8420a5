"""What the worker adds to RQ's own."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from rq.exceptions import StopRequested
from sqlalchemy import select

import worker
from launch import ports
from portal import queue
from portal.config import Settings
from portal.db import db, in_own_session, transaction
from portal.models import OldGrant
from portal.services import connecting
from tests.factories import ACTOR, Shop
from tests.klaviyo_account import Sandbox


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """RQ takes them over."""
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


def test_a_job_sees_what_was_written_since_the_one_before(
    app: Flask, settings: Settings, connected: Shop, sandbox: Sandbox
) -> None:
    redis = queue.patient(settings.redis_url)
    listener = worker._listener("tests", redis, threading.Event())

    def work(queue_name: str, job: str, row_id: int) -> None:
        queue.queue(queue_name, redis).enqueue(job, row_id)
        listener.work(burst=True, logging_level="WARNING")

    def disconnect() -> int:
        with transaction():
            connecting.disconnect(connected.id, ACTOR)
        return db.session.scalars(select(OldGrant.id)).one()

    with app.app_context():
        work(queue.DELIVERIES, queue.DRAIN, connected.id)
        with ThreadPoolExecutor(1) as elsewhere:
            grant_id = elsewhere.submit(in_own_session(disconnect)).result()
        work(queue.UPKEEP, queue.REVOKE, grant_id)
    assert sandbox.requests("/oauth/revoke") == 1


def test_a_worker_that_is_told_to_stop_does_not_look_for_a_lost_redis(settings: Settings) -> None:
    stopping = threading.Event()
    listener = worker._listener("tests", queue.patient(settings.redis_url), stopping)
    listener.connection = Redis(port=ports.find_free())
    with pytest.raises(RedisConnectionError):
        listener.heartbeat()
    stopping.set()
    with pytest.raises(StopRequested):
        listener.heartbeat()


def _come_again() -> None:
    """A job that is due again as soon as it is done, as where pushes keep coming."""
    for name in (queue.DELIVERIES, queue.PUSHES):
        if not queue.queue(name, queue.client()).jobs:
            queue.enqueue(name, f"{__name__}._come_again")


def test_work_that_never_ends_keeps_no_other_waiting(app: Flask, settings: Settings) -> None:
    redis = queue.patient(settings.redis_url)
    with app.app_context():
        _come_again()
        queue.enqueue(queue.CARDS, "builtins.abs", 42)
        worker._listener("tests", redis, threading.Event()).work(burst=True, logging_level="WARNING", max_jobs=12)
    assert not queue.queue(queue.CARDS, redis).jobs
