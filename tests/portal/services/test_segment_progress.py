"""What the status panel says about segments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from portal.db import db, new_id, transaction
from portal.models import RunState, Segment, SegmentRun
from portal.services import status
from portal.services.segment_progress import UnderWay, currency

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def _segment(shop: int, name: str, read_ago: int | None, due_in: int, lease: int | None = None) -> int:
    with transaction():
        segment = Segment(
            merchant_id=shop,
            klaviyo_segment_id=name,
            name=name,
            listed_at=NOON,
            selected_at=NOON,
            complete_from=NOON - timedelta(minutes=read_ago) if read_ago is not None else None,
            due_at=NOON + timedelta(minutes=due_in),
            lease=lease,
        )
        db.session.add(segment)
        db.session.flush()
        return segment.id


def _run(shop: int, segment_id: int, members: int, expected: int | None) -> None:
    with transaction():
        run = SegmentRun(id=new_id(), merchant_id=shop, segment_id=segment_id, generation=1, state=RunState.RUNNING)
        run.started_at, run.members, run.expected = NOON - timedelta(seconds=60), members, expected
        run.pages = members // 100
        db.session.add(run)


def test_segments_are_current_for_fifteen_minutes(shop: int) -> None:
    for name, ago in (("A", 6), ("B", 16), ("C", None)):
        _segment(shop, name, ago, due_in=4)
    seen = currency(shop, NOON)
    assert (seen.selected, seen.current, seen.oldest_seconds) == (3, 1, 16 * 60)
    assert (seen.next_at, seen.under_way) == (NOON + timedelta(minutes=4), None)


def test_the_import_under_way_has_its_share_and_what_is_left(shop: int) -> None:
    segment_id = _segment(shop, "VIP", None, due_in=1, lease=7)
    _run(shop, segment_id, 600, 1000)
    under_way = currency(shop, NOON).under_way
    assert under_way == UnderWay(segment_id, "VIP", 6, 600, 1000, 60)
    assert (under_way.share, under_way.seconds_left) == (0.6, 60 * 0.4 / 0.6)
    assert status.panel(shop, NOON).running


def test_an_import_whose_importer_died_is_not_under_way(shop: int) -> None:
    _run(shop, _segment(shop, "VIP", None, due_in=-1, lease=7), 600, 1000)
    assert currency(shop, NOON).under_way is None


def test_segments_of_others_are_not_counted(shop: int) -> None:
    _segment(shop, "Theirs", 6, due_in=4)
    assert currency(shop + 1, NOON).selected == 0
