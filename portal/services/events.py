"""Recording wallet events: once per id, with the promise to deliver in the same transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import select

from portal.bulk import find_unique
from portal.db import db
from portal.errors import ConflictError, InvalidError, NotFoundError, PortalError
from portal.models import Delivery, ErasedEvent, Event
from portal.services.customers import Person, identify
from portal.services.recording import Recording, Told

# Made once: `json.dumps` with options makes a new encoder at every call, and this is done for every event.
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode

# What became of an event: recorded now, recorded before, or the reason why it is not.
ACCEPTED, DUPLICATE = "accepted", "duplicate"
Outcome = str | PortalError
CONFLICT = ConflictError(
    "Another event was already recorded under this id. Give each event an id of its own.", field="id"
)
NO_SUCH_CUSTOMER = InvalidError(
    "There is no customer with this id. Send your own id as external_id, or an email or phone number.",
    field="customer.id",
)


def digest_of(told: dict[str, Any]) -> bytes:
    """Tells a repeat from another event under the same id: equal for equal JSON, whatever the order of its keys."""
    return hashlib.blake2b(_canonical(told).encode(), digest_size=16).digest()


def record(merchant_id: int, told: Sequence[Told], *, history: bool = False) -> list[Outcome]:
    """Record what is new with everything that follows from it, and say of each event what became of it, in order.

    `history` is for what happened before: nobody is welcomed, and no flow at Klaviyo is set off. Raises
    `sqlalchemy.exc.IntegrityError` when another request records the same id or customer at this moment: repeat the transaction.
    """
    outcomes = _repeats(merchant_id, told)
    fresh = [event for event, outcome in zip(told, outcomes, strict=True) if outcome is None]
    if not fresh:
        return [outcome for outcome in outcomes if outcome is not None]
    people = identify(merchant_id, [event.customer for event in fresh])
    recording = Recording(merchant_id, [person for person in people if person], fresh, history=history)
    erased = erased_ids(merchant_id, fresh) if recording.knows_erased else frozenset()
    decided = iter([_take(recording, event, person, erased) for event, person in zip(fresh, people, strict=True)])
    recording.write()
    return [outcome or next(decided) for outcome in outcomes]


def _take(recording: Recording, event: Told, person: Person | None, erased: Collection[str]) -> Outcome:
    if event.event_id in erased:
        return DUPLICATE
    return NO_SUCH_CUSTOMER if person is None else recording.take(event, person) or ACCEPTED


def erased_ids(merchant_id: int, told: Sequence[Told]) -> frozenset[str]:
    """Of these, the ids of events whose customers were erased."""
    ids = {id_hash(merchant_id, event.event_id): event.event_id for event in told}
    rows = find_unique((_ERASED.c.id_hash,), _ERASED.c.merchant_id, merchant_id, {_ERASED.c.id_hash: ids})
    return frozenset(ids[row.id_hash] for row in rows)


def id_hash(merchant_id: int, event_id: str) -> bytes:
    """What is kept of an event's id when its customer is erased; an id may hold an address."""
    return hashlib.blake2b(event_id.encode(), digest_size=16, key=str(merchant_id).encode()).digest()


def _repeats(merchant_id: int, told: Sequence[Told]) -> list[Outcome | None]:
    """A repeat or a conflict for what is known already, here or earlier in the same list; None for what is new."""
    wanted = {_EVENTS.c.event_id: {event.event_id for event in told}}
    rows = find_unique((_EVENTS.c.event_id, _EVENTS.c.digest), _EVENTS.c.merchant_id, merchant_id, wanted)
    seen = {row.event_id: row.digest for row in rows}
    outcomes: list[Outcome | None] = []
    for event in told:
        if event.event_id not in seen:
            seen[event.event_id] = event.digest
            outcomes.append(None)
        else:
            outcomes.append(DUPLICATE if seen[event.event_id] == event.digest else CONFLICT)
    return outcomes


_EVENTS = Event.__table__
_ERASED = ErasedEvent.__table__


def find(merchant_id: int, event_id: str) -> tuple[Event, Delivery | None]:
    """An event by the merchant's own id, and where its delivery stands. Raises `NotFoundError`."""
    event = db.session.scalar(select(Event).where(Event.merchant_id == merchant_id, Event.event_id == event_id))
    if event is None:
        raise NotFoundError("There is no event with this id.", field="id")
    return event, db.session.get(Delivery, event.id)
