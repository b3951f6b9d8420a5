"""Erasing a customer: here at once, with everything that hangs on them, and at Klaviyo as soon as it can be told.

What is left tells nobody who it was: hashes of event ids, and until Klaviyo knows, the one identifier that it needs, sealed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus

from sqlalchemy import delete, func, select, update

from portal import queue
from portal.bulk import insert_rows
from portal.crypto import SealError
from portal.db import changed_rows, db, new_id, on_commit, utcnow
from portal.errors import NotFoundError
from portal.klaviyo import Answer, ForbiddenError, KlaviyoError, RefusedError, ThrottledError, bodies, verdict
from portal.models import (
    Connection,
    ConnectionState,
    Customer,
    Delivery,
    ErasedEvent,
    Erasure,
    Event,
    ProfileSync,
    SegmentChange,
    SegmentMember,
)
from portal.models.customer import ID_PREFIX
from portal.services import auditing, connecting, delivering, forgotten
from portal.services.events import id_hash
from portal.services.outbox import JITTER, RETRY_AFTER
from portal.services.recording import DERIVED

LEASE = timedelta(minutes=2)
# In the audit log.
ERASED = "customer erased"
NOT_ALLOWED = "Klaviyo does not let this connection erase profiles. Connect Klaviyo once more and allow all of it."


def erase(merchant_id: int, customer_id: int, actor: str) -> bool:
    """Whether Klaviyo will be told. Raises `NotFoundError`, also for another merchant's customer."""
    files_wait = forgotten.files_wait(merchant_id)
    query = select(Customer).where(Customer.merchant_id == merchant_id, Customer.id == customer_id)
    customer = db.session.scalar(query.with_for_update().execution_options(populate_existing=True))
    if customer is None:
        raise NotFoundError("There is no customer with this id.", field="id")
    told = _pass_on(customer)
    _keep_hashes(customer)
    if files_wait:
        forgotten.remember(customer, utcnow())
    for model in (SegmentMember, SegmentChange):
        db.session.execute(delete(model).where(model.customer_id == customer.id))
    public_id = customer.public_id
    db.session.expunge(customer)
    # Events, deliveries, the ledger and all the rest hang on the row, and go with it.
    db.session.execute(delete(Customer).where(Customer.id == customer_id).execution_options(synchronize_session=False))
    auditing.record(merchant_id, actor, ERASED, public_id)
    return told


def was_erased(merchant_id: int, customer_id: int) -> bool:
    """Whether there was such a customer of this merchant's, who is erased."""
    return auditing.knows(merchant_id, ERASED, f"{ID_PREFIX}{customer_id}")


def _keep_hashes(customer: Customer) -> None:
    query = select(Event.event_id).where(Event.customer_id == customer.id)
    ids = [event_id for event_id in db.session.scalars(query) if not event_id.startswith(DERIVED)]
    rows = [
        {"merchant_id": customer.merchant_id, "id_hash": id_hash(customer.merchant_id, event_id)} for event_id in ids
    ]
    if rows:
        insert_rows(ErasedEvent, rows)


def told_to(customer: Customer) -> Connection | None:
    """Whom the erasure is passed on to; None where Klaviyo knows nothing of this customer."""
    return connecting.connection_of(customer.merchant_id) if customer.reachable else None


def _pass_on(customer: Customer) -> bool:
    connection = told_to(customer)
    if connection is None:
        return False
    erasure = Erasure(
        id=new_id(),
        merchant_id=customer.merchant_id,
        klaviyo_account_id=connection.klaviyo_account_id,
        asked_at=utcnow(),
        due_at=_nothing_under_way(customer.id),
    )
    erasure.profile = bodies.profile_of(
        klaviyo_profile_id=customer.klaviyo_profile_id, email=customer.email, phone=customer.phone
    )
    db.session.add(erasure)
    db.session.flush()
    on_commit(partial(queue.enqueue, queue.UPKEEP, queue.ERASE, erasure.id))
    return True


