"""Bulk imports that Klaviyo is working on: looked after until they end, and then settled row by row.

The rows of an import keep its id as their lease meanwhile, so that nothing newer of theirs can be overtaken by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import exists, select

from portal.db import db, new_id, one_of
from portal.klaviyo.profiles import Job, RowError
from portal.models import Connection, Customer, ProfileImport, ProfileSync
from portal.services import delivering, profile_outbox, sweeps
from portal.services.delivering import Refusal
from portal.services.outbox import Mode
from portal.services.profile_outbox import Batch, Update

# An import that has not ended by then is given up: its rows come due again, and all of them is sent.
PATIENCE = timedelta(hours=2)
# Seconds until it is looked at again, after the first, second, ... look.
LOOK_AFTER = (1, 1, 2, 3, 5, 10, 20, 30)


@dataclass(frozen=True)
class UnderWay:
    """An import as far as asking about it needs."""

    id: int
    merchant_id: int
    klaviyo_job_id: str


def follow(batch: Batch, updates: Sequence[Update], job: Job, now: datetime) -> None:
    """Klaviyo has taken the request and works on it."""
    import_id = new_id()
    profile_outbox.hand_over(batch, updates, import_id, now + PATIENCE)
    row = ProfileImport(
        id=import_id,
        merchant_id=batch.merchant_id,
        klaviyo_job_id=job.id,
        submitted_at=now,
        due_at=now + timedelta(seconds=LOOK_AFTER[0]),
        looks=0,
    )
    db.session.add(row)


def merchants_due(now: datetime) -> Sequence[int]:
    """Merchants with an import to look after now."""
    waiting = exists().where(ProfileImport.merchant_id == Connection.merchant_id, ProfileImport.due_at <= now)
    return db.session.scalars(select(Connection.merchant_id).where(profile_outbox.sending(), waiting)).all()


def take(merchant_id: int, now: datetime, lease_seconds: int) -> UnderWay | None:
    """An import to look after now; nobody else is given it for a while."""
    query = (
        select(ProfileImport)
        .where(ProfileImport.merchant_id == merchant_id, ProfileImport.due_at <= now)
        .order_by(ProfileImport.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    found = db.session.scalar(query)
    if found is None:
        return None
    found.due_at = now + timedelta(seconds=lease_seconds)
    found.looks += 1
    return UnderWay(found.id, found.merchant_id, found.klaviyo_job_id)


def look_again(import_id: int, now: datetime) -> None:
    """It is not done, or could not be asked."""
    found = db.session.get(ProfileImport, import_id)
    if found is not None:
        seconds = LOOK_AFTER[min(found.looks, len(LOOK_AFTER) - 1)]
        found.due_at = now + timedelta(seconds=seconds)


def end(import_id: int, errors: Sequence[RowError], now: datetime) -> None:
    """Every row of it is taken, but for those with an error, of whom a person is told why."""
    found = db.session.get(ProfileImport, import_id)
    if found is None:
        return
    batch = Batch(found.merchant_id, import_id, Mode.BULK)
    ids = _rows(import_id)
    reasons = _reasons(ids, errors)
    settled = profile_outbox.reject(batch, reasons, now, sent=None)
    settled += profile_outbox.confirm_import(batch, [each for each in ids if each not in reasons], now)
    sweeps.count(found.merchant_id, settled)
    db.session.delete(found)


def give_up(import_id: int, now: datetime) -> None:
    """Klaviyo cancelled it or knows nothing of it: its rows are sent again."""
    found = db.session.get(ProfileImport, import_id)
    if found is not None:
        profile_outbox.make_due(Batch(found.merchant_id, import_id, Mode.BULK), _rows(import_id), now)
        db.session.delete(found)


def under_way(merchant_id: int) -> bool:
    return bool(db.session.scalar(select(exists().where(ProfileImport.merchant_id == merchant_id))))


def _rows(import_id: int) -> list[int]:
    """Its customers in the order in which they were sent."""
    query = select(ProfileSync.customer_id).where(ProfileSync.lease == import_id).order_by(ProfileSync.customer_id)
    return list(db.session.scalars(query.with_for_update()))


def _reasons(ids: Sequence[int], errors: Sequence[RowError]) -> dict[int, Refusal]:
    """Which customers' rows the errors are about: by the identifier that Klaviyo gives back, else by the row's number."""
    if not errors:
        return {}
    named = {error.who for error in errors if error.who}
    matches = [one_of(name, named) for name in (Customer.email, Customer.phone, Customer.klaviyo_profile_id)]
    ours = set(ids)
    by_identifier = {
        identifier: row.id
        for match in matches
        for row in db.session.execute(
            select(Customer.id, Customer.email, Customer.phone, Customer.klaviyo_profile_id).where(match)
        )
        if row.id in ours
        for identifier in row[1:]
        if identifier
    }
    reasons = {}
    for error in errors:
        customer_id = by_identifier.get(error.who or "")
        if customer_id is None and error.place is not None and error.place < len(ids):
            customer_id = ids[error.place]
        if customer_id is not None:
            reasons[customer_id] = delivering.refusal(error.detail, [error.pointer], "profile")
    return reasons
