"""Imports of history as a person deals with them: handing in a file, starting, pausing, going on, calling off.

checking -> ready -> running <-> paused -> finished; cancelled from any of them, failed where it cannot go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import delete, select, update

from portal import queue
from portal.db import LARGEST_ID, changed_rows, db, new_id, on_commit, utcnow
from portal.errors import ConflictError, ConnectingError, NotFoundError
from portal.models import (
    ENDED,
    HistoryImport,
    ImportKind,
    ImportPiece,
    ImportProblem,
    ImportState,
    Module,
)
from portal.services import auditing, connecting, forgotten, modules

# What nobody starts is called off after this time: it holds personal data.
KEPT = timedelta(days=7)
UPLOAD_LASTS = timedelta(hours=2)
FROM_BEFORE = "Events from before the connection"


def begin(merchant_id: int, name: str) -> int:
    """A file begins to come in; its number."""
    return _create(merchant_id, ImportKind.FILE, name[:200], ImportState.RECEIVING).id


def add_piece(import_id: int, number: int, content: bytes) -> None:
    db.session.add(ImportPiece(import_id=import_id, number=number, content=content))


def hand_in(import_id: int, file_format: str, encoding: str, size: int, pieces: int, actor: str) -> None:
    """The whole file is there: let it be checked."""
    work = db.session.get_one(HistoryImport, import_id)
    work.format, work.encoding, work.size, work.pieces = file_format, encoding, size, pieces
    turn_to(work, ImportState.CHECKING)
    auditing.record(work.merchant_id, actor, "history file uploaded", work.name)


def drop(import_id: int) -> None:
    """It did not come in whole."""
    db.session.execute(delete(HistoryImport).where(HistoryImport.id == import_id))


def prepare_unsent(merchant_id: int, actor: str) -> HistoryImport:
    """What was recorded and not sent while Klaviyo was not connected or Events was off, to be counted first."""
    work = _create(merchant_id, ImportKind.UNSENT, FROM_BEFORE, ImportState.RECEIVING)
    turn_to(work, ImportState.CHECKING)
    auditing.record(merchant_id, actor, "events from before counted")
    return work


def _create(merchant_id: int, kind: ImportKind, name: str, state: ImportState) -> HistoryImport:
    now = utcnow()
    work = HistoryImport(
        id=new_id(), merchant_id=merchant_id, kind=kind, state=state, name=name, created_at=now, changed_at=now
    )
    db.session.add(work)
    db.session.flush()
    return work


def turn_to(work: HistoryImport, state: ImportState, reason: str | None = None) -> None:
    """Into another state; where that means work, whoever is free takes it up."""
    now = utcnow()
    work.state, work.changed_at, work.reason, work.turns = state, now, reason, 0
    # Those that have ended still have rows to be removed.
    works = state in (ImportState.CHECKING, ImportState.RUNNING, *ENDED)
    work.due_at = now if works else None
    if works:
        on_commit(partial(queue.enqueue, queue.IMPORTS, queue.IMPORT, work.id))


# --- by a person ---------------------------------------------------------------------------------


def start(merchant_id: int, import_id: int, actor: str) -> HistoryImport:
    """Raises `ConflictError` where it is not ready, `ConnectingError` where nothing could be sent."""
    work = _mine(merchant_id, import_id, (ImportState.READY,), "started")
    if hindrance := hindrance_of(merchant_id):
        raise ConnectingError(f"{hindrance} Then start the import.")
    _refuse_second(work)
    work.started_at = work.stepped_at = utcnow()
    return _turn(work, ImportState.RUNNING, actor, "history import started")


def pause(merchant_id: int, import_id: int, actor: str) -> HistoryImport:
    work = _mine(merchant_id, import_id, (ImportState.RUNNING,), "paused")
    return _turn(work, ImportState.PAUSED, actor, "history import paused")


def resume(merchant_id: int, import_id: int, actor: str) -> HistoryImport:
    work = _mine(merchant_id, import_id, (ImportState.PAUSED,), "continued")
    _refuse_second(work)
    work.stepped_at = utcnow()
    return _turn(work, ImportState.RUNNING, actor, "history import continued")


def cancel(merchant_id: int, import_id: int, actor: str) -> HistoryImport:
    """What has been recorded by then stays, and is delivered."""
    possible = (ImportState.CHECKING, ImportState.READY, ImportState.RUNNING, ImportState.PAUSED)
    work = _mine(merchant_id, import_id, possible, "cancelled")
    return _turn(work, ImportState.CANCELLED, actor, "history import cancelled")


def _turn(work: HistoryImport, state: ImportState, actor: str, deed: str) -> HistoryImport:
    turn_to(work, state)
    auditing.record(work.merchant_id, actor, deed, work.name)
    return work


def _mine(merchant_id: int, import_id: int, states: Sequence[ImportState], deed: str) -> HistoryImport:
    work = find(merchant_id, import_id, lock=True)
    if work.state not in states:
        raise ConflictError(f"The import is {work.state} and cannot be {deed} now.", code="wrong_state")
    return work


def _refuse_second(work: HistoryImport) -> None:
    running = select(HistoryImport.id).where(
        HistoryImport.merchant_id == work.merchant_id,
        HistoryImport.state == ImportState.RUNNING,
        HistoryImport.id != work.id,
    )
    if db.session.scalar(running.limit(1)) is not None:
        raise ConflictError("Another import is running. Wait until it has finished, or pause it.", code="one_at_a_time")


def hindrance_of(merchant_id: int) -> str | None:
    """Why nothing can be sent at present, with the remedy."""
    connection = connecting.connection_of(merchant_id)
    if connection is None or not connection.is_connected:
        return "Klaviyo is not connected. Connect it first."
    if modules.switches(merchant_id)[Module.EVENTS] is None:
        return "Events is switched off. Switch it on first."
    return None


# --- looking -------------------------------------------------------------------------------------


def find(merchant_id: int, import_id: int, *, lock: bool = False) -> HistoryImport:
    """Raises `NotFoundError`, also for another merchant's."""
    query = select(HistoryImport).where(HistoryImport.merchant_id == merchant_id, HistoryImport.id == import_id)
    query = query.execution_options(populate_existing=True)
    work = db.session.scalar(query.with_for_update() if lock else query)
    if work is None or work.state == ImportState.RECEIVING:
        raise NotFoundError("There is no such import.")
    return work


