"""What the reference page shows of requests and answers: what a shop would really send, and no more than it needs.

The tests send each request, and hold each answer beside what the portal says.
"""

from __future__ import annotations

from typing import Any

from portal.services.catalogue import EventType

ERROR: dict[str, Any] = {
    "error": {
        "code": "invalid",
        "message": "customer.email is not an email address.",
        "field": "customer.email",
        "request_id": "5f0c1d8a9b3e4a72",
    }
}

_PURCHASE: dict[str, Any] = {
    "id": "order-1042",
    "type": "balance_changed",
    "customer": {"email": "ada@example.com"},
    "occurred_at": "2026-11-23T09:30:00+01:00",
    "properties": {
        "direction": "increase",
        "change": 25,
        "balance": 145,
        "previous_balance": 120,
        "reason": "Purchase",
    },
}
_SCAN: dict[str, Any] = {
    "id": "scan-881",
    "type": "pos_scanned",
    "customer": {"phone_number": "+4520123456"},
    "properties": {"location": "Nørrebro", "device": "Till 2"},
}

# By operation of the description: "0", "1" for the ways its body may look, "202" for an answer.
BY_OPERATION: dict[str, dict[str, Any]] = {
    "recordEvents": {
        "0": _PURCHASE,
        "1": {"events": [_PURCHASE, _SCAN]},
        "202": {"results": [{"id": "order-1042", "status": "accepted"}]},
    },
    "getEvent": {
        "200": {
            "id": "order-1042",
            "type": "balance_changed",
            "metric": "Balance changed",
            "customer_id": "cus_42",
            "occurred_at": "2026-11-23T08:30:00Z",
            "received_at": "2026-11-23T08:30:01.204000Z",
            "properties": _PURCHASE["properties"],
            "delivery": {
                "state": "delivered",
                "attempts": 1,
                "reason": None,
                "next_attempt_at": None,
                "delivered_at": "2026-11-23T08:30:01.688000Z",
            },
        }
    },
}
# A batch of which one event is wrong: the others are taken all the same.
MIXED: dict[str, Any] = {
    "results": [
        {"id": "order-1042", "status": "duplicate"},
        {"id": "scan-881", "status": "rejected", **ERROR},
    ]
}


def at_klaviyo(entry: EventType) -> dict[str, Any]:
    """An event as it stands on a profile's timeline in Klaviyo."""
    return {"metric": entry.metric, "time": "2026-11-23T08:30:00+00:00", "properties": entry.example}
