"""Recording wallet events: once per id, with the promise to deliver in the same transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from operator import itemgetter
from typing import Any

from sqlalchemy import bindparam, exists, select

from portal import queue
from portal.db import db, find_unique, insert_rows, new_ids, on_commit, run, utcnow
from portal.errors import NotFoundError
from portal.klaviyo import bodies
from portal.models import (
    Connection,
    ConnectionState,
    Delivery,
    DeliveryState,
    Event,
    EventChoice,
    Module,
    ModuleSwitch,
    Unsent,
)
from portal.services.catalogue import BY_TYPE
from portal.services.customers import Identifiers, Person, identify


@dataclass(frozen=True)
class Told:
    """An event as a program told it, already checked. `digest` is `digest_of` what it sent."""

    event_id: str
    type: str
    customer: Identifiers
    occurred_at: datetime
    properties: dict[str, Any]
    digest: bytes


# Made once: `json.dumps` with options makes a new encoder at every call, and this is done for every event.
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
SOURCE = "api"


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    NO_SUCH_CUSTOMER = "no_such_customer"


def digest_of(told: dict[str, Any]) -> bytes:
    """Tells a repeat from another event under the same id: equal for equal JSON, whatever the order of its keys."""
    return hashlib.blake2b(_canonical(told).encode(), digest_size=16).digest()


def record(merchant_id: int, told: Sequence[Told]) -> list[Verdict]:
    """Record what is new, and say of each event what became of it, in order.

    Raises `sqlalchemy.exc.IntegrityError` when another request records the same id or customer at this moment:
    repeat the transaction.
    """
    verdicts = _repeats(merchant_id, told)
    fresh = [event for event, verdict in zip(told, verdicts, strict=True) if verdict is None]
    people = identify(merchant_id, [event.customer for event in fresh])
    plan = _Plan(merchant_id)
    accepted = [(event, person) for event, person in zip(fresh, people, strict=True) if person is not None]
    _write(merchant_id, accepted, plan)
    outcome = iter(Verdict.NO_SUCH_CUSTOMER if person is None else Verdict.ACCEPTED for person in people)
    return [verdict or next(outcome) for verdict in verdicts]


def _repeats(merchant_id: int, told: Sequence[Told]) -> list[Verdict | None]:
    """DUPLICATE or CONFLICT for what is known already, here or earlier in the same list; None for what is new."""
    wanted = {_EVENTS.c.event_id: {event.event_id for event in told}}
    rows = find_unique((_EVENTS.c.event_id, _EVENTS.c.digest), _EVENTS.c.merchant_id, merchant_id, wanted)
    seen = {row.event_id: row.digest for row in rows}
    verdicts: list[Verdict | None] = []
    for event in told:
        if event.event_id not in seen:
            seen[event.event_id] = event.digest
            verdicts.append(None)
        else:
            verdicts.append(Verdict.DUPLICATE if seen[event.event_id] == event.digest else Verdict.CONFLICT)
    return verdicts


_EVENTS = Event.__table__
_PLAN = (
    select(
        Connection.__table__.c.state,
        exists().where(
            ModuleSwitch.__table__.c.merchant_id == bindparam("merchant_id"),
            ModuleSwitch.__table__.c.module == Module.EVENTS.value,
        ),
        EventChoice.__table__.c.event_type,
    )
    .outerjoin_from(
        Connection.__table__,
        EventChoice.__table__,
        EventChoice.__table__.c.merchant_id == Connection.__table__.c.merchant_id,
    )
    .where(Connection.__table__.c.merchant_id == bindparam("merchant_id"))
)


class _Plan:
    """Why an event would not be sent; read once for a list of events."""

    def __init__(self, merchant_id: int) -> None:
        # One row for each type that is off, or one without any.
        rows: Sequence[Any] = run(_PLAN, {"merchant_id": merchant_id}).all()
        self._off = {event_type for _, _, event_type in rows}
        self._general: Unsent | None = None
        if not rows or rows[0][0] == ConnectionState.DISCONNECTED:
            self._general = Unsent.NOT_CONNECTED
        elif not rows[0][1]:
            self._general = Unsent.MODULE_OFF

    def unsent(self, event_type: str, person: Person) -> Unsent | None:
        if self._general is not None:
            return self._general
        if event_type in self._off:
            return Unsent.TYPE_OFF
        return None if person.reachable else Unsent.UNREACHABLE


def _write(merchant_id: int, accepted: Sequence[tuple[Told, Person]], plan: _Plan) -> None:
    if not accepted:
        return
    now = utcnow()
    events, deliveries = [], []
    for row_id, (told, person) in zip(new_ids(len(accepted)), accepted, strict=True):
        unsent = plan.unsent(told.type, person)
        properties = _json(told.properties)
        events.append(_event_row(row_id, merchant_id, told, person, now, properties, unsent))
        if unsent is None:
            deliveries.append(_delivery_row(row_id, merchant_id, told, person, now, properties))
    # In one order everywhere: two requests that tell the same events in different orders would wait for each other.
    insert_rows(Event, sorted(events, key=itemgetter("event_id")))
    if deliveries:
        insert_rows(Delivery, deliveries)
        on_commit(partial(queue.ring, merchant_id))


def _event_row(
    row_id: int, merchant_id: int, told: Told, person: Person, now: datetime, properties: str, unsent: Unsent | None
) -> dict[str, Any]:
    return {
        "id": row_id,
        "merchant_id": merchant_id,
        "event_id": told.event_id,
        "type": told.type,
        "customer_id": person.id,
        "occurred_at": told.occurred_at,
        "received_at": now,
        "properties": properties,
        "digest": told.digest,
        "unsent": unsent and unsent.value,
    }


def _delivery_row(
    row_id: int, merchant_id: int, told: Told, person: Person, now: datetime, properties: str
) -> dict[str, Any]:
    if "source" not in told.properties:
        properties = f'{{"source":"{SOURCE}"{"," if told.properties else ""}{properties[1:]}'
    return {
        "id": row_id,
        "merchant_id": merchant_id,
        "customer_id": person.id,
        "state": DeliveryState.PENDING.value,
        "attempts": 0,
        "calls": "",
        "created_at": now,
        "due_at": now,
        "profile": bodies.profile_of(
            klaviyo_profile_id=person.klaviyo_profile_id, email=person.email, phone=person.phone
        ),
        "payload": bodies.event_of(
            metric=BY_TYPE[told.type].metric,
            unique_id=told.event_id,
            time=told.occurred_at,
            properties=properties,
        ),
    }


def find(merchant_id: int, event_id: str) -> tuple[Event, Delivery | None]:
    """An event by the merchant's own id, and where its delivery stands. Raises `NotFoundError`."""
    event = db.session.scalar(select(Event).where(Event.merchant_id == merchant_id, Event.event_id == event_id))
    if event is None:
        raise NotFoundError("There is no event with this id.", field="id")
    return event, db.session.get(Delivery, event.id)
