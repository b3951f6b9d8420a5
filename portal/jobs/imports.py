"""Work on imports of history, in short turns that can be cut off at any point: the next one goes on after the last step."""

from __future__ import annotations

import logging
import time
from enum import Enum

from sqlalchemy.exc import IntegrityError, OperationalError

from portal import config, queue
from portal.db import db, transaction, utcnow
from portal.errors import PortalError
from portal.models import HistoryImport, ImportKind, ImportState
from portal.services import importing, imports, outbox, unsent
from portal.services.importing import Turn

log = logging.getLogger(__name__)

TURN_SECONDS = 2.0
# So much may wait for delivery; what happens now never stands behind more history than that.
MOST_WAITING = 5_000
BREATH_SECONDS = 0.05
HINDERED_SECONDS = 5.0


class Step(Enum):
    DONE = "done"
    # Klaviyo has to catch up first, or somebody else wrote the same rows at this moment.
    WAIT = "wait"
    # Nothing more to do in this turn.
    END = "end"


def advance(import_id: int) -> None:
    """RQ job: work for one turn, and ask for another if something is left."""
    if take_turn(import_id):
        queue.enqueue(queue.IMPORTS, queue.IMPORT, import_id)


def ring_for_due() -> None:
    """Hand to the workers what nobody works on. Without Redis one turn is taken here."""
    for import_id in imports.due(utcnow()):
        with transaction():
            ours = imports.hold(import_id, utcnow())
        if ours and not queue.enqueue(queue.IMPORTS, queue.IMPORT, import_id):
            take_turn(import_id)
            return


def take_turn(import_id: int) -> bool:
    """Work for up to TURN_SECONDS; whether there is more to do at once."""
    deadline = time.monotonic() + TURN_SECONDS
    with transaction():
        turn = importing.take(import_id, utcnow(), config.current().lease_seconds)
    if turn is None:
        return False
    step, hindrance = Step.DONE, None
    while step is not Step.END and time.monotonic() < deadline:
        db.session.rollback()
        work = importing.look(turn)
        if work is None:
            return False
        hindrance = _hindrance(work)
        step = Step.END if hindrance else _step(turn, work)
        if step is Step.WAIT:
            time.sleep(BREATH_SECONDS)
    with transaction():
        return importing.release(turn, utcnow(), HINDERED_SECONDS if hindrance else 0, hindrance)


def _hindrance(work: HistoryImport) -> str | None:
    return imports.hindrance_of(work.merchant_id) if work.state == ImportState.RUNNING else None


def _step(turn: Turn, work: HistoryImport) -> Step:
    """One step of whatever the import's state asks for."""
    try:
        if work.has_ended:
            return _tidy(turn)
        if work.state == ImportState.CHECKING:
            return _check(turn, work)
        if work.state == ImportState.RUNNING:
            return _record(turn, work)
    except (IntegrityError, OperationalError) as error:
        log.warning("import step postponed", extra={"import": turn.import_id, "error": type(error).__name__})
        return Step.WAIT
    return Step.END


def _check(turn: Turn, work: HistoryImport) -> Step:
    if work.kind == ImportKind.UNSENT:
        with transaction():
            if (ours := _ours(turn, ImportState.CHECKING)) is not None:
                unsent.settle_count(ours)
        return Step.END
    try:
        piece = importing.read_piece(work)
    except PortalError as error:
        with transaction():
            if (ours := _ours(turn, ImportState.CHECKING)) is not None:
                importing.fail(ours, error.message)
        return Step.DONE
    with transaction():
        if (ours := _ours(turn, ImportState.CHECKING)) is not None:
            importing.settle_piece(ours, piece)
    return Step.DONE


def _record(turn: Turn, work: HistoryImport) -> Step:
    if outbox.has_waiting(work.merchant_id, MOST_WAITING - importing.ROWS_AT_ONCE):
        return Step.WAIT
    batch = importing.next_batch(work) if work.kind == ImportKind.FILE else None
    with transaction():
        if (ours := _ours(turn, ImportState.RUNNING)) is None:
            return Step.DONE
        if batch is not None:
            importing.settle_batch(ours, batch)
        else:
            unsent.settle_some(ours)
        importing.note_time(ours, utcnow())
    return Step.DONE


def _tidy(turn: Turn) -> Step:
    with transaction():
        ours = importing.mine(turn)
        if ours is None or ours.due_at is None:
            return Step.END
        importing.tidy(ours)
        return Step.DONE if ours.due_at is not None else Step.END


def _ours(turn: Turn, state: ImportState) -> HistoryImport | None:
    """The import under our lease, renewed, where a person has not changed its state meanwhile."""
    work = importing.mine(turn)
    if work is None or work.state != state:
        return None
    importing.renew(work, config.current().lease_seconds, utcnow())
    return work


def let_go() -> None:
    with transaction():
        imports.let_go(utcnow(), config.current().keep_failed_days)
