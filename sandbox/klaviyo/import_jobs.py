"""`/api/profile-bulk-import-jobs`: order an import, watch it, read its errors and its profiles.

Jobs expire after seven days; they go queued, processing, complete.
"""

import json

from flask import Response, request

from sandbox.klaviyo import documents, filters, paging, persons, profile_imports, profiles
from sandbox.klaviyo.documents import Resource, relation
from sandbox.klaviyo.errors import ApiError, invalid, not_found
from sandbox.klaviyo.gate import Call, operation
from sandbox.klaviyo.persons import Problems
from sandbox.klaviyo.switches import iso
from sandbox.store import Row

_PATH = "profile-bulk-import-jobs"
_WEEK_SECONDS = 7 * 86400
_MOST_PROBLEMS = 100
_FIELDS = (
    "status", "created_at", "total_count", "completed_count", "failed_count", "completed_at", "expires_at",
    "started_at",
)  # fmt: skip
_ERROR_FIELDS = ("code", "title", "detail", "source", "original_payload")
_LIST_FIELDS = ("name", "created", "updated", "opt_in_process")


@operation("bulk_import_profiles")
def bulk_import_profiles(call: Call) -> Response:
    parsed, body = call.json()
    problems: Problems = []
    people, lists = profile_imports.read(parsed, problems)
    for place, person in enumerate(people):
        pointer = f"{profile_imports.POINTER}/{place}"
        problems += persons.out_of_region(person, pointer, call.world.switches.unsupported_phone_prefixes)
    if not problems:
        problems = [invalid(f"List ID {each} does not exist.", "/data") for each in _unknown_lists(call, lists)]
    if problems:
        raise ApiError(400, problems[:_MOST_PROBLEMS])
    pk = call.world.importer.accept(call.account, call.now, body, len(people), lists)
    row = call.world.store.row("SELECT * FROM import_job WHERE pk = ?", (pk,))
    if row is None:
        raise not_found()
    return documents.one(documents.sparse(_job_resource(row), _FIELDS), 202)


def _unknown_lists(call: Call, lists: list[str]) -> list[str]:
    known = {row["id"] for row in call.world.store.rows("SELECT id FROM list WHERE account = ?", (call.account,))}
    return [each for each in lists if each not in known]


@operation("get_bulk_import_profiles_jobs")
def get_bulk_import_profiles_jobs(call: Call) -> Response:
    where, args = filters.conditions(request.args.get("filter"), {"status": filters.rule("any equals", "status")})
    column, descending = paging.requested_sort({"created_at": "created"}, "-created_at")
    found = paging.find(
        call.world.store, "* FROM import_job", ["account = ?", *where], [call.account, *args], sort=column, key="pk",
        descending=descending, page=paging.requested(20, 100),
    )  # fmt: skip
    return documents.many([documents.sparse(_job_resource(row), _FIELDS) for row in found.rows], found)


@operation("get_bulk_import_profiles_job")
def get_bulk_import_profiles_job(call: Call, id: str) -> Response:  # noqa: A002
    wanted = documents.included(("lists",))
    job = _job(call, id)
    return documents.one(
        documents.sparse(_job_resource(job), _FIELDS), extra=_lists(call, job) if wanted else None
    )  # fmt: skip


@operation("get_errors_for_bulk_import_profiles_job")
def get_errors_for_bulk_import_profiles_job(call: Call, id: str) -> Response:  # noqa: A002
    job = _job(call, id)
    found = paging.find(
        call.world.store, "* FROM import_error", ["job = ?"], [job["pk"]], sort="pk", key="pk", descending=False,
        page=paging.requested(20, 100),
    )  # fmt: skip
    return documents.many([documents.sparse(_error_resource(row), _ERROR_FIELDS) for row in found.rows], found)


@operation("get_profiles_for_bulk_import_profiles_job")
def get_profiles_for_bulk_import_profiles_job(call: Call, id: str) -> Response:  # noqa: A002
    extra = documents.extra_fields("profile", profiles.EXTRA)
    found = _imported(call, id)
    data = [documents.sparse(profiles.profile_resource(row, extra), profiles.FIELDS) for row in found.rows]
    return documents.many(data, found)


@operation("get_profile_ids_for_bulk_import_profiles_job")
def get_profile_ids_for_bulk_import_profiles_job(call: Call, id: str) -> Response:  # noqa: A002
    found = _imported(call, id)
    return documents.many([{"type": "profile", "id": row["id"]} for row in found.rows], found)


@operation("get_list_for_bulk_import_profiles_job")
def get_list_for_bulk_import_profiles_job(call: Call, id: str) -> Response:  # noqa: A002
    return documents.many([documents.sparse(each, _LIST_FIELDS) for each in _lists(call, _job(call, id))])


@operation("get_list_ids_for_bulk_import_profiles_job")
def get_list_ids_for_bulk_import_profiles_job(call: Call, id: str) -> Response:  # noqa: A002
    return documents.many([{"type": "list", "id": each["id"]} for each in _lists(call, _job(call, id))])


def _imported(call: Call, job_id: str) -> paging.Found:
    job = _job(call, job_id)
    return paging.find(
        call.world.store, "p.* FROM import_profile i JOIN profile p ON p.pk = i.profile", ["i.job = ?"], [job["pk"]],
        sort="i.profile", key="i.profile", descending=False, page=paging.requested(20, 100),
    )  # fmt: skip


def _job(call: Call, job_id: str) -> Row:
    since = call.now - _WEEK_SECONDS
    row = call.world.store.row(
        "SELECT * FROM import_job WHERE account = ? AND id = ? AND created >= ?", (call.account, job_id, since)
    )
    if row is None:
        raise not_found(f"A profile-bulk-import-job with id {job_id} does not exist.")
    return row


def _lists(call: Call, job: Row) -> list[Resource]:
    rows = call.world.store.rows(
        "SELECT * FROM list WHERE account = ? AND id IN (SELECT value FROM json_each(?))", (call.account, job["lists"])
    )
    return [
        documents.resource(
            "list", "lists", row["id"],
            {"name": row["name"], "created": None, "updated": None, "opt_in_process": "single_opt_in"},
        )
        for row in rows
    ]  # fmt: skip


def _job_resource(row: Row) -> Resource:
    attributes = {
        "status": row["status"],
        "created_at": iso(row["created"]),
        "total_count": row["total"],
        "completed_count": row["done"],
        "failed_count": row["failed"],
        "completed_at": iso(row["completed"]),
        "expires_at": iso(row["created"] + _WEEK_SECONDS),
        "started_at": iso(row["started"]),
    }
    errors = relation(_PATH, row["id"], "import-errors")
    del errors["links"]["self"]
    lists = [{"type": "list", "id": each} for each in json.loads(row["lists"])]
    relationships = {
        "lists": relation(_PATH, row["id"], "lists", lists),
        "profiles": relation(_PATH, row["id"], "profiles"),
        "import-errors": errors,
    }
    return documents.resource("profile-bulk-import-job", _PATH, row["id"], attributes, **relationships)


def _error_resource(row: Row) -> Resource:
    attributes = {
        "code": row["code"],
        "title": row["title"],
        "detail": row["detail"],
        "source": {"pointer": row["pointer"]},
        "original_payload": json.loads(row["payload"]),
    }
    return documents.resource("import-error", "import-errors", row["id"], attributes)
