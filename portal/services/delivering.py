"""Sending a batch to Klaviyo and deciding what its answer means: one judge of outcomes for every call.

Three beats: `outbox.claim` (in a transaction), `send` (outside of any), `settle` (in a transaction again).
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import update

from portal.bulk import insert_rows
from portal.db import db, new_id
from portal.klaviyo import (
    Answer,
    Client,
    ForbiddenError,
    KlaviyoError,
    NoAnswerError,
    RefusedError,
    ThrottledError,
    UnauthorizedError,
    bodies,
    verdict,
)
from portal.models import Call, Connection
from portal.services import connection_health, counting, outbox
from portal.services.outbox import FAILURES_BEFORE_PROBING, Batch, Mode, Parcel

KEPT_ANSWER = 2_000
LONGEST_PAUSE_SECONDS = 900
THROTTLE_SECONDS = range(1, LONGEST_PAUSE_SECONDS + 1)


class Outcome(StrEnum):
    DELIVERED = "delivered"
    # Nothing wrong with the rows: send again, later.
    RETRY = "retry"
    THROTTLED = "throttled"
    # The access token is not taken; refresh it once, then it is BROKEN.
    EXPIRED = "expired"
    # Only the merchant can mend it.
    BROKEN = "broken"
    REFUSED = "refused"


@dataclass(frozen=True)
class Judgement:
    outcome: Outcome
    reason: str = ""
    retry_after: int | None = None
    pointers: tuple[str, ...] = ()


def send(client: Client, batch: Batch, parcels: Sequence[Parcel]) -> Answer:
    """One request with these parcels. Never raises for what the network or Klaviyo did."""
    if batch.mode is Mode.SINGLE:
        return client.send("POST", bodies.EVENT_PATH, body=bodies.single(parcels[0].profile, parcels[0].payload))
    return client.send(
        "POST", bodies.EVENT_BULK_PATH, body=bodies.bulk((parcel.profile, parcel.payload) for parcel in parcels)
    )


def fitting(parcels: Sequence[Parcel]) -> list[Parcel]:
    """As many of a bulk batch, from the front, as fit into one request."""
    size, count = 0, 0
    for parcel in parcels:
        size += len(parcel.profile.encode()) + len(parcel.payload.encode()) + 150
        if size > bodies.BULK_BYTES and count:
            break
        count += 1
    return list(parcels[:count])


def judge(answer: Answer, what: str = "event") -> Judgement:
    """What an answer means for the rows it was about; `what` is what was sent, in a word."""
    error = verdict(answer)
    if error is None:
        return Judgement(Outcome.DELIVERED)
    if isinstance(error, ThrottledError):
        return Judgement(Outcome.THROTTLED, "Klaviyo asked us to slow down", retry_after=error.retry_after)
    if isinstance(error, UnauthorizedError):
        return Judgement(Outcome.EXPIRED, "Klaviyo no longer accepts our access")
    if isinstance(error, ForbiddenError):
        return Judgement(Outcome.BROKEN, f"Klaviyo says that this connection may not send {what}s")
    if isinstance(error, RefusedError):
        return Judgement(Outcome.REFUSED, explain_refusal(error, what), pointers=tuple(error.pointers))
    return Judgement(Outcome.RETRY, explain_trouble(error))


@dataclass(frozen=True)
class Refusal:
    """Why one row was refused, for a person; `of_email` where it is the address by which the customer was named."""

    reason: str
    of_email: bool = False


def refusal(detail: str, pointers: Sequence[str], what: str) -> Refusal:
    return Refusal(
        explain(detail, pointers, what), not _names("phone", detail, pointers) and _names("email", detail, pointers)
    )


def _names(field: str, detail: str, pointers: Sequence[str]) -> bool:
    return field in detail.lower() or any(field in pointer for pointer in pointers)


def explain_refusal(error: RefusedError, what: str = "event") -> str:
    """Why Klaviyo refused it, for a merchant."""
    return explain(error.detail or f"HTTP {error.status}", error.pointers, what)


def explain(detail: str, pointers: Sequence[str], what: str) -> str:
    if _names("phone", detail, pointers):
        return f"Phone number not valid for Klaviyo. Correct the customer's phone number, then try again. ({detail})"
    if _names("email", detail, pointers):
        return f"Email address not valid for Klaviyo. Correct the customer's email address, then try again. ({detail})"
    return f"Klaviyo refused this {what}: {detail}"


def explain_trouble(error: KlaviyoError) -> str:
    if isinstance(error, NoAnswerError):
        return f"Klaviyo did not answer properly ({error})"
    return f"Klaviyo has trouble of its own ({str(error).rstrip('.')})"


# --- settling ------------------------------------------------------------------------------------


def settle(batch: Batch, parcels: Sequence[Parcel], answer: Answer, judgement: Judgement, now: datetime) -> None:
    """Write down the call, what it means for its rows, and what it says about the connection."""
    call_id = record_call(batch.merchant_id, len(parcels), answer)
    ids = [parcel.id for parcel in parcels]
    counts = counting.Counts()
    if judgement.outcome is Outcome.DELIVERED:
        if outbox.deliver(batch, ids, call_id, now):
            counts.deliver([(now - parcel.created_at).total_seconds() for parcel in parcels])
        if batch.after_failures:
            connection_health.note_success(batch.merchant_id, answer.started_at)
    elif judgement.outcome is Outcome.RETRY:
        counts.retried, counts.failed = outbox.postpone(batch, parcels, call_id, now, judgement.reason)
        note_failure(batch.merchant_id, judgement.reason, now)
    elif judgement.outcome is Outcome.THROTTLED:
        outbox.release(batch, ids, now, call_id)
        counts.throttled = 1
        rest(batch.merchant_id, judgement, now)
    elif judgement.outcome is Outcome.REFUSED:
        counts.failed = _settle_refused(batch, parcels, call_id, judgement, now)
    else:
        outbox.release(batch, ids, now, call_id)
        connection_health.break_off(batch.merchant_id, judgement.reason, now)
    counting.add(batch.merchant_id, now, counts)


def _settle_refused(batch: Batch, parcels: Sequence[Parcel], call_id: int, judgement: Judgement, now: datetime) -> int:
    """A single event is buried. Of a bulk request nothing was processed: those at fault go alone, the others again."""
    if batch.mode is Mode.SINGLE:
        return outbox.bury(batch, [parcels[0].id], call_id, now, judgement.reason)
    culprits = _culprits(parcels, judgement.pointers)
    if not culprits:
        outbox.keep_alone(batch, [parcel.id for parcel in parcels], now, call_id)
        return 0
    outbox.keep_alone(batch, culprits, now, call_id)
    outbox.release(batch, [parcel.id for parcel in parcels if parcel.id not in culprits], now, call_id)
    return 0


_POINTER = re.compile(r"/events-bulk-create/data/(\d+)(?:/.*?/events/data/(\d+))?")


def _culprits(parcels: Sequence[Parcel], pointers: Sequence[str]) -> set[int]:
    """Rows that error pointers name: an entry of the bulk body (one profile), or one event in it."""
    named = {
        (int(match[1]), int(match[2]) if match[2] else None)
        for pointer in pointers
        if (match := _POINTER.search(pointer))
    }
    places = bodies.bulk_places(parcel.profile for parcel in parcels)
    return {
        parcel.id
        for parcel, (entry, event) in zip(parcels, places, strict=True)
        if (entry, event) in named or (entry, None) in named
    }


def record_call(merchant_id: int, items: int, answer: Answer) -> int:
    call_id = new_id()
    row = {
        "id": call_id,
        "merchant_id": merchant_id,
        "started_at": answer.started_at,
        "duration_ms": answer.duration_ms,
        "method": answer.method,
        "path": answer.path,
        "items": items,
        "status": answer.status,
        "failure": answer.failure,
        "answer": answer.text[:KEPT_ANSWER].replace("\x00", ""),
    }
    insert_rows(Call, [row])
    return call_id


def note_failure(merchant_id: int, reason: str, now: datetime) -> None:
    """Count a failed call; after a few in a row rest, twice as long each time, and then probe with one row."""
    failures = db.session.scalar(
        update(Connection)
        .where(Connection.merchant_id == merchant_id)
        .values(failures_in_a_row=Connection.failures_in_a_row + 1)
        .returning(Connection.failures_in_a_row)
        .execution_options(synchronize_session=False)
    )
    over = (failures or 0) - FAILURES_BEFORE_PROBING
    if over >= 0:
        seconds = min(30 * 2 ** min(over, 10), LONGEST_PAUSE_SECONDS) * random.uniform(0.8, 1.2)  # noqa: S311 - spread
        connection_health.pause(merchant_id, now + timedelta(seconds=seconds), reason)


def rest(merchant_id: int, judgement: Judgement, now: datetime) -> None:
    """Klaviyo asked us to slow down."""
    until = now + timedelta(seconds=_clamped(judgement.retry_after))
    connection_health.pause(merchant_id, until, judgement.reason)


def soon(now: datetime) -> datetime:
    """When to look again after trouble that has nothing to do with the rows."""
    return now + timedelta(seconds=outbox.RETRY_AFTER[0])


def _clamped(retry_after: int | None) -> int:
    return min(max(retry_after or THROTTLE_SECONDS[0], THROTTLE_SECONDS[0]), THROTTLE_SECONDS[-1])
