"""Transactions, ids and times behave the same on both databases."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from sqlalchemy import create_engine, event, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from portal.bulk import find_unique
from portal.config import Settings
from portal.db import db, first_id_at, in_own_session, new_id, new_ids, on_commit, one_of, transaction, utcnow
from portal.models import Customer, ErasedEvent, Event, Heartbeat, Merchant
from portal.services import accounts
from tests.servers import Postgres


def _beat(name: str, at: datetime | None = None) -> None:
    db.session.add(Heartbeat(name=name, kind="ticker", at=at or utcnow()))


def _names() -> list[str]:
    return list(db.session.scalars(select(Heartbeat.name).order_by(Heartbeat.name)))


def test_a_transaction_commits_at_its_end_and_then_calls_back(app: Flask) -> None:
    seen: list[list[str]] = []
    with app.app_context():
        look = in_own_session(_names)
        with transaction():
            _beat("a")
            on_commit(lambda: seen.append(look()))
            assert seen == []
        assert seen == [["a"]]


def test_a_transaction_that_fails_leaves_nothing_and_calls_nobody(app: Flask) -> None:
    called: list[int] = []

    def fail() -> None:
        with transaction():
            _beat("a")
            db.session.flush()
            on_commit(lambda: called.append(1))
            raise ZeroDivisionError

    with app.app_context():
        with pytest.raises(ZeroDivisionError):
            fail()
        assert _names() == []
        assert called == []
        with transaction():
            _beat("b")
        assert _names() == ["b"]


def test_a_transaction_in_a_transaction_is_refused(app: Flask) -> None:
    with app.app_context(), pytest.raises(RuntimeError, match="nest"), transaction(), transaction():
        pass


def test_rows_that_were_changed_outside_are_refused_and_not_slipped_in(app: Flask) -> None:
    with app.app_context():
        _beat("a")
        with pytest.raises(RuntimeError, match="outside"), transaction():
            pass
        db.session.rollback()
        assert _names() == []


def test_a_callback_needs_a_transaction(app: Flask) -> None:
    with app.app_context(), pytest.raises(RuntimeError, match="transaction"):
        on_commit(lambda: None)


def test_a_look_before_a_write_does_not_spoil_the_write(app: Flask) -> None:
    """SQLite refuses to turn a read into a write once somebody else has written meanwhile."""
    with app.app_context():
        write = in_own_session(_write_one)
        for number in range(5):
            assert len(_names()) == number * 2
            write(f"theirs-{number}")
            with transaction():
                _beat(f"ours-{number}")


def _write_one(name: str) -> None:
    with transaction():
        _beat(name)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_connection_that_died_while_it_lay_idle_is_replaced(
    app: Flask, postgres: Postgres, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("portal.db"), "ASKED_AFTER_SECONDS", 0.0)
    name = settings.database_url.rpartition("/")[2]
    with app.app_context():
        with transaction():
            _beat("a")
        postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        assert _names() == ["a"]


def test_many_writers_at_once_lose_nothing(app: Flask) -> None:
    failures: list[SQLAlchemyError] = []

    def work(number: int) -> None:
        for step in range(20):
            try:
                with app.app_context():
                    _write_one(f"{number}-{step}")
            except SQLAlchemyError as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with app.app_context():
        assert failures == []
        assert db.session.scalar(select(func.count()).select_from(Heartbeat)) == 160


def test_times_come_back_in_utc_and_to_the_microsecond(app: Flask) -> None:
    at = datetime(2026, 3, 29, 2, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    with app.app_context():
        with transaction():
            _beat("a", at)
        db.session.expire_all()
        read = db.session.get_one(Heartbeat, "a").at
        assert read == at
        assert read.utcoffset() == timedelta(0)
        assert db.session.scalar(select(Heartbeat.name).where(Heartbeat.at <= at)) == "a"


def test_a_time_without_a_zone_is_refused(app: Flask) -> None:
    naive = datetime(2026, 1, 1)
    with app.app_context(), pytest.raises(SQLAlchemyError, match="without a zone"), transaction():
        _beat("a", naive)


def test_foreign_keys_are_kept_on_both_databases(app: Flask) -> None:
    from portal.models import ApiKey

    with app.app_context(), pytest.raises(SQLAlchemyError), transaction():
        db.session.add(ApiKey(merchant_id=999, name="a", prefix="p", secret_hash="h"))
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Merchant)) == 0


def test_a_row_of_a_small_table_is_found_by_its_index(app: Flask) -> None:
    """As foreign keys look it up: PostgreSQL keeps their plan while the table grows."""
    with app.app_context():
        with transaction():
            shop = accounts.create_merchant("Nordic Coffee", slug="nordic", timezone="UTC").id
        with transaction():
            db.session.add_all(Customer(merchant_id=shop, email=f"{number}@example.com") for number in range(150))
        with transaction():
            db.session.execute(text("ANALYZE"))
        explain = "EXPLAIN QUERY PLAN" if db.engine.dialect.name == "sqlite" else "EXPLAIN"
        plan = str(db.session.execute(text(f"{explain} SELECT 1 FROM customers WHERE id = 1")).all())
    assert "pk_customers" in plan or "PRIMARY KEY" in plan


# --- ids -----------------------------------------------------------------------------------------


def test_ids_rise_and_are_never_given_twice() -> None:
    ids = [new_id() for _ in range(5_000)] + new_ids(20_000)
    assert ids == sorted(set(ids))
    assert max(ids) < 2**63


def test_ids_are_never_given_twice_to_threads() -> None:
    found: list[list[int]] = []
    threads = [threading.Thread(target=lambda: found.append(new_ids(5_000))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each for ids in found for each in ids}) == 40_000


def test_ids_are_in_step_with_the_clock() -> None:
    later = datetime.now(UTC) + timedelta(days=400)
    with time_machine.travel(later, tick=False):
        assert new_id() >= first_id_at(later)
        assert new_id() < first_id_at(later + timedelta(seconds=1))


def test_ids_go_on_rising_when_the_clock_is_put_back() -> None:
    before = new_id()
    with time_machine.travel(datetime.now(UTC) - timedelta(hours=1)):
        assert new_id() > before


def _bits(new: int) -> int:
    """The part of an id that tells processes apart."""
    return new >> 12 & 0x3FF


def _bits_of_a_fork() -> int:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, str(_bits(new_id())).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        bits = int(file.read())
    os.waitpid(child, 0)
    return bits


def test_forked_processes_draw_bits_of_their_own() -> None:
    # Ten bits each: that four are alike happens once in a thousand million runs.
    assert len({_bits(new_id()), *(_bits_of_a_fork() for _ in range(3))}) > 1


# --- many values ---------------------------------------------------------------------------------


def test_a_list_is_one_parameter_however_long_it_is(app: Flask) -> None:
    """A connection to SQLite keeps what it has prepared: a megabyte for a list of five thousand, and another for each length."""
    said: set[str] = set()

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        said.add(statement)

    with app.app_context():
        events, merchants = Event.__table__.c, select(Merchant.name)
        db.session.execute(merchants)  # a transaction has begun
        event.listen(db.engine, "before_cursor_execute", note)
        try:
            for length in (2, 3, 5_000):
                db.session.execute(merchants.where(one_of(Merchant.id, range(length))))
                find_unique((events.id,), events.merchant_id, 1, {events.event_id: map(str, range(length))})
        finally:
            event.remove(db.engine, "before_cursor_execute", note)
    assert len(said) == 2, said


def test_a_list_holds_numbers_texts_and_bytes(app: Flask) -> None:
    names, moment, largest = ["1", 'a "quoted" one', "Zoë", "{[]}"], utcnow(), 2**63 - 1
    with app.app_context():
        with transaction():
            for name in (*names, "another"):
                _beat(name, moment)
            db.session.add(Merchant(id=largest, name="Largest", slug="largest", programme_name="Largest"))
            db.session.flush()
            db.session.add(ErasedEvent(merchant_id=largest, id_hash=b"\x00\xff'"))
        kept = db.session.scalars(select(Heartbeat.name).where(one_of(Heartbeat.name, names)))
        assert sorted(kept) == sorted(names)
        assert db.session.scalars(select(Heartbeat.name).where(one_of(Heartbeat.name, []))).all() == []
        assert db.session.scalar(select(Merchant.name).where(one_of(Merchant.id, [largest]))) == "Largest"
        hashes = select(ErasedEvent.merchant_id).where(one_of(ErasedEvent.id_hash, [b"\x00\xff'", b""]))
        assert db.session.scalar(hashes) == largest


def test_a_connection_to_sqlite_caches_little(tmp_path: Path) -> None:
    """Each has a cache of its own, and each thread of a worker a connection."""
    engine = create_engine(f"sqlite:///{tmp_path / 'one'}")
    with engine.connect() as connection:
        kilobytes = -connection.exec_driver_sql("PRAGMA cache_size").scalar_one()
    engine.dispose()
    assert 0 < kilobytes <= 2_000
