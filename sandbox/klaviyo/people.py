"""Finds, creates and merges profiles by their identifiers, many at a time and inside one transaction.

Two identifiers that belong to two profiles merge them for good, as events do; upserts must look for conflicts first.
"""

import json
import secrets
import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

from sandbox.klaviyo import computing, persons
from sandbox.klaviyo.persons import Identifier, Person
from sandbox.store import Store

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _CROCKFORD for b in _CROCKFORD]
_COLUMNS = ("external_id", "email", "phone_number", "anonymous_id")


def new_profile_id(now: float) -> str:
    """A ULID: 48 bits of milliseconds and 80 random ones, in 26 characters."""
    return _letters((int(now * 1000) << 80) | secrets.randbits(80))


def _letters(number: int) -> str:
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def new_profile_ids(now: float, count: int) -> list[str]:
    """Many at once, ascending, as ULIDs of the same millisecond are made: they go into an index one after the other."""
    first = (int(now * 1000) << 80) | secrets.randbits(79)
    return [_letters(first + place) for place in range(count)]


class People:
    """The profiles one transaction works with. `before_merge` is called before rows change their profile."""

    def __init__(
        self, connection: sqlite3.Connection, store: Store, account: int, now: float, merged_ids_resolve_seconds: float,
        before_merge: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        self._connection = connection
        self._store = store
        self._account = account
        self._now = now
        self._merged_since = now - merged_ids_resolve_seconds
        self._before_merge = before_merge
        self._known: dict[Identifier, int] = {}
        self._held: dict[int, dict[str, str]] = {}
        self._read: dict[int, tuple[Any, ...]] = {}
        self._fresh: dict[int, list[Any]] = {}
        self._changed: set[int] = set()

    def load(self, people: Iterable[Person]) -> None:
        """Look up all identifiers at once, so that resolving needs no query for each."""
        wanted: dict[str, set[str]] = {}
        for person in people:
            for kind, value in person.identifiers:
                if (kind, value) not in self._known:
                    wanted.setdefault(kind, set()).add(value)
        for kind, values in wanted.items():
            self._load(kind, json.dumps(list(values)))

    def _load(self, kind: str, values: str) -> None:
        cursor = self._connection.cursor()
        cursor.row_factory = None
        cursor.execute(
            "SELECT pk, id, external_id, email, phone_number, anonymous_id FROM profile"  # noqa: S608
            f" WHERE account = ? AND {kind} IN (SELECT value FROM json_each(?))",
            (self._account, values),
        )
        place = persons.PRECEDENCE.index(kind) + 1
        for row in cursor:
            # Only what was asked for is looked up again; the rest is told apart when somebody wants it.
            self._known[(kind, row[place])] = row[0]
            self._read[row[0]] = row
        if kind != "id":
            return
        merged = self._connection.execute(
            "SELECT m.id, m.profile FROM merged m JOIN profile p ON p.pk = m.profile WHERE m.account = ?"
            " AND m.at >= ? AND m.id IN (SELECT value FROM json_each(?))",
            (self._account, self._merged_since, values),
        )
        for row in merged.fetchall():
            self._known[("id", row["id"])] = row["profile"]

    def _remember(self, pk: int, identifiers: dict[str, str]) -> None:
        self._held[pk] = identifiers
        for identifier in identifiers.items():
            self._known[identifier] = pk

    def _hold(self, pk: int) -> dict[str, str]:
        """The identifiers of a profile."""
        held = self._held.get(pk)
        if held is not None:
            return held
        row = self._read.pop(pk, None)
        if row is None:
            found = self._row(pk)
            row = (pk, *(found[name] for name in persons.PRECEDENCE))
        pairs = zip(persons.PRECEDENCE, row[1:], strict=True)
        held = self._held[pk] = {name: value for name, value in pairs if value is not None}
        return held

    def owners(self, person: Person) -> list[int]:
        """The profiles that a person's identifiers belong to, the most telling identifier first."""
        known = self._known
        found: list[int] = []
        for identifier in person.identifiers:
            pk = known.get(identifier)
            if pk is not None and pk not in found:
                found.append(pk)
        return found

    def id_of(self, pk: int) -> str:
        return self._hold(pk)["id"]

    def resolve(self, person: Person) -> int | None:
        """The profile of a person: found, merged or created. None when only an id was given and nobody has it."""
        if len(person.identifiers) == 1 and not (person.attributes or person.properties or person.patch):
            known = self._known.get(person.identifiers[0])
            return known if known is not None else self._create(person)
        owners = self.owners(person)
        if not owners:
            return self._create(person)
        pk = owners[0]
        for other in owners[1:]:
            self.merge(pk, other)
        self._attach(pk, person)
        if person.attributes or person.properties or person.patch:
            self._change(pk, person)
        return pk

    def _create(self, person: Person) -> int | None:
        named = {kind: value for kind, value in person.identifiers if kind != "id"}
        if not named:
            return None
        pk = self._store.take_keys("profile", 1)
        attributes: dict[str, Any] = {}
        properties: dict[str, Any] = {}
        persons.changed(person, attributes, properties)
        named["id"] = new_profile_id(self._now)
        self._fresh[pk] = [
            pk, self._account, named["id"], *(named.get(column) for column in _COLUMNS),
            json.dumps(attributes), json.dumps(properties), self._now, self._now,
        ]  # fmt: skip
        self._remember(pk, named)
        self._changed.add(pk)
        return pk

    def _attach(self, pk: int, person: Person) -> None:
        held = self._hold(pk)
        missing = [(kind, value) for kind, value in person.identifiers if kind != "id" and held.get(kind) != value]
        if not missing:
            return
        self.flush()
        self._changed.add(pk)
        for kind, value in missing:
            self._known.pop((kind, held.get(kind, "")), None)
            held[kind] = value
            self._known[(kind, value)] = pk
            self._connection.execute(
                f"UPDATE profile SET {kind} = ?, updated = ? WHERE pk = ?",  # noqa: S608
                (value, self._now, pk),
            )

    def clear(self, pk: int, kinds: Iterable[str]) -> None:
        """Take identifiers away from a profile, as null in an upsert does."""
        self.flush()
        for kind in kinds:
            self._changed.add(pk)
            self._known.pop((kind, self._hold(pk).pop(kind, "")), None)
            self._connection.execute(
                f"UPDATE profile SET {kind} = NULL, updated = ? WHERE pk = ?",  # noqa: S608
                (self._now, pk),
            )

    def _change(self, pk: int, person: Person) -> None:
        fresh = self._fresh.get(pk)
        if fresh is not None:
            attributes, properties = json.loads(fresh[7]), json.loads(fresh[8])
            persons.changed(person, attributes, properties)
            fresh[7], fresh[8] = json.dumps(attributes), json.dumps(properties)
            return
        row = self._connection.execute("SELECT attributes, properties FROM profile WHERE pk = ?", (pk,)).fetchone()
        attributes, properties = json.loads(row["attributes"]), json.loads(row["properties"])
        if persons.changed(person, attributes, properties):
            self._changed.add(pk)
            self._connection.execute(
                "UPDATE profile SET attributes = ?, properties = ?, updated = ? WHERE pk = ?",
                (json.dumps(attributes), json.dumps(properties), self._now, pk),
            )

    def flush(self) -> None:
        """Write the profiles that were created since the last time."""
        if not self._fresh:
            return
        self._connection.executemany(
            "INSERT INTO profile (pk, account, id, external_id, email, phone_number, anonymous_id, attributes,"
            " properties, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            list(self._fresh.values()),
        )
        self._fresh.clear()

    def settle(self) -> None:
        """Write what is left, and have the changed profiles join and leave the segments that are computed."""
        self.flush()
        computing.follow(self._connection, self._account, self._changed, self._now)
        self._changed.clear()

    def merge(self, into: int, gone: int) -> None:
        """Fold one profile into another: events, memberships and what the winner lacks move over."""
        self.flush()
        if self._before_merge is not None:
            self._before_merge()
        self._changed.add(into)
        winner, loser = self._row(into), self._row(gone)
        self._move(into, gone)
        attributes = {**json.loads(loser["attributes"]), **json.loads(winner["attributes"])}
        properties = {**json.loads(loser["properties"]), **json.loads(winner["properties"])}
        self._connection.execute("DELETE FROM profile WHERE pk = ?", (gone,))
        named = [winner[column] if winner[column] is not None else loser[column] for column in _COLUMNS]
        events = [each for each in (winner["last_event"], loser["last_event"]) if each is not None]
        self._connection.execute(
            "UPDATE profile SET external_id = ?, email = ?, phone_number = ?, anonymous_id = ?, attributes = ?,"
            " properties = ?, updated = ?, last_event = ? WHERE pk = ?",
            (*named, json.dumps(attributes), json.dumps(properties), self._now, max(events, default=None), into),
        )
        self._connection.execute("UPDATE merged SET profile = ? WHERE profile = ?", (into, gone))
        self._connection.execute(
            "INSERT OR REPLACE INTO merged VALUES (?, ?, ?, ?)", (self._account, loser["id"], into, self._now)
        )
        self._known = {identifier: into if pk == gone else pk for identifier, pk in self._known.items()}
        for pk in (gone, into):
            self._held.pop(pk, None)
            self._read.pop(pk, None)
        self._remember(into, dict(self._hold(into)))

    def _row(self, pk: int) -> sqlite3.Row:
        found: sqlite3.Row = self._connection.execute("SELECT * FROM profile WHERE pk = ?", (pk,)).fetchone()
        return found

    def _move(self, into: int, gone: int) -> None:
        for table in ("event", "segment_member", "list_member", "import_profile", "flow_run", "flow_step"):
            # A row that both have already stays once.
            self._connection.execute(f"UPDATE OR IGNORE {table} SET profile = ? WHERE profile = ?", (into, gone))  # noqa: S608
            self._connection.execute(f"DELETE FROM {table} WHERE profile = ?", (gone,))  # noqa: S608
