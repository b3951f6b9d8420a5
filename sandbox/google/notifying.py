"""What makes a phone show a notification, and the quota: three in 24 hours for each card, and for each class.

The words on the lock screen are Google's own; a message is read after a tap.
"""

import sqlite3
from collections.abc import Mapping
from typing import Any

from sandbox.google import errors
from sandbox.google.validating import CLASS, OBJECT
from sandbox.google.world import Google

PER_DAY = 3
DAY_SECONDS = 86_400


def notify_by_message(
    connection: sqlite3.Connection, here: Google, kind: str, body: Mapping[str, Any], message: Mapping[str, Any]
) -> None:
    """Count a notifying message and tell who holds the card, or all cards of the class. Raises `ApiError` over quota."""
    resource_id, now = body["id"], here.switches.now()
    if _used(connection, resource_id, now) >= PER_DAY:
        raise errors.quota_exceeded(resource_id.partition(".")[0], kind, resource_id)
    title = body.get("issuerName") if kind == CLASS else _issuer_name(connection, body["classId"])
    told = (str(title or ""), "You have a new message. Tap to view it.", message.get("id"), now)
    connection.execute("INSERT INTO notification VALUES (NULL, ?, ?, ?, ?, ?)", (resource_id, *told))
    if kind == CLASS:
        # Cards that were notified three times already stay silent; the message is there all the same.
        connection.execute(
            "INSERT INTO notification SELECT NULL, r.id, ?, ?, ?, ? FROM resource r WHERE r.class = ? AND r.kind = ?"
            " AND EXISTS (SELECT 1 FROM holder h WHERE h.object = r.id)"
            " AND (SELECT COUNT(*) FROM notification n WHERE n.resource = r.id AND n.at > ?) < ?",
            (*told, resource_id, OBJECT, now - DAY_SECONDS, PER_DAY),
        )


def notify_by_change(
    connection: sqlite3.Connection, here: Google, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    """A new balance notifies where that was asked for; over quota the card changes silently."""
    points = new.get("loyaltyPoints") or {}
    now = here.switches.now()
    if points.get("balance") == (old.get("loyaltyPoints") or {}).get("balance"):
        return
    if _used(connection, new["id"], now) < PER_DAY:
        ((_, balance),) = points.get("balance", {"": "none"}).items()
        text = f"{points.get('label') or 'Points'}: {balance}"
        row = (new["id"], _issuer_name(connection, new["classId"]), text, now)
        connection.execute("INSERT INTO notification VALUES (NULL, ?, ?, ?, NULL, ?)", row)


def _used(connection: sqlite3.Connection, resource_id: str, now: float) -> int:
    query = "SELECT COUNT(*) FROM notification WHERE resource = ? AND at > ?"
    found: int = connection.execute(query, (resource_id, now - DAY_SECONDS)).fetchone()[0]
    return found


def _issuer_name(connection: sqlite3.Connection, class_id: str) -> str:
    query = "SELECT body ->> 'issuerName' FROM resource WHERE kind = ? AND id = ?"
    row = connection.execute(query, (CLASS, class_id)).fetchone()
    return str(row[0] or "") if row else ""
