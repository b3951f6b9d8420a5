"""The database: typed models, engine settings, and the one way to write.

`with transaction():` at an edge is the only place that commits; `on_commit` callbacks run after it has.
"""

from __future__ import annotations

import fcntl
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar, cast

from flask import current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    Engine,
    Executable,
    Integer,
    MetaData,
    TypeDecorator,
    event,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, CursorResult, Result
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError, OperationalError
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import ConnectionPoolEntry, Pool

from portal import lists

P = ParamSpec("P")
R = TypeVar("R")

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Model(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


# expire_on_commit=False: what an edge has read stays readable after it has written.
db = SQLAlchemy(model_class=Model, session_options={"expire_on_commit": False})

BigId = BigInteger().with_variant(Integer, "sqlite")
# What both databases take; a number beyond it is nobody's id, and asking them for it is an error.
LARGEST_ID = 2**63 - 1


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, always aware. SQLite keeps no zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _in_utc(value)

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any] | None:
        """For SQLite the text that SQLAlchemy's own type makes, sooner."""
        return _as_text if dialect.name == "sqlite" else super().bind_processor(dialect)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time without a zone reached the database")
    return value if value.tzinfo is UTC else value.astimezone(UTC)


def _as_text(value: datetime | None) -> str | None:
    return None if value is None else _in_utc(value).isoformat(" ", "microseconds").removesuffix("+00:00")


def utcnow() -> datetime:
    return datetime.now(UTC)


# --- ids -----------------------------------------------------------------------------------------
# Made here and not by the database, so that an event and its delivery can share one without a round trip for it.
# 41 bits of milliseconds since 2024, 10 bits that tell processes apart, 12 bits that count.

_EPOCH_MS = 1_704_067_200_000
_id_lock = threading.Lock()
_last_id = 0
_process_bits = 0


def _draw_process_bits() -> None:
    global _process_bits
    _process_bits = random.SystemRandom().getrandbits(10) << 12


_draw_process_bits()
os.register_at_fork(after_in_child=_draw_process_bits)


def new_ids(count: int) -> list[int]:
    """`count` ids, rising within this process and in step with the clock between processes."""
    global _last_id
    with _id_lock:
        ms = max(int(time.time() * 1000) - _EPOCH_MS, _last_id >> 22)
        step = (_last_id & 0xFFF) + 1 if ms == _last_id >> 22 else 0
        ids = []
        for _ in range(count):
            if step > 0xFFF:
                ms, step = ms + 1, 0
            ids.append(ms << 22 | _process_bits | step)
            step += 1
        if ids:
            _last_id = ids[-1]
        return ids


def new_id() -> int:
    return new_ids(1)[0]


def forget_last_id() -> None:
    """Let ids follow the clock again after it was set back."""
    global _last_id
    _last_id = 0


def first_id_at(moment: datetime) -> int:
    """No id is less than this that was made at that moment or later."""
    return max(0, int(moment.timestamp() * 1000) - _EPOCH_MS) << 22


def made_at(row_id: int) -> datetime:
    """When an id was made, to the millisecond."""
    return datetime.fromtimestamp(((row_id >> 22) + _EPOCH_MS) / 1000, UTC)


# --- transactions --------------------------------------------------------------------------------

_writing: ContextVar[list[Callable[[], object]] | None] = ContextVar("writing", default=None)


@contextmanager
def transaction() -> Iterator[None]:
    """One write transaction on `db.session`; commits at the end, rolls back on an exception, never nests."""
    if _writing.get() is not None:
        raise RuntimeError("transaction() is opened at edges only and does not nest")
    if db.session.new or db.session.dirty or db.session.deleted:
        raise RuntimeError("rows were changed outside transaction()")
    if db.engine.dialect.name == "sqlite":
        db.session.commit()  # ends a read, which SQLite cannot turn into a write
    callbacks: list[Callable[[], object]] = []
    token = _writing.set(callbacks)
    try:
        with _turn_to_write():
            yield
            db.session.commit()
    except BaseException:
        db.session.rollback()
        raise
    finally:
        _writing.reset(token)
    for callback in callbacks:
        callback()


