"""`/api/flows`: list, get, create, switch, and flows as what a metric or a segment triggers.

A new flow is a draft. What the sandbox could not run is refused.
"""

import json
from typing import Any

from flask import Response, request

from sandbox.klaviyo import documents, filters, flow_definitions, paging, shapes
from sandbox.klaviyo.documents import Resource, relation
from sandbox.klaviyo.errors import ApiError, bad_request, not_found
from sandbox.klaviyo.gate import Call, operation
from sandbox.klaviyo.persons import Problems
from sandbox.klaviyo.recording import short_id
from sandbox.klaviyo.switches import iso
from sandbox.store import Row, Store

FIELDS = ("name", "status", "archived", "created", "updated", "trigger_type")
STATUSES = ("draft", "manual", "live")
_WITH_DEFINITION = (*FIELDS, "definition")
_INCLUDED = ("flow-actions", "tags")
# The description has one word for lists and segments.
_TRIGGER_TYPE = "CASE WHEN metric IS NULL THEN 'Added to List' ELSE 'Metric' END"
_SORTS = {each: each for each in ("created", "id", "name", "status", "updated")} | {"trigger_type": _TRIGGER_TYPE}
_TIMES = "equals greater-or-equal greater-than less-or-equal less-than"
_RULES = {
    "id": filters.rule("any", "id"),
    "name": filters.rule("contains ends-with equals starts-with", "name"),
    "status": filters.rule("equals", "status"),
    # Nothing in the sandbox is archived.
    "archived": filters.rule("equals", "0", "flag"),
    "created": filters.rule(_TIMES, "created", "time"),
    "updated": filters.rule(_TIMES, "updated", "time"),
    "trigger_type": filters.rule("equals", _TRIGGER_TYPE),
}


@operation("get_flows")
def get_flows(call: Call) -> Response:
    documents.included(_INCLUDED)
    where, args = filters.conditions(request.args.get("filter"), _RULES)
    column, descending = paging.requested_sort(_SORTS, "created")
    found = paging.find(
        call.world.store, "* FROM flow", ["account = ?", *where], [call.account, *args], sort=column, key="pk",
        descending=descending, page=paging.requested(50, 50),
    )  # fmt: skip
    return documents.many([documents.sparse(flow_resource(row), FIELDS) for row in found.rows], found)


@operation("create_flow")
def create_flow(call: Call) -> Response:
    parsed, _ = call.json()
    documents.extra_fields("flow", ("definition",))
    problems: Problems = []
    name, definition = flow_definitions.read(parsed, problems)
    if problems:
        raise ApiError(400, problems)
    row = make(call.world.store, call.account, call.now, name, definition)
    return documents.one(documents.sparse(_with_definition(call.world.store, row), _WITH_DEFINITION), 201)


def make(store: Store, account: int, now: float, name: str, definition: dict[str, Any]) -> Row:
    """A new flow, as a draft. Raises `ApiError` when the account has no such trigger."""
    (trigger,) = definition["triggers"]
    kind = trigger["type"]
    with store.writing() as connection:
        found = connection.execute(
            f"SELECT pk FROM {kind} WHERE account = ? AND id = ?",  # noqa: S608
            (account, trigger["id"]),
        ).fetchone()
        if found is None:
            where = f"{flow_definitions.POINTER}/triggers/0/id"
            raise bad_request(f"A {kind} with id {trigger['id']} does not exist.", pointer=where)
        cursor = connection.execute(
            f"INSERT INTO flow (account, id, name, status, {kind}, created, updated)"  # noqa: S608
            " VALUES (?, ?, ?, 'draft', ?, ?, ?)",
            (account, short_id(), name, found["pk"], now, now),
        )
        connection.execute("INSERT INTO flow_definition VALUES (?, ?)", (cursor.lastrowid, json.dumps(definition)))
        row: Row = connection.execute("SELECT * FROM flow WHERE pk = ?", (cursor.lastrowid,)).fetchone()
    return row


@operation("get_flow")
def get_flow(call: Call, id: str) -> Response:  # noqa: A002
    documents.included(_INCLUDED)
    row = _flow(call, id)
    if not documents.extra_fields("flow", ("definition",)):
        return documents.one(documents.sparse(flow_resource(row), _WITH_DEFINITION))
    return documents.one(documents.sparse(_with_definition(call.world.store, row), _WITH_DEFINITION))


@operation("update_flow")
def update_flow(call: Call, id: str) -> Response:  # noqa: A002
    parsed, _ = call.json()
    problems: Problems = []
    _UPDATE(parsed, "", problems)
    if problems:
        raise ApiError(400, problems)
    if parsed["data"]["id"] != id:
        raise bad_request("The id in the body must be the one in the path.", pointer="/data/id")
    row = _flow(call, id)
    switch(call.world.store, row, parsed["data"]["attributes"]["status"], call.now)
    return documents.one(documents.sparse(flow_resource(_flow(call, id)), FIELDS))


_UPDATE = shapes.record(
    {"data": shapes.record({
        "type": shapes.word("flow"), "id": shapes.text,
        "attributes": shapes.record({"status": shapes.word(*STATUSES)}),
    })}
)  # fmt: skip


def switch(store: Store, row: Row, status: str, now: float) -> None:
    """Set a flow's status; what waited for a person goes out when it becomes live."""
    with store.writing() as connection:
        connection.execute("UPDATE flow SET status = ?, updated = ? WHERE pk = ?", (status, now, row["pk"]))
        if status == "live":
            connection.execute(
                "UPDATE flow_run SET state = 'Waiting', due = ? WHERE flow = ? AND state = 'Needs review'",
                (now, row["pk"]),
            )


def _flow(call: Call, flow_id: str) -> Row:
    row = call.world.store.row("SELECT * FROM flow WHERE account = ? AND id = ?", (call.account, flow_id))
    if row is None:
        raise not_found(f"A flow with id {flow_id} does not exist.")
    return row


def _with_definition(store: Store, row: Row) -> Resource:
    found = flow_resource(row)
    found["attributes"]["definition"] = flow_definitions.of(store, row["pk"])
    return found


def flow_resource(row: Row) -> Resource:
    attributes = {
        "name": row["name"],
        "status": row["status"],
        "archived": False,
        "created": iso(row["created"]),
        "updated": iso(row["updated"]),
        "trigger_type": "Metric" if row["metric"] is not None else "Added to List",
    }
    actions = relation("flows", row["id"], "flow-actions")
    return documents.resource(
        "flow", "flows", row["id"], attributes, tags=relation("flows", row["id"], "tags"), **{"flow-actions": actions}
    )
