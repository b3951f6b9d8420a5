"""What was answered with 202 and is not yet recorded: kept in the journal, recorded by one thread after a delay.

A request is parsed once; only after a restart is it read again from the journal.
"""

import json
import logging
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sandbox.klaviyo import incoming
from sandbox.klaviyo.incoming import Entry
from sandbox.klaviyo.journal import Journal
from sandbox.klaviyo.recording import Recording
from sandbox.klaviyo.switches import Switches
from sandbox.store import Store

log = logging.getLogger(__name__)

# Account, first identifier, metric, unique_id: one event as long as its profile is not looked up.
PendingKey = tuple[int, tuple[str, str], str, str]
_AT_ONCE = 5000


class Waiting(NamedTuple):
    number: int
    account: int
    integration: str
    received: float
    entries: list[Entry]
    keys: dict[PendingKey, str]


class Inbox:
    def __init__(self, store: Store, switches: Switches, folder: Path) -> None:
        self._store = store
        self._switches = switches
        self._waiting: deque[Waiting] = deque()
        self._pending: set[PendingKey] = set()
        self._events = 0
        self._state = threading.Lock()
        self._recording = threading.Lock()
        self._wake = threading.Event()
        self._stopped = False
        recorded = store.count("SELECT recorded FROM journal")
        self._journal = Journal(folder, recorded)
        self._take_up(recorded)
        self._thread = threading.Thread(target=self._run, name="klaviyo-inbox", daemon=True)
        self._thread.start()

    def _take_up(self, recorded: int) -> None:
        """After a restart: what had been accepted before it."""
        for frame in self._journal.unrecorded(recorded):
            read = incoming.bulk if frame.kind == "bulk" else incoming.single
            entries = read(json.loads(frame.body), frame.received, [])
            keys = pending_keys(frame.account, entries)[0]
            self._put(Waiting(frame.number, frame.account, frame.integration, frame.received, entries, keys))

    def accept(
        self, account: int, integration: str, kind: str, received: float, body: bytes, entries: list[Entry],
        keys: dict[PendingKey, str], refuse_pending: bool = False,
    ) -> str | None:  # fmt: skip
        """Take a checked request in. With `refuse_pending`, the pointer of an event that already waits refuses it."""
        with self._state:
            if refuse_pending and not self._pending.isdisjoint(keys):
                return next(pointer for key, pointer in keys.items() if key in self._pending)
            number = self._journal.append(account, integration, kind, received, body)
            self._put(Waiting(number, account, integration, received, entries, keys))
        if self._switches.visibility_seconds <= 0:
            self.record_due()
        return None

    def _put(self, item: Waiting) -> None:
        self._waiting.append(item)
        self._pending.update(item.keys)
        self._events += _size(item)

    def waiting(self) -> int:
        return self._events

    def record_due(self) -> int:
        """Record what has waited long enough; returns the number of requests."""
        done = 0
        with self._recording:
            while batch := self._due():
                self._record(batch)
                done += len(batch)
        return done

    def _due(self) -> list[Waiting]:
        """The next requests in line, of one account, that are due."""
        until = self._switches.now() - self._switches.visibility_seconds
        batch: list[Waiting] = []
        events = 0
        with self._state:
            for item in self._waiting:
                if item.received > until or events >= _AT_ONCE or (batch and item.account != batch[0].account):
                    break
                batch.append(item)
                events += _size(item)
        return batch

    def _record(self, batch: list[Waiting]) -> None:
        account, last = batch[0].account, batch[-1].number
        with self._store.writing() as connection:
            recording = Recording(
                connection, self._store, account, self._switches.now(), self._switches.merged_ids_resolve_seconds
            )
            recording.load([entry for item in batch for entry in item.entries])
            for item in batch:
                recording.add(item.integration, item.entries)
            recording.finish()
            connection.execute("INSERT OR REPLACE INTO journal VALUES (1, ?)", (last,))
        with self._state:
            for item in batch:
                self._waiting.popleft()
                self._pending.difference_update(item.keys)
                self._events -= _size(item)
            self._journal.settle(last)

    def _run(self) -> None:
        while not self._stopped:
            self._wake.wait(timeout=0.05)
            if self._stopped:
                return
            try:
                self.record_due()
            except Exception:  # settled here: it stays in the journal and is tried again; who runs the sandbox sees why
                log.exception("events could not be recorded")
                self._wake.wait(timeout=1.0)

    @contextmanager
    def paused(self) -> Iterator[None]:
        with self._recording:
            yield

    def forget(self) -> None:
        with self._state:
            self._waiting.clear()
            self._pending.clear()
            self._events = 0
            self._journal.forget()

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()
        self._thread.join(timeout=10)
        self._journal.close()


def _size(item: Waiting) -> int:
    return sum(len(entry.events) for entry in item.entries)


def pending_keys(account: int, entries: list[Entry]) -> tuple[dict[PendingKey, str], str | None]:
    """The events that have a unique_id, each with its pointer; and the pointer of the first that is there twice."""
    keys: dict[PendingKey, str] = {}
    repeated = None
    for person, events, pointer in entries:
        first = person.identifiers[0]
        for place, event in enumerate(events):
            if event.dedupe[0] != "=":
                continue
            key = (account, first, event.metric, event.dedupe)
            if repeated is None and key in keys:
                repeated = f"{pointer}/{place}/attributes/unique_id"
            keys[key] = f"{pointer}/{place}/attributes/unique_id"
    return keys, repeated
