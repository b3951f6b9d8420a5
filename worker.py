"""`python worker.py`: an RQ worker; `--ticker`: the ticker; `--importer`: the importer of segments. All serve in short turns.

A worker that is told to stop finishes the request under way and gives back what it has not sent.
"""

from __future__ import annotations

import _thread
import argparse
import itertools
import os
import signal
import socket
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer

from portal import config, create_workshop, queue
from portal.config import SettingsError
from portal.db import db, in_own_session
from portal.jobs import schedule, segments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticker", action="store_true", help="run the ticker instead of a worker")
    parser.add_argument("--importer", action="store_true", help="import segments instead")
    options = parser.parse_args()
    try:
        app = create_workshop()
    except SettingsError as error:
        raise SystemExit(f"The portal does not start: {error}") from None
    name = f"{socket.gethostname()}.{os.getpid()}"
    with app.app_context():
        if options.ticker:
            run_ticker(name)
        elif options.importer:
            run_importer(name)
        else:
            run_worker(name)


def run_ticker(name: str) -> None:
    stopping = threading.Event()
    _stop_on_signals(stopping)
    schedule.run(f"ticker.{name}", stopping)


def run_importer(name: str) -> None:
    stopping = threading.Event()
    _stop_on_signals(stopping)
    segments.run(f"importer.{name}", stopping)


def run_worker(name: str) -> None:
    """RQ listens; a thread beside it says that it is alive, in a row that does not depend on Redis."""
    stopping = threading.Event()
    beating = threading.Thread(target=in_own_session(schedule.beat_until), args=(f"worker.{name}", "worker", stopping))
    beating.start()
    try:
        _keep_working(name, stopping)
    finally:
        stopping.set()
        beating.join()


def _keep_working(name: str, stopping: threading.Event) -> None:
    redis = queue.patient(config.current().redis_url)
    for attempt in itertools.count(1):
        _stop_on_signals(stopping)
        if stopping.is_set():
            return
        # Redis may come later than we do, or go away for a while: the ticker delivers meanwhile.
        with suppress(RedisError):
            # A name of its own each time: Redis may still know the one that lost it.
            _listener(f"{name}.{attempt}", redis, stopping).work(logging_level="WARNING")
        _stop_on_signals(stopping)  # RQ has put its own handlers in their place
        stopping.wait(2)  # RQ also returns when it has lost Redis, and not only when it was told to stop


def _stop_on_signals(stopping: threading.Event) -> None:
    # Set by a thread: the one that is interrupted may hold the event's lock, and would wait for itself.
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: _thread.start_new_thread(stopping.set, ()))


class _Listener(SimpleWorker):
    """RQ's worker; asks its queues in the order of `queue.Shares`.

    It notes that it was told to stop, which RQ itself forgets when Redis goes away at the same moment.
    """

    stopping: threading.Event
    shares: queue.Shares

    def perform_job(self, job: Job, of: Queue, *execution: Any) -> bool:
        """A read that a job leaves open would show the next one the database as it was then."""
        started = time.monotonic()
        try:
            return super().perform_job(job, of, *execution)
        finally:
            db.session.remove()
            self.shares.note(of.name, time.monotonic() - started)
            by_name = {each.name: each for each in self.queues}
            self._ordered_queues = [by_name[name] for name in self.shares.order()]

    def heartbeat(self, *args: Any, **kwargs: Any) -> None:
        """RQ looks for a lost Redis again and again. What it raises when told to stop may be swallowed, by a log record that is just
        being written: it would go on until Redis is back."""
        try:
            super().heartbeat(*args, **kwargs)
        except RedisError:
            if self.stopping.is_set():
                raise StopRequested from None
            raise

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        _thread.start_new_thread(self.stopping.set, ())
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]


def _listener(name: str, redis: Redis, stopping: threading.Event) -> _Listener:
    queues = [queue.queue(each, redis) for each in queue.QUEUES]
    listener = _Listener(queues, connection=redis, name=name, serializer=JSONSerializer)
    listener.stopping, listener.shares = stopping, queue.Shares()
    return listener


if __name__ == "__main__":
    main()
