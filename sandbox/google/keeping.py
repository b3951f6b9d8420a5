"""Classes and cards in the database: found, stored, changed as Google changes them, and as Google shows them.

A change merges objects, replaces lists, and a null takes away. What the platform sets cannot be written.
"""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from sandbox.google import errors
from sandbox.google.validating import CLASS, OBJECT, TYPES, check_whole, check_words
from sandbox.google.world import Google
from sandbox.store import Row

_SET_BY_GOOGLE = {"kind", "version", "review", "hasUsers", "hasLinkedDevice", "classReference"}
# Said with each request, and not kept.
NOTIFY = "notifyPreference"


def find(here: Google, kind: str, resource_id: str) -> dict[str, Any] | None:
    """As it is stored."""
    row = here.store.row("SELECT body FROM resource WHERE kind = ? AND id = ?", (kind, resource_id))
    return None if row is None else json.loads(row["body"])


def get(here: Google, kind: str, resource_id: str) -> dict[str, Any]:
    """As it is stored. Raises `ApiError` where it is not there."""
    found = find(here, kind, resource_id)
    if found is None:
        raise errors.not_found(kind, resource_id)
    return found


def shown(here: Google, kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """As Google answers it."""
    answer = {"kind": f"walletobjects#{kind}", **body}
    if kind == OBJECT:
        answer["hasUsers"] = bool(here.store.count("SELECT COUNT(*) FROM holder WHERE object = ?", (body["id"],)))
        answer["classReference"] = shown(here, CLASS, get(here, CLASS, body["classId"]))
    return answer


def checked_new(here: Google, kind: str, sent: Mapping[str, Any]) -> dict[str, Any]:
    """What would be stored for something new. Raises `ApiError`."""
    check_words(TYPES[kind], sent, kind)
    body = _merged({}, {name: value for name, value in sent.items() if name not in {*_SET_BY_GOOGLE, NOTIFY}})
    return _checked(here, kind, _reviewed(kind, body, sent))


def checked_change(here: Google, kind: str, old: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """What would be stored after a PATCH. Raises `ApiError`."""
    check_words(TYPES[kind], sent, kind)
    for name in ("id", "classId"):
        if sent.get(name) not in (None, old.get(name)):
            raise errors.bad_request(f"{kind}: {name} cannot be changed.")
    wanted = {name: value for name, value in sent.items() if name not in {*_SET_BY_GOOGLE, NOTIFY, "id", "classId"}}
    return _checked(here, kind, _reviewed(kind, _merged(old, wanted), sent))


def _reviewed(kind: str, body: dict[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """Google's review takes no time here."""
    wanted = sent.get("reviewStatus")
    if kind != CLASS or wanted is None:
        return body
    if wanted not in ("UNDER_REVIEW", "DRAFT"):
        raise errors.bad_request("reviewStatus can only be set to UNDER_REVIEW or DRAFT.")
    return {**body, "reviewStatus": "APPROVED" if wanted == "UNDER_REVIEW" else "DRAFT"}


def _checked(here: Google, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    check_whole(kind, body)
    if kind == OBJECT:
        programme = get(here, CLASS, body["classId"])
        if programme["reviewStatus"] != "APPROVED":
            raise errors.bad_request(f"The class {body['classId']} is not approved.")
    return body


def _merged(old: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    body = dict(old)
    for name, value in change.items():
        if value is None:
            body.pop(name, None)
        elif isinstance(value, dict):
            before = body.get(name)
            body[name] = _merged(before if isinstance(before, dict) else {}, value)
        else:
            body[name] = value
    return body


def insert(here: Google, kind: str, body: dict[str, Any]) -> None:
    """Store something new. Raises `ApiError` where the id is taken."""
    class_id = body["id"] if kind == CLASS else body["classId"]
    row = (kind, body["id"], body["id"].partition(".")[0], class_id, json.dumps(body), here.switches.now())
    try:
        with here.store.writing() as connection:
            connection.execute("INSERT INTO resource VALUES (?, ?, ?, ?, ?, ?)", row)
    except sqlite3.IntegrityError:
        raise errors.already_there(body["id"]) from None


def replace(connection: sqlite3.Connection, here: Google, kind: str, body: dict[str, Any]) -> None:
    """Store a change, within the caller's transaction."""
    connection.execute(
        "UPDATE resource SET body = ?, updated = ? WHERE kind = ? AND id = ?",
        (json.dumps(body), here.switches.now(), kind, body["id"]),
    )


def locked(connection: sqlite3.Connection, kind: str, resource_id: str) -> dict[str, Any]:
    """As it is stored, read inside the transaction that will change it. Raises `ApiError`."""
    query = "SELECT body FROM resource WHERE kind = ? AND id = ?"
    row: Row | None = connection.execute(query, (kind, resource_id)).fetchone()
    if row is None:
        raise errors.not_found(kind, resource_id)
    found: dict[str, Any] = json.loads(row["body"])
    return found