def _nothing_under_way(customer_id: int) -> datetime:
    """What a worker has in hand may still arrive at Klaviyo, and would make the profile anew: it is erased after that."""
    leased = [
        select(func.max(Delivery.due_at)).where(
            Delivery.customer_id == customer_id, Delivery.settled_at.is_(None), Delivery.lease.is_not(None)
        ),
        select(ProfileSync.due_at).where(ProfileSync.customer_id == customer_id, ProfileSync.lease.is_not(None)),
    ]
    ends = [db.session.scalar(query) for query in leased]
    return max([utcnow(), *(end for end in ends if end is not None)])


# --- telling Klaviyo -----------------------------------------------------------------------------


def due(now: datetime, limit: int) -> Sequence[int]:
    """Erasures that can be passed on now: their account is connected."""
    query = (
        select(Erasure.id)
        .join(Connection, Connection.merchant_id == Erasure.merchant_id)
        .where(
            Erasure.due_at <= now,
            Connection.state == ConnectionState.CONNECTED,
            Connection.klaviyo_account_id == Erasure.klaviyo_account_id,
        )
        .order_by(Erasure.due_at)
        .limit(limit)
    )
    return db.session.scalars(query).all()


def take(erasure_id: int, now: datetime) -> tuple[int, str] | None:
    """The merchant and the request's body, leased to the caller; None where it is not due, done, or cannot be read."""
    leased = (
        update(Erasure)
        .where(Erasure.id == erasure_id, Erasure.due_at <= now)
        .values(due_at=now + LEASE, attempts=Erasure.attempts + 1)
        .execution_options(synchronize_session=False)
    )
    if not changed_rows(db.session.execute(leased)):
        return None
    erasure = db.session.get_one(Erasure, erasure_id, populate_existing=True)
    try:
        return erasure.merchant_id, bodies.erasure(erasure.profile or "")
    except SealError:
        _postpone(
            erasure, now + timedelta(days=1), "The key that sealed this is no longer among PORTAL_ENCRYPTION_KEYS."
        )
        return None


def settle(erasure_id: int, answer: Answer, now: datetime) -> None:
    """Klaviyo has answered, or not."""
    erasure = db.session.get(Erasure, erasure_id, populate_existing=True)
    if erasure is None:
        return
    error = verdict(answer)
    if error is None or (isinstance(error, RefusedError) and error.status == HTTPStatus.NOT_FOUND):
        what = (
            "erasure passed on to Klaviyo"
            if error is None
            else "erasure passed on to Klaviyo, which knows nobody by it"
        )
        auditing.record(erasure.merchant_id, auditing.PORTAL, what)
        db.session.delete(erasure)
    elif isinstance(error, RefusedError):
        # The same request would be refused for ever: a person decides (`unerased.py`).
        detail = (error.detail or f"HTTP {error.status}").rstrip(".")
        _postpone(erasure, None, f"Klaviyo refused to erase this profile: {detail}.")
    else:
        _postpone(erasure, now + _pause(erasure, error), _explain(error))


def put_off(erasure_id: int, reason: str, now: datetime) -> None:
    """There is no access to ask with: not before somebody has reconnected, or in a while."""
    if erasure := db.session.get(Erasure, erasure_id, populate_existing=True):
        _postpone(erasure, now + timedelta(seconds=RETRY_AFTER[2]), reason)


def _postpone(erasure: Erasure, until: datetime | None, reason: str) -> None:
    erasure.due_at, erasure.problem = until, reason[:500]


def _pause(erasure: Erasure, error: KlaviyoError) -> timedelta:
    if isinstance(error, ThrottledError):
        return timedelta(seconds=max(1, error.retry_after or 1))
    step = min(erasure.attempts, len(RETRY_AFTER)) - 1
    return timedelta(seconds=RETRY_AFTER[step] * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - spread, not secrecy


def _explain(error: KlaviyoError) -> str:
    if isinstance(error, ForbiddenError):
        return NOT_ALLOWED
    return delivering.explain_trouble(error)
