"""The activity log of flows: each action of each run, a webhook once for each try; for the pages and for tests.

Newest first on pages, oldest first over the control address.
"""

from typing import Any

from sandbox.klaviyo import flow_definitions
from sandbox.klaviyo.switches import iso
from sandbox.store import Row, Store

_SELECT = (
    "SELECT s.*, f.id AS flow_id, f.name AS flow_name, p.id AS profile_id, p.email, p.phone_number FROM flow_step s"
    " JOIN flow f ON f.pk = s.flow JOIN profile p ON p.pk = s.profile"
)
_LABELS = {
    "send-webhook": "Webhook", "send-email": "Email", "time-delay": "Wait", "conditional-split": "Split",
    "trigger-split": "Split by the event",
}  # fmt: skip


def of_flow(store: Store, flow: int, before: int | None, limit: int) -> list[Row]:
    return store.rows(
        f"{_SELECT} WHERE s.flow = ? AND s.pk < ? ORDER BY s.pk DESC LIMIT ?", (flow, before or 2**60, limit)
    )


def of_profile(store: Store, profile: int, limit: int) -> list[Row]:
    return store.rows(f"{_SELECT} WHERE s.profile = ? ORDER BY s.pk DESC LIMIT ?", (profile, limit))


def recorded(store: Store, account: int, after: int) -> list[dict[str, Any]]:
    rows = store.rows(f"{_SELECT} WHERE f.account = ? AND s.pk > ? ORDER BY s.pk LIMIT 10000", (account, after))
    return [
        {
            "number": row["pk"], "run": row["run"], "flow": row["flow_id"], "profile_id": row["profile_id"],
            "email": row["email"], "action": row["action"], "at": iso(row["at"]), "outcome": row["outcome"],
            "told": row["told"], "sent": row["sent"], "answered": row["answered"],
        }
        for row in rows
    ]  # fmt: skip


def labels(definition: dict[str, Any]) -> dict[str | None, str]:
    """What to call each action on a page."""
    return {None: "Entry"} | {action["id"]: label(action) for action in definition["actions"]}


def label(action: flow_definitions.Action) -> str:
    return _LABELS[action["type"]]
