"""Makes and changes segments below the API: by order, by the forms of the pages, many members at once.

A segment is either put together by hand or computed from the properties of profiles, never both.
"""

import json
import sqlite3
from typing import Any

from sandbox.klaviyo import computing, conditions
from sandbox.klaviyo.entering import Entering
from sandbox.klaviyo.persons import Problems
from sandbox.klaviyo.planting import ControlError
from sandbox.klaviyo.recording import short_id
from sandbox.klaviyo.segments import member_count, segment_resource
from sandbox.klaviyo.world import World
from sandbox.store import Row

_MEMBERS = ("profile_ids", "emails", "first")
_FLAGS = ("is_active", "is_processing", "is_starred")


def create(here: World, account: int, wanted: dict[str, Any]) -> dict[str, Any]:
    name, computed = _name(wanted), bool(wanted.get("computed"))
    definition = wanted.get("definition") or {"condition_groups": []}
    if computed:
        _check_computable(definition, wanted)
    now = here.switches.now()
    with here.store.writing() as connection:
        pk = here.store.take_keys("segment", 1)
        connection.execute(
            "INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (pk, account, wanted.get("id") or short_id(), name, json.dumps(definition), now, now,
             bool(wanted.get("is_active", True)), bool(wanted.get("is_processing", False)),
             bool(wanted.get("is_starred", False))),
        )  # fmt: skip
        if computed:
            connection.execute("INSERT INTO computed_segment VALUES (?)", (pk,))
    row = here.store.row("SELECT * FROM segment WHERE pk = ?", (pk,))
    if row is None:
        raise ControlError("the segment could not be made", 500)
    if any(name in wanted for name in _MEMBERS):
        change_members(here, row["id"], "POST", wanted)
    if computed:
        computing.recompute(here.store, account, here.switches.now())
    return segment_resource(row) | {"members": member_count(here.store, pk)}


def _name(wanted: dict[str, Any]) -> str:
    name = wanted.get("name")
    if not isinstance(name, str) or not name.strip():
        raise ControlError("name is required")
    return name.strip()


def _check_computable(definition: Any, wanted: dict[str, Any]) -> None:
    problems: Problems = []
    conditions.PROPERTY_FILTER(definition, "definition", problems)
    if problems or not definition["condition_groups"]:
        detail = f"{problems[0]['source']['pointer']}: {problems[0]['detail']}" if problems else "it has no condition"
        raise ControlError(f"a computed segment needs conditions on properties of profiles; {detail}")
    if any(name in wanted for name in _MEMBERS):
        raise ControlError("the members of a computed segment cannot be chosen")


def find(here: World, segment_id: str) -> Row:
    row = here.store.row("SELECT * FROM segment WHERE id = ?", (segment_id,))
    if row is None:
        raise ControlError(f"there is no segment {segment_id!r}", 404)
    return row


def change(here: World, segment_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
    row = find(here, segment_id)
    unknown = set(wanted) - {"name", *_FLAGS}
    if unknown:
        raise ControlError(f"unknown members: {', '.join(sorted(unknown))}")
    changes: dict[str, Any] = {name: bool(wanted[name]) for name in _FLAGS if name in wanted}
    if "name" in wanted:
        changes["name"] = _name(wanted)
    with here.store.writing() as connection:
        for name, value in changes.items():
            connection.execute(
                f"UPDATE segment SET {name} = ?, updated = ? WHERE pk = ?",  # noqa: S608
                (value, here.switches.now(), row["pk"]),
            )
    if changes.get("is_active"):
        computing.recompute(here.store, row["account"], here.switches.now())
    return segment_resource(find(here, segment_id))


def delete(here: World, segment_id: str) -> dict[str, Any]:
    row = find(here, segment_id)
    with here.store.writing() as connection:
        connection.execute("DELETE FROM segment WHERE pk = ?", (row["pk"],))
        connection.execute("DELETE FROM computed_segment WHERE segment = ?", (row["pk"],))
        connection.execute("DELETE FROM segment_member WHERE segment = ?", (row["pk"],))
    return {"deleted": segment_id}


def change_members(here: World, segment_id: str, method: str, wanted: dict[str, Any]) -> dict[str, Any]:
    row = find(here, segment_id)
    if computing.is_computed(here.store, row["pk"]):
        raise ControlError("the members of a computed segment cannot be chosen")
    condition, args = _chosen(row["account"], wanted)
    now = here.switches.now()
    with here.store.writing() as connection:
        if method in ("PUT", "DELETE"):
            leaving = "NOT IN" if method == "PUT" else "IN"
            connection.execute(
                f"DELETE FROM segment_member WHERE segment = ? AND profile {leaving} (SELECT pk FROM {condition})",  # noqa: S608
                (row["pk"], *args),
            )
        if method in ("PUT", "POST"):
            _join(connection, row, now, _spread(wanted), condition, args)
        connection.execute("UPDATE segment SET updated = ? WHERE pk = ?", (now, row["pk"]))
    return {"id": segment_id, "members": member_count(here.store, row["pk"])}


def _spread(wanted: dict[str, Any]) -> float:
    """Over how many seconds up to now the members have joined; at once unless the order says otherwise."""
    spread = wanted.get("joined_over_seconds", 0)
    if not isinstance(spread, (int, float)) or isinstance(spread, bool) or spread < 0:
        raise ControlError("joined_over_seconds must be a number")
    return float(spread)


def _join(
    connection: sqlite3.Connection, row: Row, now: float, spread: float, condition: str, args: list[Any]
) -> None:  # fmt: skip
    """Members join in one statement, a million as well; one by one only where a flow waits for them."""
    entering = Entering(connection, row["account"], now)
    joining: list[int] = []
    if entering.watches(row["pk"]):
        new = f"SELECT pk FROM {condition} EXCEPT SELECT profile FROM segment_member WHERE segment = ?"  # noqa: S608
        joining = [each["pk"] for each in connection.execute(new, (*args, row["pk"]))]
    when = "? - ? * (ABS(RANDOM()) % 1000000) / 1000000.0"
    connection.execute(
        f"INSERT OR IGNORE INTO segment_member SELECT ?, pk, {when} FROM {condition}",  # noqa: S608
        (row["pk"], now, spread, *args),
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
