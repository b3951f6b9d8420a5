"""What phones have to do over the network: kept in the database, done by a few threads, tried again with growing waits.

A phone does one thing at a time, and nothing while it is offline. What was asked for again meanwhile is done again.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sandbox.store import Row, Store

REGISTER, UNREGISTER, LOOK = "register", "unregister", "look"
# After the last of them a phone gives up, until something new happens.
WAITS = (0.5, 5.0, 30.0, 120.0, 600.0)
_THREADS = 4
_STOP_SECONDS = 20.0

Errand = Row
_log = logging.getLogger(__name__)


class Errands:
    def __init__(self, store: Store, run: Callable[[Errand], bool]) -> None:
        """`run` does one and says whether it is done; it is called in a thread of ours."""
        self._store, self._run = store, run
        self._changed = threading.Condition()
        self._busy: set[int] = set()
        self._threads: list[threading.Thread] = []
        self._paused = self._stopping = False

    def ask(self, connection: sqlite3.Connection, kind: str, card: Row) -> None:
        """Have something done for a card, in the caller's transaction; `ring` afterwards."""
        serial = "" if kind == LOOK else card["serial"]
        row = (card["phone"], kind, card["web_service"], card["pass_type"], serial, card["authentication_token"])
        connection.execute(
            "INSERT INTO errand (phone, kind, web_service, pass_type, serial, authentication_token, due)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET due = excluded.due, tries = 0, asked = asked + 1,"
            " authentication_token = excluded.authentication_token",
            (*row, time.time()),
        )

    def ring(self) -> None:
        """Something may be due. The threads begin with the first errand."""
        if not self._threads and not self._store.count("SELECT COUNT(*) FROM errand"):
            return
        with self._changed:
            if not self._threads and not self._stopping:
                self._threads = [
                    threading.Thread(target=self._work, name=f"phones-{number}", daemon=True)
                    for number in range(1, _THREADS + 1)
                ]
                for thread in self._threads:
                    thread.start()
            self._changed.notify_all()

    def waiting(self, phone: int) -> int:
        return self._store.count("SELECT COUNT(*) FROM errand WHERE phone = ?", (phone,))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is under way inside."""
        with self._changed:
            self._paused = True
            self._changed.wait_for(lambda: not self._busy, _STOP_SECONDS)
        try:
            yield
        finally:
            with self._changed:
                self._paused = False
                self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(_STOP_SECONDS)

    def _work(self) -> None:
        while (errand := self._next()) is not None:
            try:
                self._settle(errand, self._run(errand))
            except Exception:  # settled here as failed: a thread that ends would leave its phone deaf without a word
                _log.exception("a phone could not do what it had to")
                self._settle(errand, False)
            finally:
                with self._changed:
                    self._busy.discard(errand["phone"])
                    self._changed.notify_all()

    def _next(self) -> Errand | None:
        """The next that is due, its phone marked as busy; None when it is time to stop."""
        with self._changed:
            while not self._stopping:
                errand, wait = (None, None) if self._paused else self._due()
                if errand is not None:
                    self._busy.add(errand["phone"])
                    return errand
                self._changed.wait(wait)
        return None

    def _due(self) -> tuple[Errand | None, float | None]:
        """What is due of a phone that has time, or in how many seconds to look again."""
        rows = self._store.rows(
            "SELECT e.* FROM errand e JOIN phone p ON p.pk = e.phone WHERE NOT p.offline ORDER BY e.due, e.pk"
        )
        free = [row for row in rows if row["phone"] not in self._busy]
        if not free:
            return None, None
        wait = free[0]["due"] - time.time()
        return (free[0], None) if wait <= 0 else (None, wait)

    def _settle(self, errand: Errand, done: bool) -> None:
        over = done or errand["tries"] >= len(WAITS)
        with self._store.writing() as connection:
            if over:
                connection.execute("DELETE FROM errand WHERE pk = ? AND asked = ?", (errand["pk"], errand["asked"]))
            else:
                due = time.time() + WAITS[errand["tries"]]
                connection.execute(
                    "UPDATE errand SET due = ?, tries = tries + 1 WHERE pk = ? AND asked = ?",
                    (due, errand["pk"], errand["asked"]),
                )
