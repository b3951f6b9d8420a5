"""`/api/metrics` and the flows that a metric triggers.

Pages hold 200 and have no page[size]; a metric cannot be looked up by name, as with Klaviyo.
"""

import json

from flask import Response, request

from sandbox.klaviyo import documents, filters, flows, paging
from sandbox.klaviyo.documents import Resource, relation
from sandbox.klaviyo.errors import not_found
from sandbox.klaviyo.gate import Call, operation
from sandbox.klaviyo.switches import iso
from sandbox.klaviyo.world import World
from sandbox.store import Row

FIELDS = ("name", "created", "updated", "integration")
_NATIVE = "klaviyo"


@operation("get_metrics")
def get_metrics(call: Call) -> Response:
    wanted = documents.included(("flow-triggers",))
    names = {integration(call.world, kind)["name"]: kind for kind in (_NATIVE, "app", "api")}
    where, args = filters.conditions(
        request.args.get("filter"),
        {
            "integration.name": filters.rule("equals", "integration"),
            # A real account answers nothing for a category, whichever it is.
            "integration.category": filters.rule("equals", "NULL"),
        },
    )
    args = [json.dumps([names.get(each, "-") for each in _texts(arg)]) for arg in args]
    found = paging.find(
        call.world.store, "* FROM metric", ["account = ?", *where], [call.account, *args], sort="name", key="pk",
        descending=False, page=paging.requested(200, 200, fixed=True),
    )  # fmt: skip
    data = [documents.sparse(metric_resource(call.world, row), FIELDS) for row in found.rows]
    extra = [flow for row in found.rows for flow in _flows(call, row)] if wanted else None
    return documents.many(data, found, extra)


def _texts(arg: str) -> list[str]:
    return [str(each) for each in json.loads(arg)]


@operation("get_metric")
def get_metric(call: Call, id: str) -> Response:  # noqa: A002
    wanted = documents.included(("flow-triggers",))
    row = _metric(call, id)
    found = documents.sparse(metric_resource(call.world, row), FIELDS)
    return documents.one(found, extra=_flows(call, row) if wanted else None)


@operation("get_flows_triggered_by_metric")
def get_flows_triggered_by_metric(call: Call, id: str) -> Response:  # noqa: A002
    return documents.many(_flows(call, _metric(call, id)))


@operation("get_ids_for_flows_triggered_by_metric")
def get_ids_for_flows_triggered_by_metric(call: Call, id: str) -> Response:  # noqa: A002
    return documents.many([{"type": "flow", "id": flow["id"]} for flow in _flows(call, _metric(call, id))])


def _metric(call: Call, metric_id: str) -> Row:
    row = call.world.store.row("SELECT * FROM metric WHERE account = ? AND id = ?", (call.account, metric_id))
    if row is None:
        raise not_found(f"A metric with id {metric_id} does not exist.")
    return row


def _flows(call: Call, row: Row) -> list[Resource]:
    found = call.world.store.rows("SELECT * FROM flow WHERE metric = ? ORDER BY pk", (row["pk"],))
    return [documents.sparse(flows.flow_resource(each), flows.FIELDS) for each in found]


def metric_resource(world: World, row: Row) -> Resource:
    attributes = {
        "name": row["name"],
        "created": iso(row["created"]),
        "updated": iso(row["updated"]),
        "integration": integration(world, row["integration"]),
    }
    triggers = relation("metrics", row["id"], "flow-triggers")
    return documents.resource("metric", "metrics", row["id"], attributes, **{"flow-triggers": triggers})


def integration(world: World, kind: str) -> dict[str, object]:
    """Whom a metric belongs to: the app that sent it, the API (private keys), or Klaviyo itself."""
    if kind == "app":
        name = world.config.app_name
        key = name.lower().replace(" ", "_")
        return {"object": "integration", "id": "7FtS4J", "key": key, "name": name,
                "category": {"id": "d7ec5cf2", "object": "integration_category", "name": "Other"}}  # fmt: skip
    if kind == _NATIVE:
        return {"object": "integration", "id": "0rG4eQ", "key": "klaviyo", "name": "Klaviyo", "category": "Internal"}
    return {"object": "integration", "id": "7bkK2d", "key": "api", "name": "API", "category": "API"}
