"""Moving customers into the tier that fits them where no event does: after the rules have changed, and when a tier expires.

A batch and the note of how far it went are one transaction, so that whatever stops in between, nobody is moved or told twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import ColumnElement, delete, select, update

from portal import queue
from portal.db import changed_rows, db, new_id, on_commit, one_of
from portal.models import Customer, FormerTier, Programme
from portal.services import cards, ledger
from portal.services.customers import Identifiers, identify
from portal.services.recording import Recording

AT_ONCE = 500
# Whoever is still due after a look is looked at again then, and not at once for ever.
NOT_BEFORE = timedelta(hours=1)


def begin(merchant_id: int) -> None:
    """The programme has changed: let every customer be looked at again, from the first."""
    db.session.execute(
        update(Programme).where(Programme.merchant_id == merchant_id).values(version=new_id(), reviewed_to=0)
    )
    on_commit(partial(queue.enqueue, queue.UPKEEP, queue.REVIEW, merchant_id))


def merchants_due(now: datetime, limit: int = 100) -> list[int]:
    """Whose customers have to be looked at: since a change, or because it is time."""
    changed = db.session.scalars(select(Programme.merchant_id).where(Programme.reviewed_to.is_not(None)).limit(limit))
    timed = db.session.scalars(
        select(Customer.merchant_id).where(_is_due(now)).order_by(Customer.tier_review_at).limit(AT_ONCE)
    )
    return list(dict.fromkeys([*changed, *timed]))


def continue_changed(merchant_id: int, now: datetime) -> bool:
    """The next customers since a change of the programme; False when there is nothing left to do, or another does it."""
    programme = db.session.scalar(
        select(Programme)
        .where(Programme.merchant_id == merchant_id, Programme.reviewed_to.is_not(None))
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if programme is None:
        return False
    ids = db.session.scalars(
        select(Customer.id)
        .where(Customer.merchant_id == merchant_id, Customer.id > (programme.reviewed_to or 0))
        .order_by(Customer.id)
        .limit(AT_ONCE)
    ).all()
    _review(merchant_id, ids, now, changed=True)
    programme.reviewed_to = ids[-1] if len(ids) == AT_ONCE else None
    if programme.reviewed_to is None and changed_rows(
        db.session.execute(delete(FormerTier).where(FormerTier.merchant_id == merchant_id))
    ):
        programme.version = new_id()
    return programme.reviewed_to is not None


def continue_timed(merchant_id: int, now: datetime) -> bool:
    """The next customers whose tier may change by time alone; False when none is left."""
    ids = db.session.scalars(
        select(Customer.id)
        .where(Customer.merchant_id == merchant_id, _is_due(now))
        .order_by(Customer.tier_review_at)
        .limit(AT_ONCE)
    ).all()
    _review(merchant_id, ids, now, changed=False)
    db.session.execute(
        update(Customer)
        .where(one_of(Customer.id, ids), _is_due(now))
        .values(tier_review_at=now + NOT_BEFORE)
        .execution_options(synchronize_session=False)
    )
    return len(ids) == AT_ONCE


def _is_due(now: datetime) -> ColumnElement[bool]:
    return Customer.tier_review_at <= now


def _review(merchant_id: int, ids: Sequence[int], now: datetime, *, changed: bool) -> None:
    people = [person for person in identify(merchant_id, [Identifiers(id=each) for each in ids]) if person]
    recording = Recording(merchant_id, people, [], history=False)
    for person in people:
        recording.review(person)
    recording.write()
    if changed:
        # Also who stays may be nearer to the next tier or reward than before.
        ledger.mark_profiles(merchant_id, [person.id for person in people if person.reachable], now)
        cards.touch(merchant_id, [person.id for person in people], now)
