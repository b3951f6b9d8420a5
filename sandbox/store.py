"""One SQLite file: a single writer connection behind a lock, and a reading connection for each thread.

Whoever writes does so inside `with store.writing()`, which is one transaction and must not be nested.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Row = sqlite3.Row


class Store:
    def __init__(self, path: Path, tables: Sequence[str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = threading.Lock()
        self._reading = threading.local()
        self._writer = self._connect()
        self._writer.execute("PRAGMA journal_mode = WAL")
        self._writer.execute("PRAGMA cache_size = -24000")
        self._writer.execute("PRAGMA wal_autocheckpoint = 4000")
        self._next: dict[str, int] = {}
        for statement in tables:
            self._writer.execute(statement)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=30, cached_statements=256
        )
        connection.row_factory = sqlite3.Row
        # A killed process loses nothing that way; only a power cut could.
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The writer connection in a transaction of its own; committed at the end, rolled back on any error."""
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                self._next.clear()
                raise
            self._writer.execute("COMMIT")

    def reader(self) -> sqlite3.Connection:
        """This thread's own connection; it sees what has been committed."""
        connection: sqlite3.Connection | None = getattr(self._reading, "connection", None)
        if connection is None:
            connection = self._reading.connection = self._connect()
        return connection

    def rows(self, sql: str, args: Sequence[Any] = ()) -> list[Row]:
        return self.reader().execute(sql, args).fetchall()

    def row(self, sql: str, args: Sequence[Any] = ()) -> Row | None:
        found: Row | None = self.reader().execute(sql, args).fetchone()
        return found

    def count(self, sql: str, args: Sequence[Any] = ()) -> int:
        found = self.row(sql, args)
        return int(found[0] or 0) if found else 0

    def take_keys(self, table: str, wanted: int) -> int:
        """The first of `wanted` fresh integer keys. Only inside `writing()`: this process is the only writer."""
        if table not in self._next:
            last = self._writer.execute(f"SELECT MAX(pk) FROM {table}").fetchone()[0]  # noqa: S608
            self._next[table] = (last or 0) + 1
        first = self._next[table]
        self._next[table] = first + wanted
        return first

    def empty(self, tables: Sequence[str]) -> None:
        with self.writing() as connection:
            for table in tables:
                connection.execute(f"DELETE FROM {table}")  # noqa: S608
            self._next.clear()

    def close(self) -> None:
        with self._lock:
            self._writer.close()
