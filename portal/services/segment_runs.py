"""A run from its beginning to its end, in the database. Each function is one beat of the importer and holds only while the lease does.

Until `complete` nothing that a run does is seen; a run that fails has removed nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, delete, func, select, update

from portal.db import db, new_id
from portal.klaviyo.segments import Overview, Profile
from portal.models import RunState, Segment, SegmentPart, SegmentRun
from portal.services import segment_counts, segment_members, segment_schedule
from portal.services.segment_members import Whose
from portal.services.segment_parts import Part
from portal.services.segment_schedule import Claim

# What was read that long ago says too little: the run begins anew. Very large ones have longer.
LONGEST_RUN = timedelta(hours=1)
# So much less than Klaviyo's own count may be found, for members come and go during the walk.
SHORT_BY, SHORT_BY_SHARE = 2, 0.005
_PART = ("since", "until", "stop_at", "position", "cursor", "pages", "done")


class LostLeaseError(Exception):
    """Somebody else imports the segment now, or it is no longer selected: nothing of ours is written."""


@dataclass(frozen=True)
class Run:
    """An open run, as it was when this turn began."""

    id: int
    whose: Whose
    started_at: datetime
    expected: int | None
    careful: bool
    parts: tuple[Part, ...]


@dataclass
class Progress:
    """What a turn has read since it was last written down."""

    profiles: list[Profile]
    parts: dict[int, Part]
    pages: int = 0
    requests: int = 0
    reason: str | None = None


def find_open(claim: Claim, now: datetime) -> Run | None:
    """The run that an earlier turn has left; one that is too old is given up."""
    row = db.session.scalar(
        select(SegmentRun).where(SegmentRun.segment_id == claim.segment_id, SegmentRun.state == RunState.RUNNING)
    )
    if row is None:
        return None
    if row.started_at < now - longest(row.expected):
        _end(row, RunState.FAILED, now, "It took much longer than it should, and began anew.")
        return None
    parts = db.session.scalars(select(SegmentPart).where(SegmentPart.run_id == row.id).order_by(SegmentPart.id)).all()
    return _run(row, [Part(part.id, *(getattr(part, name) for name in _PART)) for part in parts])


def longest(expected: int | None) -> timedelta:
    """After that a run is given up: twice what reading so many takes where Klaviyo's limit is all that holds us up."""
    seconds = segment_counts.seconds_for(expected or 0)
    return max(LONGEST_RUN, timedelta(seconds=2 * seconds))


def _run(row: SegmentRun, parts: Iterable[Part]) -> Run:
    shown = db.session.scalar(select(Segment.generation).where(Segment.id == row.segment_id)) or 0
    whose = Whose(row.merchant_id, row.segment_id, row.generation, shown)
    return Run(row.id, whose, row.started_at, row.expected, row.careful, tuple(parts))


def former_parts(segment_id: int) -> list[Part]:
    """How the last complete run was divided."""
    last = select(func.max(SegmentRun.id)).where(
        SegmentRun.segment_id == segment_id, SegmentRun.state == RunState.COMPLETE
    )
    parts = db.session.scalars(select(SegmentPart).where(SegmentPart.run_id == last.scalar_subquery())).all()
    return [Part(part.id, *(getattr(part, name) for name in _PART)) for part in parts]


def found_by_short_run(segment_id: int, before: int | None = None) -> int | None:
    """How many members the run before found, where it came out short."""
    query = (
        select(SegmentRun).where(SegmentRun.segment_id == segment_id).order_by(SegmentRun.generation.desc()).limit(1)
    )
    if before is not None:
        query = query.where(SegmentRun.generation < before)
    last = db.session.scalar(query)
    return last.members if last is not None and last.state == RunState.SHORT else None


def note_overview(claim: Claim, told: Overview, now: datetime) -> None:
    """How Klaviyo says that the segment stands."""
    values: dict[str, Any] = {
        "name": told.name[:300],
        "former_name": case((Segment.name != told.name[:300], Segment.name), else_=Segment.former_name),
        "is_active": told.is_active,
        "is_processing": told.is_processing,
        "is_relative": told.is_relative,
        "klaviyo_updated_at": told.updated_at,
        "gone_at": None,
    }
    if told.profile_count is not None:
        values |= {"profile_count": told.profile_count, "counted_at": now}
    _keep(claim, **values)


def open_run(claim: Claim, parts: Iterable[Part], expected: int | None, now: datetime, *, careful: bool) -> Run:
    """Raises `LostLeaseError`."""
    _keep(claim)
    last = db.session.scalar(select(func.max(SegmentRun.generation)).where(SegmentRun.segment_id == claim.segment_id))
    row = SegmentRun(
        id=new_id(),
        merchant_id=claim.merchant_id,
        segment_id=claim.segment_id,
        generation=(last or 0) + 1,
        state=RunState.RUNNING,
        started_at=now,
        expected=expected,
        careful=careful,
    )
    db.session.add(row)
    db.session.flush()
    found = tuple(parts)
    _save_parts(row.id, {part.id: part for part in found}, {})
    return _run(row, found)


