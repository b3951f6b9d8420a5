"""One turn of a segment's import: begin or go on, walk, and once everything is read, let the new set take the old one's place."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timedelta

from portal import config
from portal.db import db, transaction, utcnow
from portal.jobs.segment_asking import Asker, TurnOverError
from portal.jobs.segment_walk import Walk
from portal.jobs.turns import HaltError
from portal.klaviyo import KlaviyoError
from portal.klaviyo.segments import Overview
from portal.models import RunState
from portal.services import (
    connecting,
    connection_health,
    reach,
    segment_members,
    segment_parts,
    segment_runs,
    segment_schedule,
    segment_trouble,
    tokens,
)
from portal.services.segment_runs import LostLeaseError, Run
from portal.services.segment_schedule import Claim
from portal.services.segment_trouble import Kind, Trouble

log = logging.getLogger(__name__)

# Then others have their turn.
TURN_SECONDS = 30.0
# A count that is younger than that is not asked for again: Klaviyo counts few times a minute.
COUNT_KEEPS = timedelta(seconds=15)


class _NotFinalError(Exception):
    """Klaviyo is still working the segment out."""


def take_turn(claim: Claim, stopping: threading.Event) -> None:
    """Carry the segment's import on for a turn. Whatever stands in the way is written down for the page."""
    asker = Asker(claim, time.monotonic() + TURN_SECONDS)
    turn = _Turn(claim, asker)
    try:
        turn.carry_on(stopping)
    except LostLeaseError:
        log.info("import taken over or ended by others", extra={"segment_id": claim.segment_id})
    except KlaviyoError as error:
        turn.settle(segment_trouble.judge(error, utcnow()))
    except TurnOverError:
        turn.release()
    except HaltError:
        turn.settle(segment_trouble.of_connection(connecting.connection_of(claim.merchant_id), utcnow()))
    except _NotFinalError:
        turn.settle(Trouble(Kind.LATER, segment_trouble.NOT_FINAL, utcnow() + segment_schedule.NOT_FINAL_AGAIN))
    except Exception:  # settled here: its lease ends, and another turn goes on
        log.exception("a turn of an import failed", extra={"segment_id": claim.segment_id})
    finally:
        db.session.remove()


class _Turn:
    def __init__(self, claim: Claim, asker: Asker) -> None:
        self._claim, self._asker = claim, asker
        self._run: Run | None = None
        self._progress = False
        self._told: tuple[Overview, datetime] | None = None

    def carry_on(self, stopping: threading.Event) -> None:
        until = time.monotonic() + TURN_SECONDS
        with transaction():
            self._run = segment_runs.find_open(self._claim, utcnow())
        run = self._run = self._run or self._begin()
        walk = Walk(self._claim, run, self._asker)
        try:
            everything = walk.go(until, stopping)
        finally:
            self._progress = walk.pages > 0
        if everything:
            self._finish(run)
        else:
            self.release()

    def _begin(self) -> Run:
        segment_id = self._claim.segment_id
        known = segment_runs.count_known(segment_id)
        db.session.rollback()
        told = self._asker.overview(counted=known is None)
        self._note(told)
        careful = segment_runs.found_by_short_run(segment_id) is not None
        expected = told.profile_count if told.profile_count is not None else known
        former = segment_runs.former_parts(segment_id)
        db.session.rollback()
        parts = segment_parts.whole()
        if not careful and (expected or 0) >= segment_parts.DIVIDE_FROM:
            earliest = self._asker.members(size=1).members
            latest = self._asker.members(size=1, latest_first=True).members
            if earliest and latest and earliest[0].joined_at and latest[0].joined_at:
                parts = segment_parts.divide(earliest[0].joined_at, latest[0].joined_at, former)
        with transaction():
            return segment_runs.open_run(self._claim, parts, expected, utcnow(), careful=careful)

    def _note(self, told: Overview) -> None:
        self._told = told, utcnow()
        with transaction():
            segment_runs.note_overview(self._claim, told, utcnow())
        if told.is_processing:
            raise _NotFinalError

    def _finish(self, run: Run) -> None:
        """Everything is read. Is it everything?"""
        told = self._counted_lately()
        if told is None:
            told = self._asker.overview(counted=True)
            self._note(told)
        counted, found = told.profile_count, segment_runs.members_found(run)
        before = segment_runs.found_by_short_run(self._claim.segment_id, run.whose.generation)
        db.session.rollback()
        note = None
        if counted is not None and segment_runs.is_short(found, counted):
            if not run.careful or before is None or segment_runs.is_short(found, before):
                self._give_up(run, segment_trouble.short(found, counted))
                return
            note = segment_trouble.short_after_all(found, counted)
        joined, left = self._record_changes(run) if run.whose.shown else (found, 0)
        with transaction():
            segment_runs.complete(self._claim, run, joined, left, utcnow(), note)
        log.info("segment imported", extra={"segment_id": self._claim.segment_id, "members": found, "left": left})
        self._tidy(run)

    def _counted_lately(self) -> Overview | None:
        if self._told is None or self._told[0].profile_count is None or self._told[1] < utcnow() - COUNT_KEEPS:
            return None
        return self._told[0]

    def _give_up(self, run: Run, reason: str) -> None:
        now = utcnow()
        with transaction():
            segment_runs.fail(run.id, reason, now, RunState.SHORT)
            segment_schedule.give_back(self._claim, segment_schedule.retry_at(0, now), problem=reason, problem_at=now)

    def _record_changes(self, run: Run) -> tuple[int, int]:
        joined = left = 0
        for rows in segment_members.changes(run.whose):
            db.session.rollback()  # the reading is done: the writing is a transaction of its own
            with transaction():
                if not segment_schedule.renew(self._claim, utcnow(), config.current().lease_seconds):
                    raise LostLeaseError
                segment_members.record_changes(run.id, rows)
            joined += sum(row["way"] == "joined" for row in rows)
            left += sum(row["way"] == "left" for row in rows)
        return joined, left

    def _tidy(self, run: Run) -> None:
        """Nothing of it is seen, and what is left of it is done by the next run."""
        while True:
            with transaction():
                more = segment_members.sweep(run.whose.segment_id, run.whose.generation)
            if not more:
                break
        for changed in reach.changes(run.whose.segment_id):
            db.session.rollback()
            with transaction():
                reach.note(run.whose.segment_id, changed)
        found = reach.count(run.whose.segment_id, utcnow())
        db.session.rollback()
        with transaction():
            reach.keep(found)

    def release(self) -> None:
        """Others first; the next turn is due at once."""
        with transaction():
            segment_schedule.give_back(self._claim, utcnow())

    def settle(self, trouble: Trouble) -> None:
        now = utcnow()
        db.session.rollback()
        failures = 0 if self._progress else segment_runs.failures_of(self._claim.segment_id)
        db.session.rollback()
        run_id = self._run.id if self._run else None
        with transaction():
            due_at = trouble.due_at or segment_schedule.retry_at(failures, now)
            ours = segment_runs.interrupt(self._claim, run_id, trouble.words, due_at, now, failures=failures + 1)
            if not ours:
                return
            if trouble.kind is Kind.GONE:
                segment_runs.note_gone(self._claim.segment_id, run_id, trouble.words, now)
            if trouble.kind is Kind.BROKEN:
                connection_health.break_off(self._claim.merchant_id, tokens.LOST, now)
        log.warning("import interrupted", extra={"segment_id": self._claim.segment_id, "kind": trouble.kind.value})
