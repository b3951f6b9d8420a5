"""How many members of a segment could be reached, stage by stage: members, matched to a customer, with a card on a phone, notifiable now.

Counted per complete set and kept, because counting a million takes longer than a page may; a small set is counted at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select

from portal.db import db, insert_or_update
from portal.models import Card, CardStatus, Customer, Segment, SegmentMember, SegmentReach, is_member

# A set up to this size is counted whenever somebody looks.
COUNT_AT_ONCE = 20_000


class Stage(StrEnum):
    """What can be listed behind a number; the values stand in the page's address."""

    MEMBERS = "members"
    MATCHED = "matched"
    UNMATCHED = "unmatched"
    INSTALLED = "installed"
    APPLE = "apple"
    GOOGLE = "google"
    REMOVED = "removed"
    NEVER = "never"
    NOTIFIABLE = "notifiable"
    SILENT = "silent"


_INSTALLED = Customer.card_status == CardStatus.INSTALLED
# A card that was made void is still on the phone, and nothing is told to it any more.
_VOID = exists().where(Card.customer_id == Customer.id, Card.voided)
_NOTIFIABLE = and_(_INSTALLED, or_(Customer.on_ios, Customer.on_android), ~_VOID)
_CONDITIONS: dict[Stage, ColumnElement[bool]] = {
    Stage.MATCHED: SegmentMember.customer_id.is_not(None),
    Stage.UNMATCHED: SegmentMember.customer_id.is_(None),
    Stage.INSTALLED: _INSTALLED,
    Stage.APPLE: and_(_INSTALLED, Customer.on_ios),
    Stage.GOOGLE: and_(_INSTALLED, Customer.on_android),
    Stage.REMOVED: Customer.card_status == CardStatus.UNINSTALLED,
    Stage.NEVER: Customer.card_status == CardStatus.NOT_INSTALLED,
    Stage.NOTIFIABLE: _NOTIFIABLE,
    Stage.SILENT: and_(_INSTALLED, ~_NOTIFIABLE),
}


@dataclass(frozen=True)
class Reach:
    """Of the last complete set, at `counted_at`."""

    segment_id: int
    counted_at: datetime
    members: int
    matched: int
    installed: int
    removed: int
    apple: int
    google: int
    notifiable: int

    @property
    def unmatched(self) -> int:
        return self.members - self.matched

    @property
    def never(self) -> int:
        return self.matched - self.installed - self.removed

    @property
    def silent(self) -> int:
        return self.installed - self.notifiable


def condition(stage: Stage) -> ColumnElement[bool] | None:
    """Of members who stand at a stage, or were lost before it; the customer is joined. None: every member does."""
    return _CONDITIONS.get(stage)


def of(segment: Segment, now: datetime) -> Reach | None:
    """What the page shows: counted now, or as it was last counted; None before the first count of a large set."""
    if segment.members <= COUNT_AT_ONCE:
        return count(segment.id, now)
    kept = db.session.get(SegmentReach, segment.id, populate_existing=True)
    return None if kept is None else Reach(**{name: getattr(kept, name) for name in Reach.__dataclass_fields__})


def count(segment_id: int, now: datetime) -> Reach:
    """Two queries: all members, and those who are customers, who are far fewer as a rule."""
    mine = [Segment.id == segment_id, is_member()]
    members = db.session.scalar(select(func.count()).select_from(SegmentMember).join(Segment, and_(*mine))) or 0
    counted = [
        _sum(_CONDITIONS[stage])
        for stage in (Stage.INSTALLED, Stage.REMOVED, Stage.APPLE, Stage.GOOGLE, Stage.NOTIFIABLE)
    ]
    query = (
        select(func.count(), *counted)
        .select_from(SegmentMember)
        .join(Segment, and_(*mine))
        .join(Customer, Customer.id == SegmentMember.customer_id)
    )
    matched, installed, removed, apple, google, notifiable = (
        int(each or 0) for each in db.session.execute(query).one()
    )
    return Reach(segment_id, now, members, matched, installed, removed, apple, google, notifiable)


def _sum(holds: ColumnElement[bool]) -> Any:
    return func.sum(case((holds, 1), else_=0))


def keep(found: Reach) -> None:
    values = {name: getattr(found, name) for name in Reach.__dataclass_fields__}
    statement = insert_or_update(SegmentReach).values(**values)
    db.session.execute(statement.on_conflict_do_update(index_elements=["segment_id"], set_=values))
