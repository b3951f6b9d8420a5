"""Carries runs of flows on when they are due: one thread looks for them, a few others walk.

All state is in the database: what was due when the process ended is due when it starts again.
"""

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sandbox.klaviyo import flow_definitions
from sandbox.klaviyo.flow_walk import Walk
from sandbox.klaviyo.switches import Switches
from sandbox.klaviyo.webhook_orders import WebhookOrders
from sandbox.store import Store

log = logging.getLogger(__name__)

_WALKERS = 8
_DUE = "SELECT * FROM flow_run WHERE due <= ? ORDER BY due LIMIT ?"


class FlowRunner:
    def __init__(self, store: Store, switches: Switches) -> None:
        self._store = store
        self._switches = switches
        self.orders = WebhookOrders()
        self._walking: set[int] = set()
        self._state = threading.Condition()
        self._paused = 0
        self._stopped = False
        self._walkers = ThreadPoolExecutor(_WALKERS, thread_name_prefix="klaviyo-flow")
        self._thread = threading.Thread(target=self._run, name="klaviyo-flows", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped:
            try:
                started = self._start_due()
            except Exception:  # settled here: what is due stays due, and whoever runs the sandbox sees why
                log.exception("due flows could not be read")
                started = 0
            with self._state:
                if not started and not self._stopped:
                    self._state.wait(timeout=0.05)

    def _start_due(self) -> int:
        with self._state:
            free = _WALKERS - len(self._walking)
            if self._paused or self._stopped or free <= 0:
                return 0
            due = self._store.rows(_DUE, (self._switches.now(), _WALKERS))
            chosen = [row for row in due if row["pk"] not in self._walking][:free]
            self._walking.update(row["pk"] for row in chosen)
        for row in chosen:
            self._walkers.submit(self._walk, row["pk"])
        return len(chosen)

    def _walk(self, pk: int) -> None:
        try:
            self._carry_on(pk)
        except Exception:  # settled here: it waits a little, and whoever runs the sandbox sees why
            log.exception("a flow could not be carried on")
            self._put_off(pk)
        finally:
            with self._state:
                self._walking.discard(pk)
                self._state.notify_all()

    def _carry_on(self, pk: int) -> None:
        # Read again: it may have been walked between being found due and being chosen.
        run = self._store.row("SELECT * FROM flow_run WHERE pk = ? AND due <= ?", (pk, self._switches.now()))
        if run is None:
            return
        flow = self._store.row("SELECT * FROM flow WHERE pk = ?", (run["flow"],))
        profile = self._store.row("SELECT * FROM profile WHERE pk = ?", (run["profile"],))
        if flow is None or profile is None:
            with self._store.writing() as connection:
                connection.execute("DELETE FROM flow_run WHERE pk = ?", (pk,))
            return
        definition = flow_definitions.of(self._store, flow["pk"])
        Walk(self._store, self._switches, self.orders, run, flow, definition, profile).go()

    def _put_off(self, pk: int) -> None:
        with self._store.writing() as connection:
            connection.execute("UPDATE flow_run SET due = ? WHERE pk = ?", (self._switches.now() + 60, pk))

    def waiting(self, account: int) -> int:
        return self._store.count("SELECT COUNT(*) FROM flow_run WHERE account = ? AND due IS NOT NULL", (account,))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nobody walks inside."""
        with self._state:
            self._paused += 1
            while self._walking:
                self._state.wait()
        try:
            yield
        finally:
            with self._state:
                self._paused -= 1
                self._state.notify_all()

    def stop(self) -> None:
        with self._state:
            self._stopped = True
            self._state.notify_all()
        self._thread.join(timeout=10)
        self._walkers.shutdown(wait=True)