def save(
    claim: Claim, run: Run, progress: Progress, outline: Mapping[int, Part], lease_seconds: int, now: datetime
) -> None:
    """Write down what was read and how far the parts have come, together. Raises `LostLeaseError`.

    How far a part has come is told by what was read of it; where it ends, by the outline, which is newer.
    """
    if not segment_schedule.renew(claim, now, lease_seconds):
        raise LostLeaseError
    _save_parts(run.id, outline, progress.parts)
    met = segment_members.take_over(run.whose, progress.profiles) if progress.profiles else 0
    values: dict[str, Any] = {
        "pages": SegmentRun.pages + progress.pages,
        "requests": SegmentRun.requests + progress.requests,
        "members": SegmentRun.members + met,
    }
    if progress.reason:
        values["reason"] = progress.reason
    _update_run(run.id, **values)


def _save_parts(run_id: int, outline: Mapping[int, Part], read: Mapping[int, Part]) -> None:
    rows = {row.id: row for row in db.session.scalars(select(SegmentPart).where(SegmentPart.run_id == run_id))}
    for part_id, part in outline.items():
        row = rows.get(part_id)
        if row is None:
            row = SegmentPart(id=part_id, run_id=run_id, since=part.since, until=part.until, pages=0, done=False)
            db.session.add(row)
        row.stop_at = part.stop_at
        if so_far := read.get(part_id):
            row.since, row.position, row.cursor = so_far.since, so_far.position, so_far.cursor
            row.pages, row.done = so_far.pages, so_far.done


def is_short(found: int, counted: int) -> bool:
    """Whether so many are too few to be all."""
    return found < counted - max(SHORT_BY, counted * SHORT_BY_SHARE)


def members_found(run: Run) -> int:
    return db.session.scalar(select(SegmentRun.members).where(SegmentRun.id == run.id)) or 0


def complete(claim: Claim, run: Run, joined: int, left: int, now: datetime, note: str | None = None) -> None:
    """From here on this run's set is the one that is seen. Raises `LostLeaseError`."""
    row = db.session.get_one(SegmentRun, run.id, populate_existing=True)
    kept = segment_schedule.give_back(
        claim,
        segment_schedule.next_due(run.started_at, now),
        generation=run.whose.generation,
        complete_from=run.started_at,
        complete_at=now,
        members=row.members,
        failures=0,
        problem=None,
        problem_at=None,
        asked_at=None,
    )
    if not kept:
        raise LostLeaseError
    row.joined, row.left = joined, left
    _end(row, RunState.COMPLETE, now, note or row.reason)
    former = select(SegmentRun.id).where(SegmentRun.segment_id == claim.segment_id, SegmentRun.id != run.id)
    db.session.execute(
        delete(SegmentPart).where(SegmentPart.run_id.in_(former)).execution_options(synchronize_session=False)
    )


def fail(run_id: int, reason: str, now: datetime, state: RunState = RunState.FAILED) -> None:
    """Give the run up: the next begins anew."""
    _end(db.session.get_one(SegmentRun, run_id, populate_existing=True), state, now, reason)


def interrupt(
    claim: Claim, run_id: int | None, problem: str, due_at: datetime, now: datetime, *, failures: int
) -> bool:
    """Something stands in the way; what was read is kept, and the run goes on at `due_at`. False where it is no longer ours."""
    if not segment_schedule.give_back(claim, due_at, failures=failures, problem=problem, problem_at=now):
        return False
    if run_id is not None:
        _update_run(run_id, reason=problem)
    return True


def note_gone(segment_id: int, run_id: int | None, words: str, now: datetime) -> None:
    """Klaviyo has no such segment: what was read of it since is of no use."""
    db.session.execute(
        update(Segment).where(Segment.id == segment_id).values(gone_at=now).execution_options(synchronize_session=False)
    )
    if run_id is not None:
        fail(run_id, words, now)


def count_known(segment_id: int) -> int | None:
    """How many members it had when it was last counted."""
    return db.session.scalar(select(Segment.profile_count).where(Segment.id == segment_id))


def failures_of(segment_id: int) -> int:
    return db.session.scalar(select(Segment.failures).where(Segment.id == segment_id)) or 0


def _end(row: SegmentRun, state: RunState, now: datetime, reason: str | None) -> None:
    row.state, row.ended_at, row.reason = state, now, reason


def _update_run(run_id: int, **values: Any) -> None:
    query = update(SegmentRun).where(SegmentRun.id == run_id).values(**values)
    db.session.execute(query.execution_options(synchronize_session=False))


def _keep(claim: Claim, **values: Any) -> None:
    """Write to the segment while it is ours. Raises `LostLeaseError`."""
    query = update(Segment).where(Segment.id == claim.segment_id, Segment.lease == claim.lease)
    found = db.session.execute(
        query.values(lease=claim.lease, **values).returning(Segment.id).execution_options(synchronize_session=False)
    ).first()
    if found is None:
        raise LostLeaseError
