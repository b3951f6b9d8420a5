"""`/api/profiles`, `/api/profile-import` and `/api/profile-merge`.

Absent leaves unchanged, null clears, custom properties merge key by key; two owners of one's identifiers are a 409.
"""

import json
import sqlite3
from typing import Any

from flask import Response, request

from sandbox.klaviyo import documents, filters, paging, persons
from sandbox.klaviyo.documents import Resource, relation
from sandbox.klaviyo.errors import ApiError, bad_request, duplicate_profile, invalid, not_found, problem
from sandbox.klaviyo.gate import Call, operation
from sandbox.klaviyo.people import People
from sandbox.klaviyo.persons import Person, Problems
from sandbox.klaviyo.switches import iso
from sandbox.store import Row, Store

_IDENTIFIERS = ("email", "phone_number", "external_id", "anonymous_id")
_TEXTS = ("first_name", "last_name", "organization", "locale", "title", "image")
FIELDS = (*_IDENTIFIERS, *_TEXTS, "created", "updated", "last_event_date", "location", "properties", "subscriptions",
          "predictive_analytics", "joined_group_at", "whatsapp_bsuid")  # fmt: skip
EXTRA = ("subscriptions", "predictive_analytics")
_LOCATION = ("address1", "address2", "city", "country", "latitude", "longitude", "region", "zip", "timezone", "ip")
_UPSERT_FIELDS = frozenset(("_kx",))
_LISTED = "any equals"
_LOOKED_UP = ("email", "phone_number", "external_id", "(id", "_kx")
_SUPPRESSION = "subscriptions.email.marketing"
_RULES = {
    "id": filters.rule(_LISTED, "id"),
    "email": filters.rule(_LISTED, "email", "email"),
    "phone_number": filters.rule(_LISTED, "phone_number"),
    "external_id": filters.rule(_LISTED, "external_id"),
    "_kx": filters.rule("equals", "id", "exchange"),
    "created": filters.rule("greater-than less-than", "created", "time"),
    "updated": filters.rule("greater-than less-than", "updated", "time"),
    # Nobody in the sandbox is suppressed: these hold for no profile.
    f"{_SUPPRESSION}.suppression.reason": filters.rule("equals", "NULL"),
    f"{_SUPPRESSION}.list_suppressions.reason": filters.rule("equals", "NULL"),
    f"{_SUPPRESSION}.list_suppressions.list_id": filters.rule("equals", "NULL"),
}


@operation("get_profiles")
def get_profiles(call: Call) -> Response:
    documents.included(("conversations", "push-tokens"))
    extra = documents.extra_fields("profile", EXTRA)
    where, args = filters.conditions(request.args.get("filter"), _RULES)
    sorts = {"created": "created", "email": "email", "id": "id", "updated": "updated"}
    column, descending = paging.requested_sort(sorts, "created")
    if column == "email":
        where.append("email IS NOT NULL")
    if any(name in (request.args.get("filter") or "") for name in _LOOKED_UP):
        # The unary plus keeps SQLite from walking a million profiles in order of the sort to find a single one.
        column = "+" + column
    found = paging.find(
        call.world.store, "* FROM profile", ["account = ?", *where], [call.account, *args], sort=column, key="pk",
        descending=descending, page=paging.requested(20, 100),
    )  # fmt: skip
    return documents.many([documents.sparse(profile_resource(row, extra), FIELDS) for row in found.rows], found)


@operation("get_profile")
def get_profile(call: Call, id: str) -> Response:  # noqa: A002
    wanted = documents.included(("lists", "segments", "push-tokens", "conversations"))
    extra = documents.extra_fields("profile", EXTRA)
    row = visible_profile(call, id)
    found = documents.sparse(profile_resource(row, extra), FIELDS)
    return documents.one(found, extra=_memberships(call, row, wanted) if wanted else None)


