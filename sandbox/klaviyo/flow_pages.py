"""The pages of flows: the list, a form to make one, one with its steps and its activity log."""

from typing import Any

from flask import abort, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.klaviyo import flow_activity, flow_definitions, flow_forms, flows
from sandbox.klaviyo.errors import ApiError
from sandbox.klaviyo.frames import PER_PAGE, asked_before, back_to, bp, chosen_account, page
from sandbox.klaviyo.persons import Problems
from sandbox.klaviyo.world import world
from sandbox.sameorigin import same_origin_only
from sandbox.store import Row

_LISTED = (
    "SELECT f.*, m.name AS metric_name, m.id AS metric_id, s.name AS segment_name, s.id AS segment_id,"
    " (SELECT COUNT(*) FROM flow_run r WHERE r.flow = f.pk) AS entries,"
    " (SELECT COUNT(*) FROM flow_run r WHERE r.flow = f.pk AND r.state <> 'Finished') AS waiting FROM flow f"
    " LEFT JOIN metric m ON m.pk = f.metric LEFT JOIN segment s ON s.pk = f.segment WHERE f.account = ?"
)


@bp.get("/flows")
def flow_list() -> str:
    account = chosen_account()
    return page("flows.html", account, flows=world().store.rows(f"{_LISTED} ORDER BY f.pk", (account["pk"],)))


@bp.get("/flows/new")
def new_flow() -> str:
    return _form(flow_forms.EMPTY, [])


@bp.post("/flows")
@same_origin_only
def create_flow() -> AnyResponse | tuple[str, int]:
    account, here = chosen_account(), world()
    form = {name: request.form.get(name, "") for name in flow_forms.FIELDS}
    problems: Problems = []
    try:
        name, definition = flow_definitions.read(flow_forms.request_body(form), problems)
        if not problems:
            row = flows.make(here.store, account["pk"], here.switches.now(), name, definition)
            return back_to("flow", flow_id=row["id"])
    except flow_forms.FormError as error:
        return _form(form, [str(error)]), 400
    except ApiError as error:
        problems = error.errors
    return _form(form, [each["detail"] for each in problems]), 400


def _form(form: dict[str, str], wrong: list[str]) -> str:
    account, store = chosen_account(), world().store
    key = (account["pk"],)
    return page(
        "new_flow.html", account, form=form, wrong=wrong, operators=flow_forms.OPERATORS, kinds=flow_forms.KINDS,
        checks=flow_forms.CHECKS,
        metrics=store.rows("SELECT id, name FROM metric WHERE account = ? ORDER BY name", key),
        segments=store.rows("SELECT id, name FROM segment WHERE account = ? ORDER BY name", key),
    )  # fmt: skip


def _flow(account: Row, flow_id: str) -> Row:
    return world().store.row(f"{_LISTED} AND f.id = ?", (account["pk"], flow_id)) or abort(404)


@bp.get("/flows/<flow_id>")
def flow(flow_id: str) -> str:
    account, store = chosen_account(), world().store
    row = _flow(account, flow_id)
    definition = flow_definitions.of(store, row["pk"])
    activity = flow_activity.of_flow(store, row["pk"], asked_before(), PER_PAGE + 1)
    return page(
        "flow.html", account, flow=row, steps=_told(definition), labels=flow_activity.labels(definition),
        activity=activity[:PER_PAGE], statuses=flows.STATUSES, definition=definition,
        older=activity[PER_PAGE - 1]["pk"] if len(activity) > PER_PAGE else None,
    )  # fmt: skip


def _told(definition: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"depth": min(depth, 3), "branch": branch, "label": flow_activity.label(action), "action": action}
        for depth, branch, action in flow_definitions.in_order(definition)
    ]


@bp.post("/flows/<flow_id>/status")
@same_origin_only
def switch_flow(flow_id: str) -> AnyResponse:
    here, status = world(), request.form.get("status", "")
    row = _flow(chosen_account(), flow_id)
    if status not in flows.STATUSES:
        abort(400)
    flows.switch(here.store, row, status, here.switches.now())
    return back_to("flow", flow_id=flow_id)
