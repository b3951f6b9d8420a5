"""Resident memory of each process: at rest, and the most it has under load, against a Python that has imported nothing but Flask."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from bench.load import bodies, send
from bench.stack import Stack, running

BARE = "import flask, psutil; print(psutil.Process().memory_info().rss / 1e6)"


def memory(database: str, events: int = 60_000) -> None:
    bare = float(subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True, check=True).stdout)
    with running(database, limits=False) as stack:
        stack.start_delivering()
        stack.importing.start()
        _settle(stack)
        rest = stack.memory()
        most = _most(stack, events)
    for name, megabytes in rest.items():
        peak = most.get(name, megabytes)
        print(
            f"memory, {name}, {database}: {megabytes:.0f} MB at rest, {peak:.0f} MB under load; {peak / bare:.1f} times bare Flask"
        )


def _settle(stack: Stack) -> None:
    """Return when each process has said that it is alive, and has had time for what it does at first."""
    started, alive = len(stack.delivering) + 1, "SELECT count(*) FROM heartbeats"
    deadline = time.monotonic() + 120
    while stack.rows(alive)[0][0] < started:
        if time.monotonic() > deadline:
            raise TimeoutError("Not every process has said within two minutes that it is alive; see their logs.")
        time.sleep(1)
    time.sleep(5)


def _most(stack: Stack, events: int) -> dict[str, float]:
    """The highest of samples taken four times a second while events are taken and delivered."""
    most: dict[str, float] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.25):
            for name, megabytes in stack.memory().items():
                most[name] = max(most.get(name, 0.0), megabytes)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        send(stack.plan.portal_url, stack.api_key, bodies(events, 500), connections=4)
        while stack.rows("SELECT count(*) FROM deliveries WHERE state = 'pending'")[0][0]:
            time.sleep(0.5)
    finally:
        done.set()
        watching.join()
    return most
