"""`/api/events`: create one, list with filters, get one.

Creating answers 202 with an empty body before anything is recorded; a repeat is accepted as well and then dropped.
"""

import json
import uuid
from typing import Any

from flask import Response, request

from sandbox.klaviyo import documents, filters, inbox, incoming, metrics, paging, persons, profiles
from sandbox.klaviyo.documents import Resource, relation
from sandbox.klaviyo.errors import ApiError, bad_request, not_found
from sandbox.klaviyo.gate import Call, operation
from sandbox.klaviyo.persons import Problems
from sandbox.klaviyo.recorded import event_id, event_key, event_properties
from sandbox.klaviyo.switches import iso
from sandbox.store import Row

_FIELDS = ("timestamp", "event_properties", "datetime", "uuid")
_SELECT = (
    "e.*, p.id AS profile_id, m.id AS metric_id FROM event e"
    " JOIN profile p ON p.pk = e.profile JOIN metric m ON m.pk = e.metric"
)
_ONE = "equals"
_RANGE = "greater-or-equal greater-than less-or-equal less-than"
_RULES = {
    "metric_id": filters.rule(_ONE, "e.metric IN (SELECT pk FROM metric WHERE id IN {})"),
    "profile_id": filters.rule(_ONE, "p.id"),
    "profile": filters.rule("has", ""),
    "metric": filters.rule("has", ""),
    "datetime": filters.rule(_RANGE, "e.time", "time"),
    "timestamp": filters.rule(_RANGE, "e.time", "number"),
}


@operation("create_event")
def create_event(call: Call) -> Response:
    parsed, body = call.json()
    problems: Problems = []
    entries = incoming.single(parsed, call.now, problems)
    for person, _, _ in entries:
        pointer = "/data/attributes/profile/data"
        problems += persons.out_of_region(person, pointer, call.world.switches.unsupported_phone_prefixes)
    if problems:
        raise ApiError(400, problems)
    keys, _ = inbox.pending_keys(call.account, entries)
    call.world.inbox.accept(call.account, call.caller.integration, "event", call.now, body, entries, keys)
    return documents.accepted()


@operation("get_events")
def get_events(call: Call) -> Response:
    wanted = documents.included(("profile", "metric", "attributions"))
    where, args = filters.conditions(request.args.get("filter"), _RULES)
    column, descending = paging.requested_sort({"datetime": "e.time", "timestamp": "e.time"}, "-datetime")
    mine, accounts = "e.account = ?", [call.account]
    if "profile_id" in (request.args.get("filter") or ""):
        # The unary pluses send SQLite from the profile to its few events, and not through those of the account.
        mine, accounts, column = "+e.account = ? AND p.account = ?", [call.account] * 2, "+" + column
    found = paging.find(
        call.world.store, _SELECT, [mine, *where], [*accounts, *args], sort=column, key="e.pk",
        descending=descending, page=paging.requested(200, 1000),
    )  # fmt: skip
    data = [documents.sparse(event_resource(row), _FIELDS) for row in found.rows]
    return documents.many(data, found, _included(call, found.rows, wanted) if wanted else None)


@operation("get_event")
def get_event(call: Call, id: str) -> Response:  # noqa: A002
    wanted = documents.included(("profile", "metric", "attributions"))
    key = event_key(id)
    if key is None:
        # Seen on real accounts: an id that cannot be one is a bad request, not a missing event.
        raise bad_request(f"'{id}' is not a valid event id.", parameter="id")
    row = call.world.store.row(f"SELECT {_SELECT} WHERE e.account = ? AND e.pk = ?", (call.account, key))
    if row is None:
        raise not_found(f"An event with id {id} does not exist.")
    found = documents.sparse(event_resource(row), _FIELDS)
    return documents.one(found, extra=_included(call, [row], wanted) if wanted else None)


def _included(call: Call, rows: list[Row], wanted: set[str]) -> list[Resource]:
    found: list[Resource] = []
    if "profile" in wanted:
        keys = json.dumps(list({row["profile"] for row in rows}))
        people = call.world.store.rows("SELECT * FROM profile WHERE pk IN (SELECT value FROM json_each(?))", (keys,))
        found += [documents.sparse(profiles.profile_resource(row), profiles.FIELDS) for row in people]
    if "metric" in wanted:
        keys = json.dumps(list({row["metric"] for row in rows}))
        named = call.world.store.rows("SELECT * FROM metric WHERE pk IN (SELECT value FROM json_each(?))", (keys,))
        found += [documents.sparse(metrics.metric_resource(call.world, row), metrics.FIELDS) for row in named]
    return found


def event_resource(row: Row) -> Resource:
    name = event_id(row["pk"])
    attributes: dict[str, Any] = {
        "timestamp": row["time"],
        "event_properties": event_properties(row),
        "datetime": iso(row["time"]),
        "uuid": str(uuid.UUID(int=(row["time"] << 96) | (0x11F0 << 64) | (0x8 << 60) | row["pk"])),
    }
    return documents.resource(
        "event", "events", name, attributes,
        profile=relation("events", name, "profile", {"type": "profile", "id": row["profile_id"]}),
        metric=relation("events", name, "metric", {"type": "metric", "id": row["metric_id"]}),
        attributions=relation("events", name, "attributions", []),
    )  # fmt: skip
