"""Puts profiles and segments into the sandbox, many at once, for tests and benchmarks.

Works below the API: no limits, no checks of addresses. What it makes is indistinguishable from what the API made.
"""

import json
import sqlite3
from typing import Any

from sandbox.klaviyo.entering import Entering
from sandbox.klaviyo.people import new_profile_id
from sandbox.klaviyo.recording import short_id
from sandbox.klaviyo.segments import member_count, segment_resource
from sandbox.klaviyo.world import World
from sandbox.store import Row

_MOST_PROFILES = 2_000_000
_AT_ONCE = 20_000
_INSERT = (
    "INSERT OR IGNORE INTO profile (pk, account, id, email, phone_number, external_id, attributes, properties, created,"
    " updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class ControlError(Exception):
    """An order that cannot be carried out, in words for whoever sent it."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def profiles(here: World, account: int, wanted: dict[str, Any]) -> dict[str, Any]:
    given = wanted.get("profiles")
    if given is not None:
        return _given_profiles(here, account, given)
    count = wanted.get("count")
    prefix = wanted.get("prefix", "customer")
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= _MOST_PROFILES:
        raise ControlError(f"count must be from 1 to {_MOST_PROFILES}")
    if not isinstance(prefix, str):
        raise ControlError("prefix must be a text")
    before = here.store.count("SELECT COUNT(*) FROM profile WHERE account = ?", (account,))
    for start in range(0, count, _AT_ONCE):
        _made_up(here, account, prefix, start, min(count, start + _AT_ONCE))
    after = here.store.count("SELECT COUNT(*) FROM profile WHERE account = ?", (account,))
    return {"created": after - before, "profiles": after}


def _made_up(here: World, account: int, prefix: str, start: int, end: int) -> None:
    now = here.switches.now()
    with here.store.writing() as connection:
        first = here.store.take_keys("profile", end - start)
        connection.executemany(
            _INSERT,
            (
                (first + place - start, account, new_profile_id(now), f"{prefix}{place}@shop.example.com", None, None,
                 "{}", "{}", now, now)
                for place in range(start, end)
            ),
        )  # fmt: skip


def _given_profiles(here: World, account: int, given: Any) -> dict[str, Any]:
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise ControlError("profiles must be a list of objects")
    now = here.switches.now()
    ids = []
    with here.store.writing() as connection:
        first = here.store.take_keys("profile", len(given))
        for place, each in enumerate(given):
            named = {name: value for name, value in each.items() if name in _NAMED}
            connection.execute(
                _INSERT,
                (first + place, account, each.get("id") or new_profile_id(now), each.get("email"),
                 each.get("phone_number"), each.get("external_id"), json.dumps(named),
                 json.dumps({name: value for name, value in each.get("properties", {}).items() if value is not None}), now, now),
            )  # fmt: skip
            row = connection.execute("SELECT id FROM profile WHERE pk = ?", (first + place,)).fetchone()
            ids.append(row["id"] if row else None)
    return {"created": sum(each is not None for each in ids), "ids": ids}


_NAMED = ("first_name", "last_name", "locale", "location", "organization", "title", "image")


def segment(here: World, account: int, wanted: dict[str, Any]) -> dict[str, Any]:
    name = wanted.get("name")
    if not isinstance(name, str) or not name:
        raise ControlError("name is required")
    now = here.switches.now()
    definition = wanted.get("definition") or {"condition_groups": []}
    with here.store.writing() as connection:
        pk = here.store.take_keys("segment", 1)
        connection.execute(
            "INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (pk, account, wanted.get("id") or short_id(), name, json.dumps(definition), now, now,
             bool(wanted.get("is_active", True)), bool(wanted.get("is_processing", False)),
             bool(wanted.get("is_starred", False))),
        )  # fmt: skip
    row = here.store.row("SELECT * FROM segment WHERE pk = ?", (pk,))
    if row is None:
        raise ControlError("the segment could not be made", 500)
    if any(name in wanted for name in ("profile_ids", "emails", "first")):
        change_members(here, row["id"], "POST", wanted)
    return segment_resource(row) | {"members": member_count(here.store, pk)}


def _segment(here: World, segment_id: str) -> Row:
    row = here.store.row("SELECT * FROM segment WHERE id = ?", (segment_id,))
    if row is None:
        raise ControlError(f"there is no segment {segment_id!r}", 404)
    return row


def change_segment(here: World, segment_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
    row = _segment(here, segment_id)
    unknown = set(wanted) - {"name", "is_active", "is_processing", "is_starred"}
    if unknown:
        raise ControlError(f"unknown members: {', '.join(sorted(unknown))}")
    with here.store.writing() as connection:
        for name, value in wanted.items():
            connection.execute(
                f"UPDATE segment SET {name} = ?, updated = ? WHERE pk = ?",  # noqa: S608
                (value, here.switches.now(), row["pk"]),
            )
    return segment_resource(_segment(here, segment_id))


def change_members(here: World, segment_id: str, method: str, wanted: dict[str, Any]) -> dict[str, Any]:
    row = _segment(here, segment_id)
    condition, args = _chosen(row["account"], wanted)
    with here.store.writing() as connection:
        if method in ("PUT", "DELETE"):
            leaving = "NOT IN" if method == "PUT" else "IN"
            connection.execute(
                f"DELETE FROM segment_member WHERE segment = ? AND profile {leaving} (SELECT pk FROM {condition})",  # noqa: S608
                (row["pk"], *args),
            )
        if method in ("PUT", "POST"):
            _join(connection, row, here.switches.now(), condition, args)
        connection.execute("UPDATE segment SET updated = ? WHERE pk = ?", (here.switches.now(), row["pk"]))
    return {"id": segment_id, "members": member_count(here.store, row["pk"])}


def _join(connection: sqlite3.Connection, row: Row, now: float, condition: str, args: list[Any]) -> None:
    """Members join in one statement, a million as well; one by one only where a flow waits for them."""
    entering = Entering(connection, row["account"], now)
    joining: list[int] = []
    if entering.watches(row["pk"]):
        new = f"SELECT pk FROM {condition} EXCEPT SELECT profile FROM segment_member WHERE segment = ?"  # noqa: S608
        joining = [each["pk"] for each in connection.execute(new, (*args, row["pk"]))]
    connection.execute(
        f"INSERT OR IGNORE INTO segment_member SELECT ?, pk, ? FROM {condition}",  # noqa: S608
        (row["pk"], now, *args),
    )
    entering.by_joining(row["pk"], joining)


def _chosen(account: int, wanted: dict[str, Any]) -> tuple[str, list[Any]]:
    """The profiles an order names, as the end of a SELECT and its arguments."""
    first = wanted.get("first")
    if isinstance(first, int):
        return "(SELECT pk FROM profile WHERE account = ? ORDER BY pk LIMIT ?)", [account, first]
    for member, column in (("profile_ids", "id"), ("emails", "email")):
        if isinstance(wanted.get(member), list):
            named = f"profile WHERE account = ? AND {column} IN (SELECT value FROM json_each(?))"  # noqa: S608
            return named, [account, json.dumps(wanted[member])]
    raise ControlError("profile_ids, emails or first is required")
