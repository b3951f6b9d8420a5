"""Where customers' profiles at Klaviyo stand, for pages; what is sent and when is decided in `profile_outbox`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select, update

from portal.db import changed_rows, db, insert_or_update
from portal.models import Customer, ProfileSync, SentValue


def remember(merchant_id: int, customer_id: int, properties: str, now: datetime) -> None:
    """The values that were just sent, as examples for a person; before anything else is locked."""
    there = select(Customer.id).where(Customer.id == customer_id).with_for_update(read=True, key_share=True)
    if db.session.scalar(there) is None:
        return  # erased at this moment
    rows = [
        {
            "merchant_id": merchant_id,
            "name": name,
            "customer_id": customer_id,
            "value": json.dumps(value),
            "sent_at": now,
        }
        for name, value in sorted(json.loads(properties).items())
        if value is not None
    ]
    if rows:
        sent = insert_or_update(SentValue).values(rows)
        newer = {name: sent.excluded[name] for name in ("customer_id", "value", "sent_at")}
        db.session.execute(sent.on_conflict_do_update(index_elements=["merchant_id", "name"], set_=newer))


def last_values(merchant_id: int) -> dict[str, tuple[Any, datetime]]:
    """(the value, when it was sent) of each property that was sent, whoever it was for."""
    query = select(SentValue).where(SentValue.merchant_id == merchant_id).execution_options(populate_existing=True)
    return {row.name: (json.loads(row.value), row.sent_at) for row in db.session.scalars(query)}


def count_refused(merchant_id: int, at_most: int) -> int:
    bounded = (
        select(ProfileSync.customer_id)
        .where(ProfileSync.merchant_id == merchant_id, ProfileSync.problem.is_not(None))
        .limit(at_most)
    )
    return db.session.scalar(select(func.count()).select_from(bounded.subquery())) or 0


def refused(merchant_id: int, limit: int) -> Sequence[tuple[ProfileSync, Customer]]:
    """Whom Klaviyo refused, the latest first."""
    query = (
        select(ProfileSync, Customer)
        .join(Customer, Customer.id == ProfileSync.customer_id)
        .where(ProfileSync.merchant_id == merchant_id, ProfileSync.problem.is_not(None))
        .order_by(ProfileSync.problem_at.desc())
        .limit(limit)
    )
    return [(sync, customer) for sync, customer in db.session.execute(query)]


def trust_email(customer_id: int) -> None:
    """The address is another one now: nothing is wrong with it as long as Klaviyo does not say so."""
    corrected = update(ProfileSync).where(ProfileSync.customer_id == customer_id, ProfileSync.email_refused)
    values: dict[str, Any] = {"email_refused": False, "problem": None, "problem_at": None}
    db.session.execute(corrected.values(**values).execution_options(synchronize_session=False))


def retry_refused(merchant_id: int, now: datetime, customer_id: int | None = None) -> int:
    """Try one, or all that were refused, again now; how many. Who is in step by phone number needs another address, and no try."""
    which = and_(
        ProfileSync.merchant_id == merchant_id,
        ProfileSync.problem.is_not(None),
        ProfileSync.lease.is_(None),
        or_(ProfileSync.email_refused.is_(False), ProfileSync.sent.is_(None)),
    )
    if customer_id is not None:
        which = and_(which, ProfileSync.customer_id == customer_id)
    result = db.session.execute(
        update(ProfileSync)
        .where(which)
        .values(due_at=now, problem=None, problem_at=None, attempts=0, email_refused=False)
        .execution_options(synchronize_session=False)
    )
    return changed_rows(result)
