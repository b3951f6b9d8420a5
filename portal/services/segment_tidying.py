"""What is no longer needed of segments goes: members a day after one was deselected, imports and who changed at them after a month."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, exists, func, or_, select, update

from portal.db import changed_rows, db, one_of
from portal.models import RunState, Segment, SegmentChange, SegmentMember, SegmentReach, SegmentRun

# Whoever selects a segment again soon finds it as it was.
KEEP_DESELECTED = timedelta(days=1)
KEEP_RUNS = timedelta(days=30)
AT_ONCE = 5_000


def tidy_some(now: datetime) -> bool:
    """Remove a bounded number of rows; whether there may be more."""
    return _drop_members(now) or _drop_runs(now)


def _drop_members(now: datetime) -> bool:
    query = select(Segment.id).where(
        Segment.selected_at.is_(None),
        or_(Segment.complete_at.is_(None), Segment.complete_at < now - KEEP_DESELECTED),
        or_(Segment.generation > 0, exists().where(SegmentMember.segment_id == Segment.id)),
    )
    segment_id = db.session.scalar(query.limit(1))
    if segment_id is None:
        return False
    ids = db.session.scalars(
        select(SegmentMember.klaviyo_profile_id).where(SegmentMember.segment_id == segment_id).limit(AT_ONCE)
    ).all()
    mine = SegmentMember.segment_id == segment_id
    _change(delete(SegmentMember).where(mine, one_of(SegmentMember.klaviyo_profile_id, ids)))
    if len(ids) < AT_ONCE:
        _forget(segment_id)
    return True


def _forget(segment_id: int) -> None:
    """Selected again, it begins as if it had never been read: nobody joins by that."""
    _change(delete(SegmentReach).where(SegmentReach.segment_id == segment_id))
    running = update(SegmentRun).where(SegmentRun.segment_id == segment_id, SegmentRun.state == RunState.RUNNING)
    _change(running.values(state=RunState.FAILED, reason="The segment is no longer selected."))
    values = {"generation": 0, "members": 0, "complete_from": None, "complete_at": None}
    _change(update(Segment).where(Segment.id == segment_id, Segment.selected_at.is_(None)).values(**values))


def _drop_runs(now: datetime) -> bool:
    last = (
        select(SegmentRun.segment_id, func.max(SegmentRun.generation).label("generation"))
        .where(SegmentRun.state == RunState.COMPLETE)
        .group_by(SegmentRun.segment_id)
        .subquery()
    )
    old = (
        select(SegmentRun.id)
        .outerjoin(last, last.c.segment_id == SegmentRun.segment_id)
        .where(
            SegmentRun.started_at < now - KEEP_RUNS,
            SegmentRun.state != RunState.RUNNING,
            or_(last.c.generation.is_(None), SegmentRun.generation < last.c.generation),
        )
        .order_by(SegmentRun.id)
        .limit(1)
    )
    run_id = db.session.scalar(old)
    if run_id is None:
        return False
    ids = db.session.scalars(
        select(SegmentChange.klaviyo_profile_id).where(SegmentChange.run_id == run_id).limit(AT_ONCE)
    ).all()
    theirs = SegmentChange.run_id == run_id
    _change(delete(SegmentChange).where(theirs, one_of(SegmentChange.klaviyo_profile_id, ids)))
    if len(ids) < AT_ONCE:
        _change(delete(SegmentRun).where(SegmentRun.id == run_id))
    return True


def _change(statement: object) -> int:
    return changed_rows(db.session.execute(statement.execution_options(synchronize_session=False)))  # type: ignore[attr-defined]
