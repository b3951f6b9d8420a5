"""How many members of a segment could be reached, stage by stage: members, matched to a customer, with a card on a phone, notifiable now.

Counted per complete set and kept with each member, because counting a million takes longer than a page may; so there is a list behind
each number, and the two agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import and_, case, exists, func, or_, select, update

from portal.db import db, insert_or_update, one_of
from portal.models import Card, CardStatus, Customer, Segment, SegmentMember, SegmentReach, is_member

# A member's standing: one of the first three, or INSTALLED with what else holds.
UNMATCHED, NEVER, REMOVED, INSTALLED = 0, 1, 2, 8
ON_APPLE, ON_GOOGLE, NOTIFIABLE = 1, 2, 4
AT_ONCE = 5_000


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


_INSTALLED = range(INSTALLED, INSTALLED + ON_APPLE + ON_GOOGLE + NOTIFIABLE + 1)
_STANDINGS: dict[Stage, Sequence[int]] = {
    Stage.MEMBERS: (UNMATCHED, NEVER, REMOVED, *_INSTALLED),
    Stage.MATCHED: (NEVER, REMOVED, *_INSTALLED),
    Stage.UNMATCHED: (UNMATCHED,),
    Stage.INSTALLED: _INSTALLED,
    Stage.APPLE: [each for each in _INSTALLED if each & ON_APPLE],
    Stage.GOOGLE: [each for each in _INSTALLED if each & ON_GOOGLE],
    Stage.REMOVED: (REMOVED,),
    Stage.NEVER: (NEVER,),
    Stage.NOTIFIABLE: [each for each in _INSTALLED if each & NOTIFIABLE],
    Stage.SILENT: [each for each in _INSTALLED if not each & NOTIFIABLE],
}
# A card that was made void is still on the phone, and nothing is told to it any more.
_VOID = exists().where(Card.customer_id == Customer.id, Card.voided)
_STANDING = case(
    (Customer.id.is_(None), UNMATCHED),
    (Customer.card_status == CardStatus.UNINSTALLED, REMOVED),
    (Customer.card_status != CardStatus.INSTALLED, NEVER),
    else_=INSTALLED
    + case((Customer.on_ios, ON_APPLE), else_=0)
    + case((Customer.on_android, ON_GOOGLE), else_=0)
    + case((and_(or_(Customer.on_ios, Customer.on_android), ~_VOID), NOTIFIABLE), else_=0),
)


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


def standings(stage: Stage) -> Sequence[int]:
    """Of members who stand at a stage, or were lost before it."""
    return _STANDINGS[stage]


def of(segment_id: int) -> Reach | None:
    """As it was last counted; None before the first time."""
    kept = db.session.get(SegmentReach, segment_id, populate_existing=True)
    return None if kept is None else Reach(**{name: getattr(kept, name) for name in Reach.__dataclass_fields__})


def changes(segment_id: int) -> Iterator[dict[int, list[str]]]:
    """Whose standing is another now than the one that is kept: profile ids by standing, a batch at a time. Reads only."""
    after = ""
    while rows := db.session.execute(_changed(segment_id, after)).all():
        found: dict[int, list[str]] = {}
        for profile_id, standing in rows:
            found.setdefault(standing, []).append(profile_id)
        yield found
        after = rows[-1][0]


def _changed(segment_id: int, after: str) -> Any:
    return (
        select(SegmentMember.klaviyo_profile_id, _STANDING.label("standing"))
        .outerjoin(Customer, Customer.id == SegmentMember.customer_id)
        .where(
            SegmentMember.segment_id == segment_id,
            SegmentMember.klaviyo_profile_id > after,
            SegmentMember.standing != _STANDING,
        )
        .order_by(SegmentMember.klaviyo_profile_id)
        .limit(AT_ONCE)
    )


def note(segment_id: int, changed: dict[int, list[str]]) -> None:
    for standing, profile_ids in changed.items():
        theirs = and_(SegmentMember.segment_id == segment_id, one_of(SegmentMember.klaviyo_profile_id, profile_ids))
        noting = update(SegmentMember).where(theirs).values(standing=standing)
        db.session.execute(noting.execution_options(synchronize_session=False))


def count(segment_id: int, now: datetime) -> Reach:
    query = (
        select(SegmentMember.standing, func.count())
        .join(Segment, is_member())
        .where(SegmentMember.segment_id == segment_id)
        .group_by(SegmentMember.standing)
    )
    found = {standing: number for standing, number in db.session.execute(query)}  # noqa: C416 - rows are no pairs to mypy
    members, matched, installed, removed, apple, google, notifiable = (
        sum(found.get(standing, 0) for standing in standings(stage))
        for stage in (
            Stage.MEMBERS,
            Stage.MATCHED,
            Stage.INSTALLED,
            Stage.REMOVED,
            Stage.APPLE,
            Stage.GOOGLE,
            Stage.NOTIFIABLE,
        )
    )
    return Reach(segment_id, now, members, matched, installed, removed, apple, google, notifiable)


def keep(found: Reach) -> None:
    values = {name: getattr(found, name) for name in Reach.__dataclass_fields__}
    statement = insert_or_update(SegmentReach).values(**values)
    db.session.execute(statement.on_conflict_do_update(index_elements=["segment_id"], set_=values))
