"""A merchant's pushes, newest first, and the rules for them; paged by id. Read-only but for the rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import joinedload

from portal.db import LARGEST_ID, db
from portal.models import Push, PushReason, PushRefusal, PushRules, PushSource, PushState
from portal.models.push import PUSH_PREFIX
from portal.services import customers, directory

PAGE = 50


def page(
    merchant_id: int,
    *,
    state: str | None = None,
    reason: str | None = None,
    sought: str | None = None,
    before: int | None = None,
) -> tuple[Sequence[Push], int | None]:
    """The pushes, and where the list goes on; None at its end. `sought` is a push's id, or of a customer what `directory` finds."""
    query = select(Push).where(Push.merchant_id == merchant_id).options(joinedload(Push.customer))
    if state in set(PushState):
        query = query.where(Push.state == state)
    if reason in set(PushReason):
        query = query.where(Push.state.in_((PushState.SKIPPED, PushState.FAILED)), Push.reason == reason)
    if sought:
        query = query.where(_fits(merchant_id, sought))
    if before is not None:
        query = query.where(Push.id < min(before, LARGEST_ID))
    rows = db.session.scalars(query.order_by(Push.id.desc()).limit(PAGE + 1)).all()
    return rows[:PAGE], rows[PAGE - 1].id if len(rows) > PAGE else None


def _fits(merchant_id: int, sought: str) -> ColumnElement[bool]:
    digits = sought.removeprefix(PUSH_PREFIX)
    if digits != sought and digits.isascii() and digits.isdigit():
        return Push.id == min(int(digits[:20]), LARGEST_ID)
    exact = customers.search(merchant_id, sought)
    found = exact or directory.page(merchant_id, sought=sought).customers
    return Push.customer_id.in_([each.id for each in found])


def last_called_at(merchant_id: int) -> datetime | None:
    """When the webhook was last called, and taken or refused."""
    query = select(func.max(Push.id)).where(Push.merchant_id == merchant_id, Push.source == PushSource.API)
    newest = db.session.scalar(query)
    taken = db.session.get_one(Push, newest).created_at if newest else None
    refused = db.session.scalar(
        select(PushRefusal.last_at).where(PushRefusal.merchant_id == merchant_id).order_by(PushRefusal.last_at.desc())
    )
    return max((at for at in (taken, refused) if at is not None), default=None)


def rules(merchant_id: int) -> PushRules:
    """Those that apply; a row that is not kept where nobody has set any."""
    return db.session.get(PushRules, merchant_id) or PushRules(
        merchant_id=merchant_id, paused=False, tells_klaviyo=False
    )


def set_rules(
    merchant_id: int,
    *,
    paused: bool,
    tells_klaviyo: bool,
    most_per_day: int | None,
    quiet: tuple[int | None, int | None] = (None, None),
) -> None:
    """`quiet` is from and until, in minutes after midnight; both or neither."""
    kept = db.session.get(PushRules, merchant_id) or PushRules(merchant_id=merchant_id)
    kept.paused, kept.tells_klaviyo, kept.most_per_day = paused, tells_klaviyo, most_per_day
    kept.quiet_from, kept.quiet_until = quiet if None not in quiet else (None, None)
    db.session.add(kept)
