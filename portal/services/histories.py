"""The ledger of one customer's points, page by page, and how far along the way to the next tier they are."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, or_, select

from portal.db import LARGEST_ID, db
from portal.models import Customer, PointsChange
from portal.services.portraying import Portrait

LEDGER_PAGE = 50


def points_changes(customer: Customer, before: int | None = None) -> tuple[Sequence[PointsChange], int | None]:
    """Newest first, and the id that continues the list; `before` is one of this customer's changes."""
    query = select(PointsChange).where(PointsChange.customer_id == customer.id)
    last = db.session.get(PointsChange, min(before, LARGEST_ID)) if before else None
    if last is not None and last.customer_id == customer.id:
        at_once = and_(PointsChange.occurred_at == last.occurred_at, PointsChange.id < last.id)
        query = query.where(or_(PointsChange.occurred_at < last.occurred_at, at_once))
    query = query.order_by(PointsChange.occurred_at.desc(), PointsChange.id.desc()).limit(LEDGER_PAGE + 1)
    rows = db.session.scalars(query).all()
    return rows[:LEDGER_PAGE], rows[LEDGER_PAGE - 1].id if len(rows) > LEDGER_PAGE else None


def share_of_way(portrait: Portrait) -> int:
    """In percent; who is on the way has never arrived."""
    if portrait.next_tier is None:
        return 100
    begins = portrait.tier.threshold if portrait.tier else 0
    way = portrait.next_tier.threshold - begins
    return max(0, min(99, int((portrait.points * 100 - begins) * 100 // way))) if way > 0 else 0
