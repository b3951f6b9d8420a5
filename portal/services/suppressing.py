"""Customers who get no pushes: said and lifted by a person, with the reason, and looked at whenever a push goes out."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.db import LARGEST_ID, db, insert_or_update, utcnow
from portal.errors import InvalidError
from portal.models import PushSuppression
from portal.services import directory
from portal.services.values import plain

PAGE = 50
LONGEST_REASON = 200


def page(merchant_id: int, before: int | None = None) -> tuple[Sequence[PushSuppression], int | None]:
    """By customer, the newest first, and where the list goes on."""
    query = select(PushSuppression).where(PushSuppression.merchant_id == merchant_id)
    if before is not None:
        query = query.where(PushSuppression.customer_id < min(before, LARGEST_ID))
    query = query.options(joinedload(PushSuppression.customer)).order_by(PushSuppression.customer_id.desc())
    rows = db.session.scalars(query.limit(PAGE + 1)).all()
    return rows[:PAGE], rows[PAGE - 1].customer_id if len(rows) > PAGE else None


def of(merchant_id: int, customer_id: int) -> PushSuppression | None:
    found: PushSuppression | None = db.session.scalar(
        select(PushSuppression).where(
            PushSuppression.merchant_id == merchant_id, PushSuppression.customer_id == customer_id
        )
    )
    return found


def suppress(merchant_id: int, customer_id: int, reason: str, by: str) -> bool:
    """Whether that is new; who was suppressed before keeps the first reason.

    Raises `NotFoundError`, also for another merchant's customer, and `InvalidError` for a reason that cannot be read.
    """
    customer = directory.find(merchant_id, customer_id)
    row = {"customer_id": customer.id, "merchant_id": merchant_id, "since": utcnow(), "by": by, "reason": _read(reason)}
    adding = insert_or_update(PushSuppression).values(**row).on_conflict_do_nothing()
    return db.session.scalar(adding.returning(PushSuppression.customer_id)) is not None


def _read(reason: str) -> str:
    reason = " ".join(reason.split())
    if len(reason) > LONGEST_REASON:
        raise InvalidError(f"Use at most {LONGEST_REASON} characters.", field="reason")
    try:
        return plain(reason) if reason else ""
    except ValueError as error:
        raise InvalidError(f"The reason {error}.", field="reason") from error


def lift(merchant_id: int, customer_id: int) -> bool:
    """Whether there was anything to lift. Raises `NotFoundError`."""
    directory.find(merchant_id, customer_id)
    row = of(merchant_id, customer_id)
    if row is None:
        return False
    db.session.delete(row)
    return True
