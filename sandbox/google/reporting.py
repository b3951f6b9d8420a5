"""Writes down the callback for a card that was saved or removed, as often and as well as was ordered; the poster posts it."""

import sqlite3
import time
import uuid

from sandbox.google import keeping
from sandbox.google.validating import CLASS, OBJECT
from sandbox.google.world import Google

# Where a fault for callbacks is ordered; nothing answers at this path.
CALLBACKS = "/google/callbacks"
_GOOD_FOR_SECONDS = 7 * 86_400


def report(connection: sqlite3.Connection, here: Google, object_id: str, event: str) -> None:
    """`event` is `save` or `del`. A class without a callback address has none."""
    class_id = keeping.locked(connection, OBJECT, object_id)["classId"]
    url = (keeping.locked(connection, CLASS, class_id).get("callbackOptions") or {}).get("url")
    if not url:
        return
    ordered = here.faults.take("POST", CALLBACKS, None)
    fault, now, nonce = ordered.kind if ordered else "", time.time(), str(uuid.uuid4())
    message = {
        "classId": class_id,
        "objectId": object_id,
        "eventType": event,
        "expTimeMillis": int((now + (-1 if fault == "expire" else _GOOD_FOR_SECONDS)) * 1000),
        "count": 1,
        "nonce": nonce,
    }
    body = here.signer.envelope(object_id.partition(".")[0], message, forged=fault == "forge")
    row = (object_id, event, nonce, url, body, fault, now, None if fault == "lose" else now)
    for _ in range(2 if fault == "duplicate" else 1):
        connection.execute("INSERT INTO callback VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, 0, NULL)", row)
