"""`/api/flows/{id}` in its smallest form, and flows as what a metric or a segment triggers.

The sandbox's flows send nothing: entering one is recorded and shown.
"""

from flask import Response

from sandbox.klaviyo import documents
from sandbox.klaviyo.documents import Resource, relation
from sandbox.klaviyo.errors import not_found
from sandbox.klaviyo.gate import Call, operation
from sandbox.klaviyo.store import Row
from sandbox.klaviyo.switches import iso

FIELDS = ("name", "status", "archived", "created", "updated", "trigger_type")


@operation("get_flow")
def get_flow(call: Call, id: str) -> Response:  # noqa: A002
    documents.included(("flow-actions", "tags"))
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
        # The description has one word for lists and segments.
        "trigger_type": "Metric" if row["metric"] is not None else "Added to List",
    }
    actions = relation("flows", row["id"], "flow-actions")
    return documents.resource(
        "flow", "flows", row["id"], attributes, tags=relation("flows", row["id"], "tags"), **{"flow-actions": actions}
    )