def latest(merchant_id: int, limit: int = 20) -> Sequence[HistoryImport]:
    """Newest first."""
    query = (
        select(HistoryImport)
        .where(HistoryImport.merchant_id == merchant_id, HistoryImport.state != ImportState.RECEIVING)
        .order_by(HistoryImport.id.desc())
        .limit(limit)
    )
    return db.session.scalars(query).all()


def running(merchant_id: int) -> HistoryImport | None:
    """The one that runs, for the status panel."""
    query = (
        select(HistoryImport)
        .where(HistoryImport.merchant_id == merchant_id, HistoryImport.state == ImportState.RUNNING)
        .order_by(HistoryImport.id.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    )
    return db.session.scalar(query)


def problems(import_id: int, after_line: int, limit: int = 1_000) -> Sequence[ImportProblem]:
    """Rows that were refused, in the order of the file."""
    query = select(ImportProblem).where(
        ImportProblem.import_id == import_id, ImportProblem.line > min(after_line, LARGEST_ID)
    )
    return db.session.scalars(query.order_by(ImportProblem.line).limit(limit)).all()


def let_go(now: datetime, keep_days: int) -> int:
    """Call off what nobody started, remove uploads that broke off and imports that are long over; how many were removed."""
    for work in db.session.scalars(
        select(HistoryImport).where(
            HistoryImport.state.in_((ImportState.READY, ImportState.PAUSED)), HistoryImport.changed_at < now - KEPT
        )
    ):
        turn_to(work, ImportState.CANCELLED, f"Nobody continued it within {KEPT.days} days.")
    broken_off = (HistoryImport.state == ImportState.RECEIVING) & (HistoryImport.changed_at < now - UPLOAD_LASTS)
    long_over = HistoryImport.state.in_(ENDED) & (HistoryImport.changed_at < now - timedelta(days=keep_days))
    long_over &= HistoryImport.due_at.is_(None)
    gone = delete(HistoryImport).where(broken_off | long_over).execution_options(synchronize_session=False)
    removed = changed_rows(db.session.execute(gone))
    forgotten.let_go()
    return removed


def due(now: datetime) -> Sequence[int]:
    """Imports for which there is work and nobody at it, longest due first."""
    query = select(HistoryImport.id).where(HistoryImport.due_at.is_not(None), HistoryImport.due_at <= now)
    return db.session.scalars(query.order_by(HistoryImport.due_at).limit(10)).all()


def hold(import_id: int, now: datetime) -> bool:
    """Somebody is being rung for it: nobody else need be, for some seconds."""
    held = (
        update(HistoryImport)
        .where(HistoryImport.id == import_id, HistoryImport.due_at.is_not(None), HistoryImport.due_at <= now)
        .values(due_at=now + timedelta(seconds=5), lease=None)
        .execution_options(synchronize_session=False)
    )
    return changed_rows(db.session.execute(held)) == 1
