"""`/api/segments`: lists of at most ten, one with its size, its members and the flows it triggers.

Membership is what was put there by hand, or what was computed; the API cannot tell which.
"""

import json

from flask import Response, request

from sandbox.klaviyo import documents, filters, flows, paging, profiles
from sandbox.klaviyo.documents import Resource, relation
from sandbox.klaviyo.errors import not_found
from sandbox.klaviyo.gate import Call, operation
from sandbox.klaviyo.switches import iso
from sandbox.store import Row, Store

FIELDS = ("name", "definition", "created", "updated", "is_active", "is_processing", "is_starred", "profile_count")
_SORTS = {"created": "created", "id": "id", "name": "name", "updated": "updated"}
_LISTED = "any equals"
_RANGE = "greater-or-equal greater-than less-or-equal less-than"
_MEMBER_RULES = {
    "profile_id": filters.rule(_LISTED, "p.id"),
    "email": filters.rule(_LISTED, "p.email", "email"),
    "phone_number": filters.rule(_LISTED, "p.phone_number"),
    "push_token": filters.rule(_LISTED, "NULL"),
    "_kx": filters.rule("equals", "p.id", "exchange"),
    "joined_group_at": filters.rule(_RANGE, "m.joined", "time"),
}


@operation("get_segments")
def get_segments(call: Call) -> Response:
    wanted = documents.included(("flow-triggers", "tags"))
    documents.extra_fields("segment", ())
    # On real accounts these two were accepted and had no effect.
    applied = call.world.switches.apply_segment_flag_filters
    where, args = filters.conditions(
        request.args.get("filter"),
        {
            "id": filters.rule(_LISTED, "id"),
            "name": filters.rule(_LISTED, "name"),
            "created": filters.rule("greater-than", "created", "time"),
            "updated": filters.rule("greater-than", "updated", "time"),
            "is_active": filters.rule(_LISTED, "is_active" if applied else "", "flag"),
            "is_starred": filters.rule("equals", "is_starred" if applied else "", "flag"),
        },
    )
    column, descending = paging.requested_sort(_SORTS, "created")
    found = paging.find(
        call.world.store, "* FROM segment", ["account = ?", *where], [call.account, *args], sort=column, key="pk",
        descending=descending, page=paging.requested(10, 10),
    )  # fmt: skip
    data = [documents.sparse(segment_resource(row), FIELDS) for row in found.rows]
    extra = [flow for row in found.rows for flow in _flows(call, row)] if "flow-triggers" in wanted else None
    return documents.many(data, found, extra)


@operation("get_segment")
def get_segment(call: Call, id: str) -> Response:  # noqa: A002
    wanted = documents.included(("flow-triggers", "tags"))
    counted = documents.extra_fields("segment", ("profile_count",))
    row = _segment(call, id)
    found = segment_resource(row)
    if counted:
        found["attributes"]["profile_count"] = member_count(call.world.store, row["pk"])
    found = documents.sparse(found, FIELDS)
    return documents.one(found, extra=_flows(call, row) if "flow-triggers" in wanted else None)


@operation("get_profiles_for_segment")
def get_profiles_for_segment(call: Call, id: str) -> Response:  # noqa: A002
    extra = documents.extra_fields("profile", profiles.EXTRA)
    found = _members(call, _segment(call, id))
    data = [documents.sparse(profiles.profile_resource(row, extra), profiles.FIELDS) for row in found.rows]
    return documents.many(data, found)


@operation("get_profile_ids_for_segment")
def get_profile_ids_for_segment(call: Call, id: str) -> Response:  # noqa: A002
    found = _members(call, _segment(call, id))
    return documents.many([{"type": "profile", "id": row["id"]} for row in found.rows], found)


@operation("get_segments_for_profile")
def get_segments_for_profile(call: Call, id: str) -> Response:  # noqa: A002
    row = profiles.visible_profile(call, id)
    rows = segments_of(call.world.store, row["pk"])
    return documents.many([documents.sparse(segment_resource(each), FIELDS) for each in rows])


@operation("get_flows_triggered_by_segment")
def get_flows_triggered_by_segment(call: Call, id: str) -> Response:  # noqa: A002
    return documents.many(_flows(call, _segment(call, id)))


@operation("get_ids_for_flows_triggered_by_segment")
def get_ids_for_flows_triggered_by_segment(call: Call, id: str) -> Response:  # noqa: A002
    return documents.many([{"type": "flow", "id": flow["id"]} for flow in _flows(call, _segment(call, id))])


def _members(call: Call, segment: Row) -> paging.Found:
    """A page of members: by profile key, or by when they joined where that is asked about."""
    where, args = filters.conditions(request.args.get("filter"), _MEMBER_RULES)
    column, descending = "m.profile", False
    if "sort" in request.args or any("m.joined" in each for each in where):
        column, descending = paging.requested_sort({"joined_group_at": "m.joined"}, "joined_group_at")
    return paging.find(
        call.world.store, "p.*, m.joined FROM segment_member m JOIN profile p ON p.pk = m.profile",
        ["m.segment = ?", *where], [segment["pk"], *args], sort=column, key="m.profile", descending=descending,
        page=paging.requested(20, 100),
    )  # fmt: skip


def _segment(call: Call, segment_id: str) -> Row:
    row = call.world.store.row("SELECT * FROM segment WHERE account = ? AND id = ?", (call.account, segment_id))
    if row is None:
        raise not_found(f"A segment with id {segment_id} does not exist.")
    return row


def _flows(call: Call, row: Row) -> list[Resource]:
    found = call.world.store.rows("SELECT * FROM flow WHERE segment = ? ORDER BY pk", (row["pk"],))
    return [documents.sparse(flows.flow_resource(each), flows.FIELDS) for each in found]


def segments_of(store: Store, profile: int) -> list[Row]:
    return store.rows(
        "SELECT s.* FROM segment_member m JOIN segment s ON s.pk = m.segment WHERE m.profile = ? ORDER BY s.pk",
        (profile,),
    )


def member_count(store: Store, segment: int) -> int:
    return store.count("SELECT COUNT(*) FROM segment_member WHERE segment = ?", (segment,))


def segment_resource(row: Row) -> Resource:
    attributes = {
        "name": row["name"],
        "definition": json.loads(row["definition"]),
        "created": iso(row["created"]),
        "updated": iso(row["updated"]),
        "is_active": bool(row["is_active"]),
        "is_processing": bool(row["is_processing"]),
        "is_starred": bool(row["is_starred"]),
    }
    names = ("profiles", "tags", "flow-triggers")
    relations = {name: relation("segments", row["id"], name) for name in names}
    return documents.resource("segment", "segments", row["id"], attributes, **relations)
