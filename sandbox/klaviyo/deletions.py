"""`POST /api/data-privacy-deletion-jobs`: erases the profile of exactly one identifier, with its events.

202 with an empty body, whether or not anybody had the identifier.
"""

from typing import Any

from flask import Response

from sandbox.klaviyo import documents, persons
from sandbox.klaviyo.errors import ApiError, bad_request
from sandbox.klaviyo.gate import Call, operation
from sandbox.klaviyo.people import People
from sandbox.klaviyo.persons import Problems

_OWNED = ("event", "segment_member", "list_member", "import_profile", "flow_run", "flow_step", "merged")


@operation("request_profile_deletion")
def request_profile_deletion(call: Call) -> Response:
    parsed, _ = call.json()
    data = _profile(parsed)
    problems: Problems = []
    person = persons.read(data, "/data/attributes/profile/data", problems, frozenset())
    if problems:
        raise ApiError(400, problems)
    if len(person.identifiers) != 1 or person.identifiers[0][0] == "external_id":
        raise bad_request(
            "Exactly one of id, email or phone_number is required.", pointer="/data/attributes/profile/data"
        )
    with call.world.store.writing() as connection:
        people = People(connection, call.world.store, call.account, call.now, 0)
        people.load([person])
        for pk in people.owners(person):
            for table in _OWNED:
                connection.execute(f"DELETE FROM {table} WHERE profile = ?", (pk,))  # noqa: S608
            connection.execute("DELETE FROM profile WHERE pk = ?", (pk,))
    return documents.accepted()


def _profile(parsed: Any) -> Any:
    try:
        data = parsed["data"]
        if data["type"] != "data-privacy-deletion-job":
            raise bad_request("The resource type must be 'data-privacy-deletion-job'.", pointer="/data/type")
        return data["attributes"]["profile"]["data"]
    except (KeyError, TypeError) as error:
        raise bad_request("A profile with one identifier is required.", pointer="/data/attributes/profile") from error