@contextmanager
def _turn_to_write() -> Iterator[None]:
    """SQLite has one writer at a time, and lets the others sleep and look again; a file lock wakes the next one at once."""
    if db.engine.dialect.name != "sqlite":
        yield
        return
    with open(f"{db.engine.url.database}-turn", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def on_commit(callback: Callable[[], object]) -> None:
    """Run `callback` once the surrounding transaction has committed; never if it rolls back."""
    callbacks = _writing.get()
    if callbacks is None:
        raise RuntimeError("on_commit() needs a transaction()")
    callbacks.append(callback)


WRITE_TRIES = 5
DEADLOCK = "40P01"


def repeat(write: Callable[[], R]) -> R:
    """What `write` does in a transaction of its own; again where another one wrote the same rows at this moment."""
    for _ in range(WRITE_TRIES - 1):
        try:
            return write()
        except (IntegrityError, OperationalError) as error:
            if not _met_another(error):
                raise
    return write()


def _met_another(error: DBAPIError) -> bool:
    """Another transaction wrote the same rows, or both waited for each other and PostgreSQL ended ours."""
    return isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", None) == DEADLOCK


def insert_or_update(model: type[Model]) -> postgresql.Insert | sqlite.Insert:
    """`INSERT` that knows `on_conflict_do_...`, in the words of the database in use."""
    return postgresql.insert(model) if db.engine.dialect.name == "postgresql" else sqlite.insert(model)


def one_of(column: Any, values: Iterable[Any]) -> ColumnElement[bool]:
    """`column IN (values)` for many values."""
    return lists.one_of(db.engine.dialect.name, column, values)


def run(statement: Executable, parameters: Any = None) -> Result[Any]:
    """A statement past the ORM: plain rows. For what is asked for every event, with statements that are built once."""
    return db.session.connection().execute(statement, parameters)


def changed_rows(result: Result[Any]) -> int:
    """How many rows an UPDATE or DELETE touched."""
    return cast("CursorResult[Any]", result).rowcount


def in_own_session(function: Callable[P, R]) -> Callable[P, R]:
    """`function` for another thread: runs in an app context, and so with a session, of its own."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]

    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with app.app_context():
            return function(*args, **kwargs)

    return run


# --- engine --------------------------------------------------------------------------------------


def engine_options(database_url: str) -> dict[str, Any]:
    # hide_parameters: an error's text goes into the log, and parameters hold personal data.
    # As many connections as a process has threads: one that waits for a connection may be the one that others wait for.
    pool = {"pool_size": 10, "max_overflow": 10, "pool_timeout": 5}
    if database_url.startswith("sqlite"):
        in_memory = ":memory:" in database_url or database_url == "sqlite://"
        options = {"hide_parameters": True, "connect_args": {"timeout": 30, "check_same_thread": False}}
        # The same few over and over: each connection keeps a cache of its own.
        return options if in_memory else {**options, **pool, "pool_use_lifo": True}
    return {
        "hide_parameters": True,
        **pool,
        # A statement that is prepared keeps the plan it got while its tables were empty, which reads them whole later on.
        "connect_args": {"prepare_threshold": None},
    }


# After so long a pooled connection is asked whether it still lives. To ask each time would be an exchange with every transaction.
ASKED_AFTER_SECONDS = 1.0


@event.listens_for(Pool, "checkin")
def _note_when_left(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info["left_at"] = time.monotonic()


@event.listens_for(Pool, "checkout")
def _ask_whether_it_lives(connection: Any, record: ConnectionPoolEntry, _taken: object) -> None:
    left_at = record.info.get("left_at")
    if left_at is None or time.monotonic() - left_at < ASKED_AFTER_SECONDS:
        return
    if isinstance(connection, sqlite3.Connection):
        return
    import psycopg  # loaded already where there is such a connection; 9 MB where there is none

    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.Error as error:
        raise DisconnectionError from error  # the pool takes another one


@event.listens_for(Engine, "connect")
def _set_up(connection: Any, _record: Any) -> None:
    if not isinstance(connection, sqlite3.Connection):
        # What is asked for is in memory. Otherwise PostgreSQL reads a table of a few pages as a whole, and goes on to do so for its
        # foreign keys, whose plans it keeps, while a young shop's table grows to thousands.
        connection.execute("SET random_page_cost = 1.1")
        connection.commit()
        return
    connection.isolation_level = None  # we say BEGIN ourselves, below
    # No larger cache than the usual 2 MB: each connection fills its own, and what another process writes makes it worthless.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    lists.prepare(connection)


@event.listens_for(Engine, "begin")
def _begin(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        # A writer takes its lock first: a read that turns into a write fails at once when another writes.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if _writing.get() is not None else "BEGIN")
