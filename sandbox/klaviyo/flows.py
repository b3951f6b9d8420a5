"""`/api/flows`: lists of at most fifty, one, and flows as what a metric or a segment triggers.

The sandbox's flows send nothing: entering one is recorded and shown.
"""

from flask import Response, request

from sandbox.klaviyo import documents, filters, paging
from sandbox.klaviyo.documents import Resource, relation
from sandbox.klaviyo.errors import not_found
from sandbox.klaviyo.gate import Call, operation
from sandbox.klaviyo.switches import iso
from sandbox.store import Row

FIELDS = ("name", "status", "archived", "created", "updated", "trigger_type")
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


@operation("get_flow")
def get_flow(call: Call, id: str) -> Response:  # noqa: A002
    documents.included(_INCLUDED)
    row = call.world.store.row("SELECT * FROM flow WHERE account = ? AND id = ?", (call.account, id))
    if row is None:
        raise not_found(f"A flow with id {id} does not exist.")
    return documents.one(documents.sparse(flow_resource(row), FIELDS))


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
