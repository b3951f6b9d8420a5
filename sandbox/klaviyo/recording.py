"""Records accepted events: profiles found or made, metrics made, each event once.

The first event with a (profile, metric, unique_id or second) wins; what comes later is dropped and only counted.
"""

import secrets
import sqlite3
import string
from typing import Any

from sandbox.klaviyo.entering import Entering
from sandbox.klaviyo.incoming import Entry
from sandbox.klaviyo.people import People
from sandbox.store import Store

_SHORT = string.ascii_letters + string.digits


def short_id() -> str:
    """Six characters, as Klaviyo's metrics, segments and flows have them."""
    return "".join(secrets.choice(_SHORT) for _ in range(6))


class Recording:
    """One transaction's worth of events of one account. Call `add` for each request, then `finish`."""

    def __init__(
        self, connection: sqlite3.Connection, store: Store, account: int, now: float, merged_ids_resolve_seconds: float
    ) -> None:
        self._connection = connection
        self._store = store
        self._account = account
        self._now = now
        self._people = People(connection, store, account, now, merged_ids_resolve_seconds, self._write)
        self._metrics: dict[tuple[str, str], int] = {}
        self._entering = Entering(connection, account, now)
        self._rows: list[tuple[Any, ...]] = []
        self._last: dict[int, int] = {}
        self._counts = {"recorded": 0, "duplicates": 0, "nobody": 0}

    def load(self, entries: list[Entry]) -> None:
        self._people.load(entry.person for entry in entries)

    def add(self, integration: str, entries: list[Entry]) -> None:
        account, last = self._account, self._last
        for person, events, _pointer in entries:
            profile = self._people.resolve(person)
            if profile is None:
                # An id that nobody has and no other identifier: accepted with 202 and then nowhere to go.
                self._counts["nobody"] += len(events)
                continue
            for name, dedupe, time, value, currency, backfill, properties in events:
                metric = self._metrics.get((integration, name)) or self._metric(integration, name)
                self._rows.append((account, profile, metric, dedupe, time, value, currency, backfill, properties))
                if last.get(profile, 0) < time:
                    last[profile] = time

    def _metric(self, integration: str, name: str) -> int:
        pk = metric_key(self._connection, self._store, self._account, integration, name, self._now)
        self._metrics[(integration, name)] = pk
        return pk

    def _write(self) -> None:
        """Write what is waiting; also before a merge, which moves rows of the table."""
        self._people.flush()
        rows = self._rows
        if not rows:
            return
        first = self._store.take_keys("event", len(rows))
        keyed = [(key, *row) for key, row in enumerate(rows, first)]
        before = self._connection.total_changes
        self._connection.executemany("INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", keyed)
        recorded = self._connection.total_changes - before
        self._counts["recorded"] += recorded
        self._counts["duplicates"] += len(rows) - recorded
        self._entering.by_events((row[0], row[2], row[3], row[8]) for row in keyed)
        self._connection.executemany(
            "UPDATE profile SET last_event = ?2 WHERE pk = ?1 AND (last_event IS NULL OR last_event < ?2)",
            list(self._last.items()),
        )
        self._rows, self._last = [], {}

    def finish(self) -> None:
        self._write()
        self._people.settle()
        for name, count in self._counts.items():
            if count:
                add_to_tally(self._connection, self._account, name, count)


def metric_key(
    connection: sqlite3.Connection, store: Store, account: int, integration: str, name: str, now: float
) -> int:
    """The metric of a name, made if need be. An app and private keys each have their own of the same name."""
    found = connection.execute(
        "SELECT pk FROM metric WHERE account = ? AND integration = ? AND name = ?", (account, integration, name)
    ).fetchone()
    if found is not None:
        return int(found[0])
    pk = store.take_keys("metric", 1)
    connection.execute(
        "INSERT INTO metric VALUES (?, ?, ?, ?, ?, ?, ?)", (pk, account, short_id(), integration, name, now, now)
    )
    return pk


def add_to_tally(connection: sqlite3.Connection, account: int, name: str, count: int) -> None:
    connection.execute(
        "INSERT INTO tally VALUES (?, ?, ?) ON CONFLICT (account, name) DO UPDATE SET count = count + excluded.count",
        (account, name, count),
    )
