"""Finding customers by whatever identifier was told, and making those that are new.

Identifiers are tried in this order: our id, the shop's id, Klaviyo's id, email, phone. A blank one is absent. What is missing on
a customer is filled in; what is there, or belongs to somebody else, is never changed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select, update

from portal.bulk import find_unique, insert_rows
from portal.db import db, new_ids, utcnow
from portal.models import Customer
from portal.models.customer import ID_PREFIX, new_link_token

_TABLE = Customer.__table__
NAMES = ("external_id", "klaviyo_profile_id", "email", "phone")
_COLUMNS = (_TABLE.c.id, *(_TABLE.c[name] for name in NAMES))


class Identifiers(NamedTuple):
    """Who is meant; values are already checked and in normal form. `id` is our own."""

    id: int | None = None
    external_id: str | None = None
    klaviyo_profile_id: str | None = None
    email: str | None = None
    phone: str | None = None


@dataclass
class Person:
    """A customer as far as its identifiers go."""

    id: int
    external_id: str | None
    klaviyo_profile_id: str | None
    email: str | None
    phone: str | None
    filled: dict[str, str] = field(default_factory=dict)
    # Made by this very look-up.
    new: bool = False

    @property
    def reachable(self) -> bool:
        return bool(self.klaviyo_profile_id or self.email or self.phone)


class _Known:
    """The customers that a list of identifiers touches, by each of their identifiers."""

    def __init__(self) -> None:
        self.by_id: dict[int, Person] = {}
        self.by_name: dict[str, dict[str, Person]] = {name: {} for name in NAMES}

    def add(self, person: Person) -> None:
        self.by_id[person.id] = person
        for name in NAMES:
            if value := getattr(person, name):
                self.by_name[name][value] = person

    def find(self, who: Identifiers) -> Person | None:
        if who.id is not None:
            return self.by_id.get(who.id)
        for name in NAMES:
            person = self.by_name[name].get(getattr(who, name))
            if person is not None:
                return person
        return None

    def fill(self, person: Person, who: Identifiers) -> None:
        for name in NAMES:
            value = getattr(who, name)
            if value and getattr(person, name) is None and value not in self.by_name[name]:
                setattr(person, name, value)
                person.filled[name] = value
                self.by_name[name][value] = person


def identify(merchant_id: int, told: Sequence[Identifiers]) -> list[Person | None]:
    """The customer of each, found or newly thought of; None only where our own id was given and does not exist.

    What is new about them is written by `save`, for those whose event is taken.
    """
    known = _load(merchant_id, told)
    people: list[Person | None] = []
    for who in told:
        person = known.find(who)
        if person is None and who.id is None:
            person = Person(new_ids(1)[0], who.external_id, who.klaviyo_profile_id, who.email, who.phone, new=True)
            known.add(person)
        elif person is not None:
            known.fill(person, who)
        people.append(person)
    return people


def _load(merchant_id: int, told: Sequence[Identifiers]) -> _Known:
    known = _Known()
    wanted: dict[Any, set[Any]] = {_COLUMNS[0]: {who.id for who in told if who.id is not None}}
    for column, name in zip(_COLUMNS[1:], NAMES, strict=True):
        wanted[column] = {value for who in told if (value := getattr(who, name))}
    wanted = {column: values for column, values in wanted.items() if values}
    if wanted:
        for row in find_unique(_COLUMNS, _TABLE.c.merchant_id, merchant_id, wanted):
            if row[0] not in known.by_id:
                known.add(Person(*row))
    return known


def save(
    merchant_id: int,
    people: Iterable[Person],
    states: Mapping[int, dict[str, Any]],
    joined_at: Mapping[int, datetime],
) -> None:
    """Write the new ones with their state (all of them, or none), and what is known more about the others."""
    now = utcnow()
    rows = []
    for person in people:
        if person.new:
            rows.append(
                {
                    "id": person.id,
                    "merchant_id": merchant_id,
                    "created_at": now,
                    "joined_at": joined_at.get(person.id),
                    "link_token": new_link_token(),
                    **{name: getattr(person, name) for name in NAMES},
                    **states.get(person.id, {}),
                }
            )
        elif person.filled:
            db.session.execute(update(Customer).where(Customer.id == person.id).values(**person.filled))
    if rows:
        # In one order everywhere: two requests that make the same customers would wait for each other.
        insert_rows(Customer, sorted(rows, key=lambda row: [row[name] or "" for name in NAMES]))


def search(merchant_id: int, text: str, limit: int = 100) -> Sequence[Customer]:
    """Customers that have exactly this identifier, of whatever kind."""
    text = text.strip()
    digits = text.removeprefix(ID_PREFIX)
    if digits != text and digits.isascii() and digits.isdigit() and len(digits) <= 19 and int(digits) < 2**63:
        match: Any = Customer.id == int(digits)
    elif "@" in text:
        match = Customer.email == text.lower()
    else:
        match = (Customer.external_id == text) | (Customer.phone == text) | (Customer.klaviyo_profile_id == text)
    return db.session.scalars(select(Customer).where(Customer.merchant_id == merchant_id, match).limit(limit)).all()