@operation("create_profile")
def create_profile(call: Call) -> Response:
    person = _read(call, frozenset(), identified_by_path=False)
    if any(kind == "id" for kind, _ in person.identifiers):
        raise bad_request("The id of a profile cannot be chosen.", pointer="/data/id")
    with call.world.store.writing() as connection:
        people = _people(call, connection, person)
        owners = people.owners(person)
        if owners:
            raise duplicate_profile(people.id_of(owners[0]))
        pk = people.resolve(person)
        people.settle()
    return _written(call, pk, 201)


@operation("create_or_update_profile")
def create_or_update_profile(call: Call) -> Response:
    person = _read(call, _UPSERT_FIELDS, identified_by_path=False)
    with call.world.store.writing() as connection:
        people = _people(call, connection, person)
        owners = people.owners(person)
        refuse_conflict(people, person, owners)
        pk = people.resolve(person)
        if pk is not None:
            people.clear(pk, person.cleared)
        people.settle()
    return _written(call, pk, 200 if owners else 201)


@operation("update_profile")
def update_profile(call: Call, id: str) -> Response:  # noqa: A002
    person = _read(call, frozenset(), identified_by_path=True)
    if dict(person.identifiers).get("id") != id:
        raise bad_request("The id in the body must be the one in the path.", pointer="/data/id")
    with call.world.store.writing() as connection:
        people = _people(call, connection, person)
        owners = people.owners(person)
        if not owners or people.id_of(owners[0]) != id:
            raise not_found(f"A profile with id {id} does not exist.")
        if len(owners) > 1:
            raise duplicate_profile(people.id_of(owners[1]))
        pk = people.resolve(person)
        if pk is not None:
            people.clear(pk, person.cleared)
        people.settle()
    return _written(call, pk, 200)


def refuse_conflict(people: People, person: Person, owners: list[int]) -> None:
    """An upsert never merges: identifiers of two profiles are a conflict, a foreign email beside an id a 404."""
    by_id = person.identifiers[0][0] == "id"
    if by_id and (not owners or len(owners) > 1):
        raise not_found(f"A profile with id {person.identifiers[0][1]} does not exist.", "/data/id")
    if len(owners) > 1:
        raise duplicate_profile(people.id_of(owners[-1]))


def _read(call: Call, extra: frozenset[str], identified_by_path: bool) -> Person:
    parsed, body = call.json()
    if len(body) > persons.LARGEST_PROFILE:
        raise ApiError(413, [problem("payload_too_large", "Payload too large.", "A profile must not exceed 100 KB.")])
    problems: Problems = []
    data = parsed.get("data") if isinstance(parsed, dict) else None
    person = persons.read(data, "/data", problems, extra, needs_identifier=not identified_by_path)
    if identified_by_path and isinstance(data, dict) and not data.get("id"):
        problems.append(invalid("This field is required.", "/data/id"))
    problems += persons.out_of_region(person, "/data", call.world.switches.unsupported_phone_prefixes)
    if problems:
        raise ApiError(400, problems)
    return person


def _people(call: Call, connection: sqlite3.Connection, person: Person) -> People:
    resolving = call.world.switches.merged_ids_resolve_seconds
    people = People(connection, call.world.store, call.account, call.now, resolving)
    people.load([person])
    return people


def _written(call: Call, pk: int | None, status: int) -> Response:
    row = call.world.store.row("SELECT * FROM profile WHERE pk = ?", (pk,))
    if row is None:
        raise not_found()
    extra = documents.extra_fields("profile", EXTRA)
    return documents.one(documents.sparse(profile_resource(row, extra), FIELDS), status)


@operation("merge_profiles")
def merge_profiles(call: Call) -> Response:
    """Answers 202 as real accounts do, although the description says 201."""
    parsed, _ = call.json()
    target, source = _merge_request(parsed)
    with call.world.store.writing() as connection:
        resolving = call.world.switches.merged_ids_resolve_seconds
        people = People(connection, call.world.store, call.account, call.now, resolving)
        pair = [Person((("id", each),), (), {}, None, None) for each in (target, source)]
        people.load(pair)
        owners = [people.owners(person) for person in pair]
        if not owners[0] or not owners[1]:
            raise not_found("A profile with this id does not exist.", "/data/id")
        if owners[0] != owners[1]:
            people.merge(owners[0][0], owners[1][0])
            people.settle()
    body = {"data": {"type": "profile", "id": target, "links": {"self": f"{paging.HOST}/api/profiles/{target}/"}},
            "links": {"self": f"{paging.HOST}/api/profile-merge"}}  # fmt: skip
    return Response(json.dumps(body), 202, mimetype="application/vnd.api+json")


