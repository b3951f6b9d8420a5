"""The work on an import, in steps of one transaction each: a piece of a file is checked, some rows are recorded, or removed.

Whoever works holds a lease that each step renews; where it was killed, the next one goes on after the last step.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, or_, select, tuple_, update

from portal.bulk import insert_rows
from portal.db import changed_rows, db, new_id, one_of, utcnow
from portal.errors import ConflictError, InvalidError, PortalError
from portal.models import Delivery, HistoryImport, ImportPiece, ImportProblem, ImportRow, ImportState, Merchant
from portal.services import events, forgotten, history_columns
from portal.services.events import DUPLICATE, Outcome
from portal.services.hearing import hear
from portal.services.history_columns import Columns
from portal.services.history_files import CSV
from portal.services.history_lines import Refused, Row, cut
from portal.services.history_rows import Reader, Ready
from portal.services.imports import turn_to
from portal.services.recording import Told

ROWS_AT_ONCE = 500
REMOVED_AT_ONCE = 5_000
SOURCE = "history"
# So many turns without a step: something is wrong that trying does not mend.
MOST_TURNS = 10
LONGEST_STEP = 30.0
# Deliveries of history end like this, and no others.
BACKFILL = Delivery.payload.endswith('"backfill":true}')
GONE = ConflictError(forgotten.REASON)
OUR_FAULT = "Something went wrong on our side, several times in a row. What was imported stays. Cancel, and import the file again."


@dataclass(frozen=True)
class Turn:
    """The right to work on one import."""

    import_id: int
    lease: int


@dataclass(frozen=True)
class Piece:
    """A piece of the file, checked: what is ready to be kept, what was refused, and where reading goes on."""

    ready: Sequence[Ready]
    refused: Sequence[Refused]
    lines_read: int
    rest: bytes
    columns: Columns | None


def take(import_id: int, now: datetime, seconds: int) -> Turn | None:
    """None where there is no work, or somebody is at it."""
    turn = Turn(import_id, new_id())
    taken = db.session.execute(
        update(HistoryImport)
        .where(HistoryImport.id == import_id, HistoryImport.due_at.is_not(None))
        .where(or_(HistoryImport.lease.is_(None), HistoryImport.due_at <= now))
        .values(due_at=now + timedelta(seconds=seconds), lease=turn.lease, turns=HistoryImport.turns + 1)
        .returning(HistoryImport.turns)
        .execution_options(synchronize_session=False)
    ).scalar()
    if taken is not None and taken > MOST_TURNS:
        work = mine(turn)
        if work is not None and not work.has_ended:
            fail(work, OUR_FAULT)
    return None if taken is None else turn


def mine(turn: Turn) -> HistoryImport | None:
    """The import, locked, as it is now; None where the lease is no longer ours."""
    query = select(HistoryImport).where(HistoryImport.id == turn.import_id, HistoryImport.lease == turn.lease)
    return db.session.scalar(query.with_for_update().execution_options(populate_existing=True))


def look(turn: Turn) -> HistoryImport | None:
    """The same without the lock, to prepare a step."""
    query = select(HistoryImport).where(HistoryImport.id == turn.import_id, HistoryImport.lease == turn.lease)
    return db.session.scalar(query.execution_options(populate_existing=True))


def renew(work: HistoryImport, seconds: int, now: datetime) -> None:
    work.due_at, work.turns = now + timedelta(seconds=seconds), 0


def note_time(work: HistoryImport, now: datetime) -> None:
    """Count how long the work took, for an honest estimate."""
    if work.stepped_at:
        work.busy_seconds += min((now - work.stepped_at).total_seconds(), LONGEST_STEP)
    work.stepped_at = now


def release(turn: Turn, now: datetime, rest_seconds: float = 0, reason: str | None = None) -> bool:
    """End a turn; whether there is more to do at once."""
    work = mine(turn)
    if work is None:
        return False
    work.lease = None
    if reason is not None or work.state == ImportState.RUNNING:
        work.reason = reason
    if rest_seconds:
        work.stepped_at = None
    if work.due_at is not None:
        work.due_at = now + timedelta(seconds=rest_seconds)
    return work.due_at is not None and not rest_seconds


def fail(work: HistoryImport, reason: str) -> None:
    turn_to(work, ImportState.FAILED, reason)


# --- checking a file -----------------------------------------------------------------------------


def read_piece(work: HistoryImport) -> Piece:
    """The next piece of the file, checked, without writing. Raises `InvalidError` where the file as a whole is no use."""
    content = work.rest + (_piece(work.id, work.pieces_read) or b"")
    columns, lines_read = history_columns.from_text(work.header) if work.header else None, work.lines_read
    if columns is None and work.format == CSV:
        columns, lines_read, content = _header(content, work)
    done = cut(
        content,
        lines_read,
        last=work.pieces_read + 1 >= work.pieces,
        delimiter=columns.delimiter if columns else None,
    )
    reader = Reader(columns, work.encoding, _zone(work.merchant_id), utcnow())
    read = [reader.read(row) if isinstance(row, Row) else row for row in done.rows]
    ready, repeats = _apart(work.id, [row for row in read if isinstance(row, Ready)])
    refused = [row for row in read if isinstance(row, Refused)]
    return Piece(ready, [*refused, *repeats], done.lines_read, done.rest, columns)


def _piece(import_id: int, number: int) -> bytes | None:
    return db.session.scalar(
        select(ImportPiece.content).where(ImportPiece.import_id == import_id, ImportPiece.number == number)
    )


def _header(content: bytes, work: HistoryImport) -> tuple[Columns, int, bytes]:
    lines_read = 0
    while content:
        line, _, content = content.partition(b"\n")
        lines_read += 1
        if line.strip():
            return history_columns.read_header(line.rstrip(b"\r").decode(work.encoding, "replace")), lines_read, content
    raise InvalidError(
        "The file has no row that names its columns. Add a first line such as id,type,email,occurred_at,change."
    )


def _zone(merchant_id: int) -> ZoneInfo:
    return ZoneInfo(db.session.get_one(Merchant, merchant_id).timezone)


def _apart(import_id: int, ready: Sequence[Ready]) -> tuple[list[Ready], list[Refused]]:
    """Each id once: those whose id an earlier row of the file has are refused."""
    query = select(ImportRow.event_id, ImportRow.line).where(
        ImportRow.import_id == import_id, one_of(ImportRow.event_id, [row.event_id for row in ready])
    )
    seen = {row.event_id: row.line for row in db.session.execute(query)} if ready else {}
    first, repeats = [], []
    for row in ready:
        if row.event_id in seen:
            reason = f"Line {seen[row.event_id]:,} has the same id already, or says the same. Give each event an id of its own."
            repeats.append(Refused(row.line, reason, row.event_id))
        else:
            seen[row.event_id] = row.line
            first.append(row)
    return first, repeats


def settle_piece(work: HistoryImport, piece: Piece) -> None:
    """Keep what was read, and go on after it; at the end of the file it is ready."""
    if piece.ready:
        insert_rows(ImportRow, [_row(work.id, row) for row in piece.ready])
        moments = [row.occurred_at for row in piece.ready]
        work.first_at = min([*moments, *([work.first_at] if work.first_at else [])])
        work.last_at = max([*moments, *([work.last_at] if work.last_at else [])])
    _refuse(work, piece.refused)
    db.session.execute(
        delete(ImportPiece).where(ImportPiece.import_id == work.id, ImportPiece.number == work.pieces_read)
    )
    if piece.columns and work.header is None:
        work.header, work.columns_ignored = piece.columns.as_text(), ", ".join(piece.columns.ignored)[:500]
    work.found += len(piece.ready)
    work.lines_read, work.rest = piece.lines_read, piece.rest
    work.pieces_read += 1
    if work.pieces_read < work.pieces:
        return
    if work.found:
        turn_to(work, ImportState.READY)
    else:
        fail(work, "No row of the file can be imported." + (" The list of problems says why." if work.refused else ""))


def _row(import_id: int, row: Ready) -> dict[str, object]:
    return {
        "import_id": import_id,
        "occurred_at": row.occurred_at,
        "line": row.line,
        "event_id": row.event_id,
        "document": row.document,
    }


def _refuse(work: HistoryImport, refused: Sequence[Refused]) -> None:
    work.refused += len(refused)
    if refused:
        insert_rows(
            ImportProblem,
            [
                {"import_id": work.id, "line": each.line, "event_id": each.event_id, "reason": each.reason[:500]}
                for each in refused
            ],
        )


# --- recording -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    """The next rows in order of time, as they are to be recorded."""

    told: Sequence[Told]
    lines: Sequence[int]
    last: bool


def next_batch(work: HistoryImport) -> Batch:
    """Without writing."""
    query = select(ImportRow.occurred_at, ImportRow.line, ImportRow.document).where(ImportRow.import_id == work.id)
    if work.at_time is not None:
        query = query.where(tuple_(ImportRow.occurred_at, ImportRow.line) > tuple_(work.at_time, work.at_number))
    rows = db.session.execute(query.order_by(ImportRow.occurred_at, ImportRow.line).limit(ROWS_AT_ONCE)).all()
    now = utcnow()
    told = [hear(json.loads(row.document), now, SOURCE) for row in rows]
    return Batch(told, [row.line for row in rows], len(rows) < ROWS_AT_ONCE)


def settle_batch(work: HistoryImport, batch: Batch) -> None:
    """Record them, with everything that follows from them, and go on after them; at the end it has finished."""
    if batch.told:
        before = new_id()
        outcomes = _record(work, batch.told)
        refused = [
            Refused(line, outcome.message, told.event_id)
            for line, told, outcome in zip(batch.lines, batch.told, outcomes, strict=True)
            if isinstance(outcome, PortalError)
        ]
        _refuse(work, refused)
        work.known += outcomes.count(DUPLICATE)
        work.done += len(batch.told)
        work.promised += _promised_since(work.merchant_id, before)
        work.at_time, work.at_number = batch.told[-1].occurred_at, batch.lines[-1]
    if batch.last:
        turn_to(work, ImportState.FINISHED)


def _record(work: HistoryImport, told: Sequence[Told]) -> list[Outcome]:
    """Of all but those who were erased since the file was handed in."""
    erased = forgotten.among(work.merchant_id, [each.customer for each in told], work.created_at)
    left = [each for each, gone in zip(told, erased, strict=True) if not gone]
    recorded = iter(events.record(work.merchant_id, left, history=True))
    return [GONE if gone else next(recorded) for gone in erased]


def _promised_since(merchant_id: int, before: int) -> int:
    query = select(func.count()).where(Delivery.id > before, Delivery.merchant_id == merchant_id, BACKFILL)
    return db.session.scalar(query) or 0


# --- tidying -------------------------------------------------------------------------------------


def tidy(work: HistoryImport) -> None:
    """Remove some of what is left of the file; the counts and the problems stay."""
    for table in (ImportRow, ImportPiece):
        keys = list(table.__table__.primary_key)
        some = select(*keys).where(keys[0] == work.id).limit(REMOVED_AT_ONCE)
        gone = delete(table).where(tuple_(*keys).in_(some)).execution_options(synchronize_session=False)
        if changed_rows(db.session.execute(gone)):
            return
    work.due_at, work.rest = None, b""
