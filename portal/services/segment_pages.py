"""What the pages about a segment show: members and runs; paged by key, so that the last page costs as the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, select

from portal.db import LARGEST_ID, db, one_of
from portal.errors import InvalidError, NotFoundError
from portal.models import Customer, Segment, SegmentChange, SegmentMember, SegmentRun, Way, is_member
from portal.services import directory, reach
from portal.services.reach import Stage

PAGE = 50
RUNS = 10
EXPORT_AT_ONCE = 1_000
MOST_FOUND = 100
LARGEST_GENERATION = 2**31 - 1
# Customers of one name, of whom those in the segment are looked for.
MOST_CALLED = 5_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Listed:
    """(member, customer) each, and where the list goes on. A search has one page, and says where there is more."""

    rows: Sequence[Any]
    following: str | None = None
    more_found: bool = False


def find(merchant_id: int, segment_id: int) -> Segment:
    """Raises `NotFoundError`."""
    query = select(Segment).where(Segment.merchant_id == merchant_id, Segment.id == min(segment_id, LARGEST_ID))
    segment = db.session.scalar(query)
    if segment is None:
        raise NotFoundError("There is no such segment.")
    return segment


def selected(merchant_id: int) -> Sequence[Segment]:
    query = select(Segment).where(Segment.merchant_id == merchant_id, Segment.selected_at.is_not(None))
    return db.session.scalars(query.order_by(Segment.name, Segment.id)).all()


def members(segment: Segment, *, stage: str = Stage.MEMBERS, after: str = "", limit: int = PAGE) -> Listed:
    """By their ids, or within a stage by standing and id. Raises `InvalidError` for a stage that does not exist."""
    if not segment.generation:
        return Listed([])
    if stage_called(stage) is Stage.MEMBERS:
        rows = _rows(_shown(segment).where(SegmentMember.klaviyo_profile_id > after), limit + 1)
    else:
        rows = _standing(segment, reach.standings(Stage(stage)), after, limit + 1)
    if len(rows) <= limit:
        return Listed(rows)
    last = rows[limit - 1][0]
    place = last.klaviyo_profile_id if stage == Stage.MEMBERS else f"{last.standing}.{last.klaviyo_profile_id}"
    return Listed(rows[:limit], place)


def stage_called(told: str) -> Stage:
    """Raises `InvalidError` where there is no such list."""
    if told not in list(Stage):
        raise InvalidError("There is no such list.", field="stage")
    return Stage(told)


def _shown(segment: Segment) -> Select[SegmentMember, Customer]:
    return (
        select(SegmentMember, Customer)
        .join(Segment, is_member())
        .outerjoin(Customer, Customer.id == SegmentMember.customer_id)
        .where(SegmentMember.segment_id == segment.id)
    )


def _rows(query: Select[SegmentMember, Customer], limit: int) -> list[Any]:
    return list(db.session.execute(query.order_by(SegmentMember.klaviyo_profile_id).limit(limit)).all())


def _standing(segment: Segment, standings: Sequence[int], after: str, limit: int) -> list[Any]:
    """One standing after the other, each from the index: no database reads several of them in order."""
    told, _, last = after.partition(".")
    from_standing = int(told) if told.isdecimal() and len(told) < 4 else -1
    found: list[Any] = []
    for standing in standings:
        if standing < from_standing or len(found) >= limit:
            continue
        query = _shown(segment).where(SegmentMember.standing == standing)
        if standing == from_standing:
            query = query.where(SegmentMember.klaviyo_profile_id > last)
        found += _rows(query, limit - len(found))
    return found


def search(segment: Segment, sought: str, *, stage: str = Stage.MEMBERS) -> Listed:
    """By how an address, a number or a customer's name begins; each way by itself, so that each uses its own index."""
    within = None if stage_called(stage) is Stage.MEMBERS else reach.standings(Stage(stage))
    readable = directory.readable(sought)
    if not segment.generation or not readable:
        return Listed([])
    ids: set[str] = set()
    for condition in _conditions(segment.merchant_id, readable):
        query = select(SegmentMember.klaviyo_profile_id).where(SegmentMember.segment_id == segment.id, condition)
        if within is not None:  # reckoned, so that no database takes it for the way to few rows
            query = query.where((SegmentMember.standing + 0).in_(within))
        ids.update(db.session.scalars(query.limit(MOST_FOUND + 1)))
    rows = _rows(_shown(segment).where(one_of(SegmentMember.klaviyo_profile_id, ids)), MOST_FOUND + 1)
    return Listed(rows[:MOST_FOUND], more_found=len(rows) > MOST_FOUND)


def _conditions(merchant_id: int, sought: str) -> Iterator[ColumnElement[bool]]:
    yield SegmentMember.klaviyo_profile_id == sought
    yield directory.begins(SegmentMember.email, sought.lower())
    if phone := directory.number_in(sought):
        yield SegmentMember.phone.is_not(None) & directory.begins(SegmentMember.phone, phone)
    for condition in directory.called(sought):
        named = select(Customer.id).where(Customer.merchant_id == merchant_id, condition).limit(MOST_CALLED)
        yield SegmentMember.customer_id.in_(select(named.subquery().c.id))


def export(segment: Segment, stage: str) -> Iterator[list[str]]:
    """Rows for a spreadsheet: a cell that it would take for a formula is marked as text."""
    after: str | None = ""
    while after is not None:
        listed = members(segment, stage=stage, after=after, limit=EXPORT_AT_ONCE)
        after = listed.following
        for member, customer in listed.rows:
            cells = (member.klaviyo_profile_id, member.email, member.phone, customer.public_id if customer else None)
            yield [_cell(cell or "") for cell in cells]
        db.session.expunge_all()


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def runs(segment: Segment) -> Sequence[SegmentRun]:
    query = select(SegmentRun).where(SegmentRun.segment_id == segment.id).order_by(SegmentRun.generation.desc())
    return db.session.scalars(query.limit(RUNS)).all()


def changes(
    segment: Segment, generation: int, *, way: str, after: str = "", limit: int = PAGE
) -> tuple[SegmentRun, Sequence[Any], str | None]:
    """A run, who joined or left at it as (change, customer) each, and where the list goes on. Raises `NotFoundError`."""
    numbered = select(SegmentRun).where(
        SegmentRun.segment_id == segment.id, SegmentRun.generation == min(generation, LARGEST_GENERATION)
    )
    run = db.session.scalar(numbered)
    if run is None or way not in list(Way):
        raise NotFoundError("There is no such list. Imports are kept for a month.")
    query = (
        select(SegmentChange, Customer)
        .outerjoin(Customer, Customer.id == SegmentChange.customer_id)
        .where(SegmentChange.run_id == run.id, SegmentChange.way == Way(way), SegmentChange.klaviyo_profile_id > after)
        .order_by(SegmentChange.klaviyo_profile_id)
    )
    rows = db.session.execute(query.limit(limit + 1)).all()
    return run, rows[:limit], rows[limit - 1][0].klaviyo_profile_id if len(rows) > limit else None
