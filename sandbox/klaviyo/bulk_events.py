"""`POST /api/event-bulk-create-jobs`: up to 1,000 events, all or none.

Other than a single event, a repeated unique_id fails the whole request; whether one recorded earlier does so too is
not documented, so that half can be switched off (`strict_bulk_dedupe`).
"""

import json

from flask import Response

from sandbox.klaviyo import documents, inbox, incoming
from sandbox.klaviyo.errors import ApiError, bad_request
from sandbox.klaviyo.gate import Call, operation
from sandbox.klaviyo.incoming import Entry
from sandbox.klaviyo.people import People
from sandbox.klaviyo.persons import Problems

_MOST_PROBLEMS = 100
REPEATED = "A unique_id must not be repeated for the same profile and metric."


@operation("bulk_create_events")
def bulk_create_events(call: Call) -> Response:
    parsed, body = call.json()
    problems: Problems = []
    entries = incoming.bulk(parsed, call.now, problems)
    if problems:
        raise ApiError(400, problems[:_MOST_PROBLEMS])
    strict = call.world.switches.strict_bulk_dedupe
    keys, repeated = inbox.pending_keys(call.account, entries)
    if repeated is None and strict:
        repeated = _recorded_earlier(call, entries)
    if repeated is None:
        repeated = call.world.inbox.accept(
            call.account, call.caller.integration, "bulk", call.now, body, entries, keys, refuse_pending=strict
        )
    if repeated:
        raise bad_request(REPEATED, pointer=repeated)
    return documents.accepted()


def _recorded_earlier(call: Call, entries: list[Entry]) -> str | None:
    """The pointer of an event whose unique_id its profile and metric already have."""
    store = call.world.store
    wanted = json.dumps([event.dedupe for entry in entries for event in entry.events if event.dedupe[0] == "="])
    rows = store.rows(
        "SELECT e.dedupe, e.profile, m.name FROM event e JOIN metric m ON m.pk = e.metric"
        " WHERE e.dedupe IN (SELECT value FROM json_each(?)) AND m.account = ? AND m.integration = ?",
        (wanted, call.account, call.caller.integration),
    )
    if not rows:
        return None
    recorded = {tuple(row) for row in rows}
    people = People(store.reader(), store, call.account, call.now, call.world.switches.merged_ids_resolve_seconds)
    people.load(entry.person for entry in entries)
    for person, events, pointer in entries:
        owners = people.owners(person)
        for place, event in enumerate(events):
            if owners and (event.dedupe, owners[0], event.metric) in recorded:
                return f"{pointer}/{place}/attributes/unique_id"
    return None
