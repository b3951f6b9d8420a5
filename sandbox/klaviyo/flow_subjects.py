"""A profile on its way through a flow, as templates and conditions see it.

Reads only; everything is looked up when it is asked for, so a split sees what has happened while the flow was waiting.
"""

import json
from typing import Any

from sandbox.klaviyo.conditions import Subject
from sandbox.klaviyo.recorded import event_properties
from sandbox.store import Row, Store

_TEXTS = ("first_name", "last_name", "organization", "title", "locale", "image")
_PLACES = ("address1", "address2", "city", "country", "region", "zip", "timezone", "latitude", "longitude")


def person_of(profile: Row) -> dict[str, Any]:
    """`id` is the external id and `KlaviyoID` the profile's own, as in Klaviyo's templates."""
    kept, custom = json.loads(profile["attributes"]), json.loads(profile["properties"])
    native = {
        "id": profile["external_id"], "external_id": profile["external_id"], "KlaviyoID": profile["id"],
        **{name: profile[name] for name in ("email", "phone_number")},
        **{name: kept.get(name) for name in _TEXTS},
        **{name: kept.get("location", {}).get(name) for name in _PLACES},
    }  # fmt: skip
    dollars = {f"${name}": native[name] for name in ("id", "email", "phone_number", *_TEXTS, *_PLACES)}
    return {**custom, **dollars, **native, "properties": custom}


def event_of(store: Store, run: Row) -> dict[str, Any]:
    """The properties of the event that started a run; nothing in a flow that a segment triggers."""
    row = store.row("SELECT * FROM event WHERE pk = ?", (run["event"],))
    return event_properties(row) if row else {}


def names(store: Store, run: Row, profile: Row) -> dict[str, Any]:
    """Everything a template of the run can name."""
    person = person_of(profile)
    account = store.row("SELECT name FROM account WHERE pk = ?", (run["account"],))
    short = {name: person[name] for name in ("email", "first_name", "last_name", "phone_number")}
    return {
        **short, "person": person, "event": event_of(store, run),
        "organization": {"name": account["name"] if account else None},
    }  # fmt: skip


def subject(store: Store, run: Row, profile: Row, now: float) -> Subject:
    def events_since(metric: str, since: float) -> list[tuple[float | None, dict[str, Any]]]:
        rows = store.rows(
            "SELECT e.value, e.properties FROM event e JOIN metric m ON m.pk = e.metric"
            " WHERE e.profile = ? AND e.time >= ? AND m.id = ? AND m.account = ?",
            (profile["pk"], since, metric, run["account"]),
        )
        return [(row["value"], json.loads(row["properties"])) for row in rows]

    def in_groups(ids: list[str]) -> bool:
        wanted = json.dumps(ids)
        return store.count(
            "SELECT (SELECT COUNT(*) FROM segment_member m JOIN segment s ON s.pk = m.segment WHERE m.profile = ?1"
            " AND s.id IN (SELECT value FROM json_each(?2))) + (SELECT COUNT(*) FROM list_member m JOIN list l"
            " ON l.pk = m.list WHERE m.profile = ?1 AND l.id IN (SELECT value FROM json_each(?2)))",
            (profile["pk"], wanted),
        ) > 0  # fmt: skip

    return Subject(person_of(profile), event_of(store, run), now, run["entered"], events_since, in_groups)
