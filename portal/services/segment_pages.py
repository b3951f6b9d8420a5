"""What the pages about a segment show: members and runs; paged by key, so that the last page costs as the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Select, or_, select

from portal.db import LARGEST_ID, db
from portal.errors import InvalidError, NotFoundError
from portal.models import Customer, Segment, SegmentMember, SegmentRun, is_member
from portal.services import reach
from portal.services.reach import Stage

PAGE = 50
RUNS = 20
EXPORT_AT_ONCE = 1_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


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


def members(
    segment: Segment, *, stage: str = Stage.MEMBERS, sought: str = "", after: str = "", limit: int = PAGE
) -> tuple[Sequence[Any], str | None]:
    """(member, customer) each, and where the list goes on. Raises `InvalidError` for a stage that does not exist."""
    query = _members(segment, stage).where(SegmentMember.klaviyo_profile_id > after)
    if sought := sought.strip():
        query = query.where(
            or_(
                SegmentMember.email == sought.lower(),
                SegmentMember.phone == sought,
                SegmentMember.klaviyo_profile_id == sought,
            )
        )
    rows = db.session.execute(query.limit(limit + 1)).all()
    return rows[:limit], rows[limit - 1][0].klaviyo_profile_id if len(rows) > limit else None


def _members(segment: Segment, stage: str) -> Select[SegmentMember, Customer]:
    if stage not in list(Stage):
        raise InvalidError("There is no such list.", field="stage")
    query = (
        select(SegmentMember, Customer)
        .join(Segment, is_member())
        .outerjoin(Customer, Customer.id == SegmentMember.customer_id)
        .where(SegmentMember.segment_id == segment.id)
        .order_by(SegmentMember.klaviyo_profile_id)
    )
    condition = reach.condition(Stage(stage))
    return query if condition is None else query.where(condition)


def export(segment: Segment) -> Iterator[list[str]]:
    """Rows for a spreadsheet: a cell that it would take for a formula is marked as text."""
    after: str | None = ""
    while after is not None:
        rows, after = members(segment, after=after, limit=EXPORT_AT_ONCE)
        for member, customer in rows:
            cells = (member.klaviyo_profile_id, member.email, member.phone, customer.public_id if customer else None)
            yield [_cell(cell or "") for cell in cells]
        db.session.expunge_all()


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def runs(segment: Segment) -> Sequence[SegmentRun]:
    query = select(SegmentRun).where(SegmentRun.segment_id == segment.id).order_by(SegmentRun.generation.desc())
    return db.session.scalars(query.limit(RUNS)).all()