def _merge_request(parsed: Any) -> tuple[str, str]:
    try:
        data = parsed["data"]
        sources = data["relationships"]["profiles"]["data"]
        if data["type"] != "profile-merge":
            raise bad_request("The resource type must be 'profile-merge'.", pointer="/data/type")
        if len(sources) != 1 or sources[0]["type"] != "profile":
            raise bad_request("Exactly one source profile is required.", pointer="/data/relationships/profiles/data")
        return str(data["id"]), str(sources[0]["id"])
    except (KeyError, TypeError) as error:
        raise bad_request("A destination id and one source profile are required.", pointer="/data") from error


def visible_profile(call: Call, profile_id: str) -> Row:
    """The profile of an id; an id merged away leads to its successor for a while."""
    store = call.world.store
    since = call.now - call.world.switches.merged_ids_resolve_seconds
    row = find_profile(store, call.account, profile_id, since)
    if row is None:
        raise not_found(f"A profile with id {profile_id} does not exist.")
    return row


def find_profile(store: Store, account: int, profile_id: str, merged_since: float) -> Row | None:
    row = store.row("SELECT * FROM profile WHERE account = ? AND id = ?", (account, profile_id))
    return row or store.row(
        "SELECT p.* FROM merged m JOIN profile p ON p.pk = m.profile WHERE m.account = ? AND m.id = ? AND m.at >= ?",
        (account, profile_id, merged_since),
    )


def _memberships(call: Call, row: Row, wanted: set[str]) -> list[Resource]:
    found: list[Resource] = []
    if "segments" in wanted:
        from sandbox.klaviyo import segments

        rows = segments.segments_of(call.world.store, row["pk"])
        found += [documents.sparse(segments.segment_resource(each), segments.FIELDS) for each in rows]
    return found


def profile_resource(row: Row, extra: set[str] | None = None) -> Resource:
    kept = json.loads(row["attributes"])
    attributes: dict[str, Any] = {name: row[name] for name in _IDENTIFIERS}
    attributes |= {name: kept.get(name) for name in _TEXTS}
    attributes["created"], attributes["updated"] = iso(row["created"]), iso(row["updated"])
    attributes["last_event_date"] = iso(row["last_event"])
    attributes["location"] = {name: kept.get("location", {}).get(name) for name in _LOCATION}
    attributes["properties"] = json.loads(row["properties"])
    if "joined" in row.keys():  # noqa: SIM118 - a Row has no `in` for names
        attributes["joined_group_at"] = iso(row["joined"])
    if extra and "subscriptions" in extra:
        attributes["subscriptions"] = _subscriptions(row)
    if extra and "predictive_analytics" in extra:
        attributes["predictive_analytics"] = None
    names = ("lists", "segments", "push-tokens", "conversation")
    relations = {name: relation("profiles", row["id"], name) for name in names}
    return documents.resource("profile", "profiles", row["id"], attributes, **relations)


def _subscriptions(row: Row) -> dict[str, Any]:
    """Nobody has given or withdrawn consent in the sandbox."""
    return {
        "email": {"marketing": {
            "can_receive_email_marketing": row["email"] is not None, "consent": "NEVER_SUBSCRIBED",
            "consent_timestamp": None, "last_updated": None, "method": None, "method_detail": None,
            "custom_method_detail": None, "double_optin": None, "suppression": [], "list_suppressions": [],
        }},
        "sms": {"marketing": {
            "can_receive_sms_marketing": False, "consent": "NEVER_SUBSCRIBED", "consent_timestamp": None,
            "method": None, "method_detail": None, "last_updated": None,
        }},
        "mobile_push": None,
    }  # fmt: skip
