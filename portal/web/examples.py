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
BY_OPERATION |= {
    "registerCustomers": {
        "0": {
            "external_id": "10422",
            "email": "ada@example.com",
            "first_name": "Ada",
            "last_name": "Lovelace",
            "birthday": "12-10",
            "joined_at": "2025-02-01T10:00:00+01:00",
        },
        "1": {
            "customers": [
                {"external_id": "10422", "email": "ada@example.com", "birthday": "12-10"},
                {"phone_number": "+4520123456", "first_name": "Grace"},
            ],
            "initial_import": True,
        },
        "200": {"results": [{"id": "cus_42", "status": "created"}]},
    },
    "getCustomer": {
        "200": {
            "id": "cus_42",
            "external_id": "10422",
            "klaviyo_profile_id": None,
            "email": "ada@example.com",
            "phone_number": None,
            "first_name": "Ada",
            "last_name": "Lovelace",
            "birthday": "12-10",
            "joined_at": "2025-02-01T09:00:00Z",
            "created_at": "2026-11-23T08:30:00.118000Z",
            "verified_at": None,
            "balance": 145,
            "tier": {
                "name": "Silver",
                "entered_at": "2026-11-23T08:30:00Z",
                "expires_at": None,
                "points": 145,
                "next": "Gold",
                "points_to_next": 355,
            },
            "rewards": {"available": 1, "next": "Bag of beans", "points_to_next": 55},
            "card": {
                "status": "installed",
                "platforms": ["ios"],
                "link": "https://YOUR-PORTAL/nordic/download?token=5pJx0wQ2mN7cK4vR8tYbHg",
            },
            "properties": {"jericommerce_balance": 145, "jericommerce_tier": "Silver"},
            "properties_sent_at": "2026-11-23T08:30:03Z",
        }
    },
    "eraseCustomer": {"202": {"id": "cus_42", "status": "erased", "klaviyo": "will_be_told"}},
}
_IMPORT: dict[str, Any] = {
    "id": "imp_42",
    "kind": "file",
    "name": "orders-2025.csv",
    "state": "ready",
    "reason": None,
    "events": 69659,
    "refused": 2,
    "first_at": "2025-01-01T12:00:00Z",
    "last_at": "2026-06-30T12:00:00Z",
    "columns_ignored": ["colour"],
    "done": 0,
    "known": 0,
    "delivered": 0,
    "waiting": 0,
    "seconds_left": 47,
    "created_at": "2026-11-23T08:30:00Z",
}
_RUNNING = {**_IMPORT, "state": "running", "done": 25000, "delivered": 22500, "waiting": 2500, "seconds_left": 30}
BY_OPERATION |= {
    "importHistory": {
        "0": {"from": "unsent"},
        "202": {**_IMPORT, "state": "checking", "events": 0, "seconds_left": None},
    },
    "getImport": {"200": _IMPORT},
    "getImportProblems": {
        "200": {
            "problems": [{"line": 4, "id": "o3", "reason": "customer.email is not an email address."}],
            "next": None,
        }
    },
    "startImport": {"200": {**_IMPORT, "state": "running"}},
    "pauseImport": {"200": {**_RUNNING, "state": "paused"}},
    "resumeImport": {"200": _RUNNING},
    "cancelImport": {"200": {**_RUNNING, "state": "cancelled", "seconds_left": None}},
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


_ASKED: dict[str, Any] = {
    "customer_id": "10422",
    "message": "Your reward is ready!",
    "url": "https://yourstore.com/rewards",
}
_ACCEPTED = {"id": "psh_42", "status": "accepted", "customer_id": "cus_42", "channels": ["apple"]}
BY_OPERATION |= {
    "push": {
        "0": _ASKED,
        "202": _ACCEPTED,
    },
    "getPush": {
        "200": {
            "id": "psh_42",
            "state": "delivered",
            "reason": None,
            "customer_id": "cus_42",
            "title": None,
            "message": _ASKED["message"],
            "url": _ASKED["url"],
            "channels": ["apple"],
            "created_at": "2026-11-25T08:30:00Z",
            "expires_at": None,
            "sent_at": "2026-11-25T08:30:00.120000Z",
            "settled_at": "2026-11-25T08:30:01.850000Z",
            "devices": [
                {
                    "channel": "apple",
                    "state": "delivered",
                    "detail": "The iPhone has fetched the card and shows the message",
                    "at": "2026-11-25T08:30:01.640000Z",
                }
            ],
        }
    },
}
