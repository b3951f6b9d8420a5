"""The pages of segments: the list, a form to make one, one with its members and what can be done to it."""

import json
import re
from typing import Any

from flask import abort, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.klaviyo import computing, conditions, flow_forms, segment_orders, segments
from sandbox.klaviyo.frames import PER_PAGE, asked_before, back_to, bp, chosen_account, page
from sandbox.klaviyo.planting import ControlError
from sandbox.klaviyo.world import world
from sandbox.sameorigin import same_origin_only
from sandbox.store import Row

_FIELDS = ("name", "kind", "emails", "property", "operator", "value", "days")
KINDS = {
    "hand": "Members put in by hand",
    "computed": "Everybody whose property compares so, computed when a profile changes",
    "relative": "By hand, with a condition on relative time as Klaviyo looks at once a day",
}
_EMPTY = dict.fromkeys(_FIELDS, "") | {"kind": "hand", "days": "30"}


@bp.get("/segments")
def segment_list() -> str:
    account, store = chosen_account(), world().store
    rows = store.rows("SELECT * FROM segment WHERE account = ? ORDER BY name", (account["pk"],))
    found = [(row, segments.member_count(store, row["pk"]), _nature(row)) for row in rows]
    return page("segments.html", account, segments=found)


def _nature(row: Row) -> str:
    """How the members come about, in a word or two."""
    if computing.is_computed(world().store, row["pk"]):
        return "computed"
    return "relative time" if conditions.is_relative(json.loads(row["definition"])) else "by hand"


@bp.get("/segments/new")
def new_segment() -> str:
    return page(
        "new_segment.html", chosen_account(), form=_EMPTY, wrong="", kinds=KINDS, operators=flow_forms.OPERATORS
    )


@bp.post("/segments")
@same_origin_only
def create_segment() -> AnyResponse | tuple[str, int]:
    account, here = chosen_account(), world()
    form = {name: request.form.get(name, "") for name in _FIELDS}
    try:
        made = segment_orders.create(here, account["pk"], _order(form))
    except (ControlError, flow_forms.FormError) as error:
        told = page(
            "new_segment.html", account, form=form, wrong=str(error), kinds=KINDS, operators=flow_forms.OPERATORS
        )
        return told, 400
    return back_to("segment", segment_id=made["id"])


def _order(form: dict[str, str]) -> dict[str, Any]:
    """What would be ordered over the control address."""
    wanted: dict[str, Any] = {"name": form["name"]}
    if form["kind"] == "computed":
        condition = flow_forms.property_condition(form)
        return {**wanted, "computed": True, "definition": flow_forms.groups(condition)}
    if form["kind"] == "relative":
        wanted["definition"] = flow_forms.groups(_active_lately(form["days"].strip()))
    return {**wanted, "emails": _emails(form["emails"])}


def _active_lately(days: str) -> dict[str, Any]:
    if not days.isascii() or not days.isdigit() or not 1 <= int(days) <= 3650:
        raise flow_forms.FormError("The days must be a whole number.")
    timeframe = {"type": "date", "operator": "in-the-last", "quantity": int(days), "unit": "day"}
    row = world().store.row("SELECT id FROM metric WHERE account = ? ORDER BY pk", (chosen_account()["pk"],))
    return {
        "type": "profile-metric", "metric_id": row["id"] if row else "", "measurement": "count",
        "measurement_filter": {"type": "numeric", "operator": "greater-than", "value": 0},
        "timeframe_filter": timeframe, "metric_filters": None,
    }  # fmt: skip


def _emails(text: str) -> list[str]:
    return [each.lower() for each in re.split(r"[\s,;]+", text) if each]


def _segment(account: Row, segment_id: str) -> Row:
    found = world().store.row("SELECT * FROM segment WHERE account = ? AND id = ?", (account["pk"], segment_id))
    return found or abort(404)


@bp.get("/segments/<segment_id>")
def segment(segment_id: str) -> str:
    return _shown(segment_id)


def _shown(segment_id: str, wrong: str = "") -> str:
    account, store = chosen_account(), world().store
    row = _segment(account, segment_id)
    rows = store.rows(
        "SELECT p.*, m.joined FROM segment_member m JOIN profile p ON p.pk = m.profile"
        " WHERE m.segment = ? AND m.profile < ? ORDER BY m.profile DESC LIMIT ?",
        (row["pk"], asked_before() or 2**60, PER_PAGE + 1),
    )
    return page(
        "segment.html", account, segment=row, members=rows[:PER_PAGE], definition=json.loads(row["definition"]),
        total=segments.member_count(store, row["pk"]), nature=_nature(row), wrong=wrong,
        flows=store.rows("SELECT * FROM flow WHERE segment = ?", (row["pk"],)),
        older=rows[PER_PAGE - 1]["pk"] if len(rows) > PER_PAGE else None,
    )  # fmt: skip


@bp.post("/segments/<segment_id>")
@same_origin_only
def change_segment(segment_id: str) -> AnyResponse | tuple[str, int]:
    """Rename, or turn one of the flags: `name`, or `flag` with `on` or nothing."""
    _segment(chosen_account(), segment_id)
    flag = request.form.get("flag")
    if flag not in (None, "is_active", "is_processing"):
        abort(400)
    wanted = {flag: bool(request.form.get("on"))} if flag else {"name": request.form.get("name", "")}
    try:
        segment_orders.change(world(), segment_id, wanted)
    except ControlError:
        return _shown(segment_id, "A segment needs a name."), 400
    return back_to("segment", segment_id=segment_id)


@bp.post("/segments/<segment_id>/members")
@same_origin_only
def change_segment_members(segment_id: str) -> AnyResponse | tuple[str, int]:
    """Add or remove profiles by their emails; one that nobody has is told, and the others are moved all the same."""
    account, here = chosen_account(), world()
    _segment(account, segment_id)
    emails = _emails(request.form.get("emails", ""))
    method = "DELETE" if request.form.get("remove") else "POST"
    segment_orders.change_members(here, segment_id, method, {"emails": emails})
    known = here.store.rows(
        "SELECT email FROM profile WHERE account = ? AND email IN (SELECT value FROM json_each(?))",
        (account["pk"], json.dumps(emails)),
    )
    missing = sorted(set(emails) - {row["email"] for row in known})
    if missing or not emails:
        told = f"No profile has the email {', '.join(missing)}." if missing else "Type the email of a profile."
        return _shown(segment_id, told), 400
    return back_to("segment", segment_id=segment_id)


@bp.post("/segments/<segment_id>/delete")
@same_origin_only
def delete_segment(segment_id: str) -> AnyResponse:
    _segment(chosen_account(), segment_id)
    segment_orders.delete(world(), segment_id)
    return back_to("segment_list")
