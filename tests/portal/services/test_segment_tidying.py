"""What goes of segments that nobody needs any more, and what stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from portal.db import Model, db, new_id, transaction
from portal.models import RunState, Segment, SegmentChange, SegmentMember, SegmentRun, Way
from portal.services import segment_tidying

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def _segment(shop: int, name: str, *, selected: bool, complete_ago: timedelta | None, members: int = 3) -> int:
    with transaction():
        segment = Segment(merchant_id=shop, klaviyo_segment_id=name, name=name, listed_at=NOON)
        segment.selected_at = NOON if selected else None
        segment.complete_at = NOON - complete_ago if complete_ago is not None else None
        segment.generation = 1 if complete_ago is not None else 0
        db.session.add(segment)
        db.session.flush()
        for number in range(members):
            who = f"P{number}"
            row = SegmentMember(segment_id=segment.id, klaviyo_profile_id=who, joined_generation=1, seen_generation=1)
            db.session.add(row)
        return segment.id


def _run(shop: int, segment_id: int, generation: int, days_ago: int) -> None:
    with transaction():
        run = SegmentRun(id=new_id(), merchant_id=shop, segment_id=segment_id, generation=generation)
        run.state, run.started_at = RunState.COMPLETE, NOON - timedelta(days=days_ago)
        db.session.add(run)
        db.session.flush()
        db.session.add(SegmentChange(run_id=run.id, way=Way.JOINED, klaviyo_profile_id="P1", label="P1"))


def _tidy() -> None:
    more = True
    while more:
        with transaction():
            more = segment_tidying.tidy_some(NOON)


def _left(model: type[Model]) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_members_go_a_day_after_a_segment_was_deselected_a_few_at_a_time(
    shop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_tidying, "AT_ONCE", 2)
    _segment(shop, "chosen", selected=True, complete_ago=timedelta(days=3))
    _segment(shop, "lately", selected=False, complete_ago=timedelta(hours=23))
    former = _segment(shop, "former", selected=False, complete_ago=timedelta(hours=25))
    _segment(shop, "begun", selected=False, complete_ago=None)
    with transaction():
        assert segment_tidying.tidy_some(NOON)
    assert _left(SegmentMember) == 10
    _tidy()
    assert _left(SegmentMember) == 6
    row = db.session.get_one(Segment, former, populate_existing=True)
    assert (row.generation, row.complete_at) == (0, None), "selected again, nobody joins by that"


def test_imports_and_their_changes_go_after_a_month_but_the_last_stays(shop: int) -> None:
    segment_id = _segment(shop, "chosen", selected=True, complete_ago=timedelta(days=40))
    for generation, days_ago in ((1, 60), (2, 45), (3, 40)):
        _run(shop, segment_id, generation, days_ago)
    _tidy()
    assert list(db.session.scalars(select(SegmentRun.generation))) == [3]
    assert _left(SegmentChange) == 1
    _run(shop, segment_id, 4, 1)
    _tidy()
    assert list(db.session.scalars(select(SegmentRun.generation))) == [4]
