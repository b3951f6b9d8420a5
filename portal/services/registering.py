"""Customers as a program tells them: made where they are new, brought up to date where they are known.

An identifier is filled in where it was missing; one that is there, or belongs to somebody else, is kept and said to be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from portal.bulk import update_rows
from portal.db import one_of, run, utcnow
from portal.errors import InvalidError, PortalError
from portal.models import Customer
from portal.services import ledger
from portal.services.customers import NAMES, Identifiers, Person, identify
from portal.services.recording import Recording

CREATED, UPDATED, UNCHANGED = "created", "updated", "unchanged"
_TABLE = Customer.__table__
DETAILS = ("first_name", "last_name", "birthday", "joined_at")
_COLUMNS = (_TABLE.c.id, *(_TABLE.c[name] for name in DETAILS))
NO_SUCH_CUSTOMER = InvalidError(
    "There is no customer with this id. Send your own id as external_id, or an email or phone number.", field="id"
)


@dataclass(frozen=True)
class Entry:
    """A customer as they were told, already checked. `details` holds what was said of `DETAILS`; None clears."""

    customer: Identifiers
    details: dict[str, Any]


@dataclass(frozen=True)
class Registered:
    """`kept` names the identifiers that were told and not taken over."""

    customer_id: int
    status: str
    kept: tuple[str, ...] = field(default=())


def register(
    merchant_id: int, entries: Sequence[Entry], *, initial: bool = False, source: str = "api"
) -> list[Registered | PortalError]:
    """What became of each, in order. `initial` is for a first import: nobody is welcomed, and *Customer created* is not told.

    Raises `sqlalchemy.exc.IntegrityError` when another request makes the same customer at this moment: repeat the transaction.
    """
    people = identify(merchant_id, [entry.customer for entry in entries])
    known = [person for person in people if person]
    recording = Recording(merchant_id, known, [], history=initial)
    now = utcnow()
    for person in known:
        recording.meet(person, now, source)
    recording.write()
    changed = _write_details(merchant_id, entries, people)
    seen: set[int] = set()
    return [
        NO_SUCH_CUSTOMER if person is None else _outcome(entry, person, changed, seen)
        for entry, person in zip(entries, people, strict=True)
    ]


def _outcome(entry: Entry, person: Person, changed: set[int], seen: set[int]) -> Registered:
    kept = tuple(name for name in NAMES if (told := getattr(entry.customer, name)) and told != getattr(person, name))
    status = UPDATED if person.id in changed or person.filled else UNCHANGED
    if person.new and person.id not in seen:
        status = CREATED
    seen.add(person.id)
    return Registered(person.id, status, kept)


def _write_details(merchant_id: int, entries: Sequence[Entry], people: Sequence[Person | None]) -> set[int]:
    """Ids of the customers of whom something is now known otherwise; a later entry counts before an earlier one."""
    told: dict[int, dict[str, Any]] = {}
    for entry, person in zip(entries, people, strict=True):
        if person is not None and entry.details:
            told.setdefault(person.id, {}).update(entry.details)
    if not told:
        return set()
    query = select(*_COLUMNS).where(one_of(_TABLE.c.id, sorted(told)))
    before = {row.id: dict(row._mapping) for row in run(query)}
    after = {
        customer_id: {**before[customer_id], **details}
        for customer_id, details in told.items()
        if customer_id in before
    }
    rows = [row for customer_id, row in after.items() if row != before[customer_id]]
    if rows:
        update_rows(Customer, rows)
        joined = (row["id"] for row in rows if row["joined_at"] != before[row["id"]]["joined_at"])
        _mark_profiles(merchant_id, joined, people)
    return {row["id"] for row in rows}


def _mark_profiles(merchant_id: int, customer_ids: Iterable[int], people: Sequence[Person | None]) -> None:
    """The day that they joined is a property of their profiles."""
    reachable = {person.id for person in people if person and person.reachable}
    ledger.mark_profiles(merchant_id, reachable.intersection(customer_ids), utcnow())
