"""The pages of segments: the list, and one with its members."""

import json

from flask import abort

from sandbox.klaviyo import segments
from sandbox.klaviyo.frames import PER_PAGE, asked_before, bp, chosen_account, page
from sandbox.klaviyo.world import world


@bp.get("/segments")
def segment_list() -> str:
    account, store = chosen_account(), world().store
    rows = store.rows("SELECT * FROM segment WHERE account = ? ORDER BY name", (account["pk"],))
    found = [(row, segments.member_count(store, row["pk"])) for row in rows]
    return page("segments.html", account, segments=found)


@bp.get("/segments/<segment_id>")
def segment(segment_id: str) -> str:
    account, store = chosen_account(), world().store
    row = store.row("SELECT * FROM segment WHERE account = ? AND id = ?", (account["pk"], segment_id)) or abort(404)
    rows = store.rows(
        "SELECT p.*, m.joined FROM segment_member m JOIN profile p ON p.pk = m.profile"
        " WHERE m.segment = ? AND m.profile < ? ORDER BY m.profile DESC LIMIT ?",
        (row["pk"], asked_before() or 2**60, PER_PAGE + 1),
    )
    return page(
        "segment.html", account, segment=row, members=rows[:PER_PAGE], definition=json.loads(row["definition"]),
        total=segments.member_count(store, row["pk"]),
        flows=store.rows("SELECT * FROM flow WHERE segment = ?", (row["pk"],)),
        older=rows[PER_PAGE - 1]["pk"] if len(rows) > PER_PAGE else None,
    )  # fmt: skip
