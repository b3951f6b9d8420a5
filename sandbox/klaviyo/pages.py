"""Pages to look inside the stand-in: profiles with timelines, metrics, segments, flows, requests, apps, faults.

Everything is read from the store as it is; the account is in the address as `?account=`.
"""

import json
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from sandbox.klaviyo import faults, metrics, segments, showing
from sandbox.klaviyo.faults import Fault
from sandbox.klaviyo.recorded import event_properties
from sandbox.klaviyo.switches import iso
from sandbox.klaviyo.world import world
from sandbox.sameorigin import same_origin_only
from sandbox.store import Row

bp = Blueprint("sandbox_pages", __name__)
_PER_PAGE = 50

# The faults that have a button of their own: label, and the fault it orders.
READY_FAULTS: dict[str, tuple[str, dict[str, Any]]] = {
    "slow-down": ("Ask to slow down: 429 for 7 seconds, 5 times",
                  {"fault": "status", "status": 429, "retry_after": 7, "times": 5}),
    "server-error": ("Server error 500, 5 times", {"fault": "status", "status": 500, "times": 5}),
    "down": ("Down: 503 until cleared", {"fault": "status", "status": 503, "times": None}),
    "hang-after": ("Accept, then hang for 30 seconds, once", {"fault": "hang_after_accept", "seconds": 30}),
    "hang-before": ("Hang for 30 seconds without accepting, once", {"fault": "hang_before", "seconds": 30}),
    "garbage": ("Unreadable answer, once", {"fault": "garbage"}),
    "challenge": ("403 page of the firewall, 3 times", {"fault": "html_403", "times": 3}),
    "reset": ("Broken connection, 3 times", {"fault": "reset", "times": 3}),
    "slow": ("Every answer 2 seconds late, until cleared", {"fault": "slow", "seconds": 2, "times": None}),
}  # fmt: skip


@bp.app_template_filter("at")
def _at(seconds: float | None) -> str:
    return (iso(seconds) or "")[:19].replace("T", " ")


@bp.app_template_filter("grouped")
def _grouped(number: int) -> str:
    return f"{number:,}"


bp.add_app_template_filter(showing.laid_out)
bp.add_app_template_filter(showing.readable)
bp.add_app_template_filter(showing.scope_in_words)


@bp.app_template_filter("pretty")
def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)


def _account() -> Row:
    here = world()
    chosen = request.args.get("account") or request.form.get("account") or here.accounts()[0]["id"]
    found = here.account(chosen)
    if found is None:
        abort(404)
    return found


def _page(template: str, account: Row, **context: Any) -> str:
    return render_template(f"klaviyo/{template}", account=account, accounts=world().accounts(), **context)


def _before() -> int | None:
    given = request.args.get("before", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 18 else None


@bp.get("/")
def dashboard() -> str:
    store, account = world().store, _account()
    key = (account["pk"],)
    counts = [
        ("Profiles", "profiles", store.count("SELECT COUNT(*) FROM profile WHERE account = ?", key)),
        ("Events", "metric_list", store.count("SELECT COUNT(*) FROM event WHERE account = ?", key)),
        ("Metrics", "metric_list", store.count("SELECT COUNT(*) FROM metric WHERE account = ?", key)),
        ("Segments", "segment_list", store.count("SELECT COUNT(*) FROM segment WHERE account = ?", key)),
        ("Flows", "flow_list", store.count("SELECT COUNT(*) FROM flow WHERE account = ?", key)),
        ("Recorded requests", "request_list", len(world().recorder.of(account["id"]))),
    ]
    latest = store.rows(
        "SELECT e.*, m.name, m.id AS metric_id, p.id AS profile_id, p.email, p.phone_number FROM event e"
        " JOIN metric m ON m.pk = e.metric JOIN profile p ON p.pk = e.profile"
        " WHERE e.account = ? ORDER BY e.pk DESC LIMIT 12",
        key,
    )
    return _page("dashboard.html", account, counts=counts, latest=latest, waiting=world().inbox.waiting())


@bp.get("/profiles")
def profiles() -> str:
    account, searched, before = _account(), request.args.get("q", "").strip(), _before()
    where, args, order = ["account = ?"], [account["pk"]], "created DESC, pk DESC"
    if searched:
        where.append("(email >= ? AND email < ? OR phone_number = ? OR id = ? OR external_id = ?)")
        low = searched.lower()
        args += [low, low + "\U0010ffff", searched, searched, searched]
        # The unary plus has the search done by the identifiers' indexes and sorted afterwards.
        order = "+created DESC, pk DESC"
    if before is not None:
        where.append("(created, pk) < (SELECT created, pk FROM profile WHERE pk = ?)")
        args.append(before)
    rows = world().store.rows(
        f"SELECT * FROM profile WHERE {' AND '.join(where)} ORDER BY {order} LIMIT ?",  # noqa: S608
        [*args, _PER_PAGE + 1],
    )
    named = [(row, json.loads(row["attributes"])) for row in rows[:_PER_PAGE]]
    older = named[-1][0]["pk"] if len(rows) > _PER_PAGE else None
    return _page("profiles.html", account, people=named, searched=searched, older=older)


@bp.get("/profiles/<profile_id>")
def profile(profile_id: str) -> str:
    account, store, before = _account(), world().store, _before()
    row = store.row("SELECT * FROM profile WHERE account = ? AND id = ?", (account["pk"], profile_id)) or abort(404)
    rows = store.rows(
        "SELECT e.*, m.name, m.id AS metric_id FROM event e JOIN metric m ON m.pk = e.metric"
        # Events may arrive in another order than they happened in, so a page goes on by both.
        " WHERE e.profile = ? AND (? IS NULL OR (e.time, e.pk) < (SELECT b.time, b.pk FROM event b WHERE b.pk = ?))"
        " ORDER BY e.time DESC, e.pk DESC LIMIT ?",
        (row["pk"], before, before, _PER_PAGE + 1),
    )
    timeline = [(each, event_properties(each)) for each in rows[:_PER_PAGE]]
    return _page(
        "profile.html", account, profile=row, attributes=json.loads(row["attributes"]),
        properties=json.loads(row["properties"]), timeline=timeline, segments=segments.segments_of(store, row["pk"]),
        older=timeline[-1][0]["pk"] if len(rows) > _PER_PAGE else None,
    )  # fmt: skip


@bp.get("/metrics")
def metric_list() -> str:
    account = _account()
    rows = world().store.rows(
        "SELECT m.*, (SELECT COUNT(*) FROM event e WHERE e.metric = m.pk) AS events,"
        " (SELECT MAX(time) FROM event e WHERE e.metric = m.pk) AS latest"
        " FROM metric m WHERE m.account = ? ORDER BY m.integration, m.name",
        (account["pk"],),
    )
    found = [(row, metrics.integration(world(), row["integration"])["name"]) for row in rows]
    return _page("metrics.html", account, metrics=found)


@bp.get("/metrics/<metric_id>")
def metric(metric_id: str) -> str:
    account, store, before = _account(), world().store, _before()
    row = store.row("SELECT * FROM metric WHERE account = ? AND id = ?", (account["pk"], metric_id)) or abort(404)
    rows = store.rows(
        "SELECT e.*, p.id AS profile_id, p.email, p.phone_number FROM event e JOIN profile p ON p.pk = e.profile"
        " WHERE e.account = ? AND e.metric = ?"
        " AND (? IS NULL OR (e.time, e.pk) < (SELECT b.time, b.pk FROM event b WHERE b.pk = ?))"
        " ORDER BY e.time DESC, e.pk DESC LIMIT ?",
        (account["pk"], row["pk"], before, before, _PER_PAGE + 1),
    )
    found = [(each, event_properties(each)) for each in rows[:_PER_PAGE]]
    flows = store.rows("SELECT * FROM flow WHERE metric = ?", (row["pk"],))
    total = store.count("SELECT COUNT(*) FROM event WHERE metric = ?", (row["pk"],))
    older = found[-1][0]["pk"] if len(rows) > _PER_PAGE else None
    return _page("metric.html", account, metric=row, events=found, flows=flows, total=total, older=older)


@bp.get("/segments")
def segment_list() -> str:
    account, store = _account(), world().store
    rows = store.rows("SELECT * FROM segment WHERE account = ? ORDER BY name", (account["pk"],))
    found = [(row, segments.member_count(store, row["pk"])) for row in rows]
    return _page("segments.html", account, segments=found)


@bp.get("/segments/<segment_id>")
def segment(segment_id: str) -> str:
    account, store = _account(), world().store
    row = store.row("SELECT * FROM segment WHERE account = ? AND id = ?", (account["pk"], segment_id)) or abort(404)
    rows = store.rows(
        "SELECT p.*, m.joined FROM segment_member m JOIN profile p ON p.pk = m.profile"
        " WHERE m.segment = ? AND m.profile < ? ORDER BY m.profile DESC LIMIT ?",
        (row["pk"], _before() or 2**60, _PER_PAGE + 1),
    )
    return _page(
        "segment.html", account, segment=row, members=rows[:_PER_PAGE], definition=json.loads(row["definition"]),
        total=segments.member_count(store, row["pk"]),
        flows=store.rows("SELECT * FROM flow WHERE segment = ?", (row["pk"],)),
        older=rows[_PER_PAGE - 1]["pk"] if len(rows) > _PER_PAGE else None,
    )  # fmt: skip


@bp.get("/flows")
def flow_list() -> str:
    account = _account()
    rows = world().store.rows(
        "SELECT f.*, m.name AS metric_name, s.name AS segment_name,"
        " (SELECT COUNT(*) FROM flow_run e WHERE e.flow = f.pk) AS entries FROM flow f"
        " LEFT JOIN metric m ON m.pk = f.metric LEFT JOIN segment s ON s.pk = f.segment"
        " WHERE f.account = ? ORDER BY f.pk",
        (account["pk"],),
    )
    return _page("flows.html", account, flows=rows)


@bp.get("/requests")
def request_list() -> str:
    account = _account()
    path, status = request.args.get("path", "").strip(), request.args.get("status", "").strip()
    everything = world().recorder.of(account["id"]) + world().recorder.of("-")
    kept = [
        each for each in sorted(everything, key=lambda each: -each.number)
        if path in each.path and str(each.status).startswith(status)
    ]  # fmt: skip
    return _page("requests.html", account, requests=kept[:200], total=len(kept), path=path, status=status)


@bp.get("/apps")
def apps() -> str:
    account, here = _account(), world()
    install = here.store.row(
        "SELECT * FROM install WHERE account = ? AND uninstalled IS NULL", (account["pk"],)
    )  # fmt: skip
    return _page("apps.html", account, install=install, config=here.config)


@bp.post("/apps/uninstall")
@same_origin_only
def uninstall() -> AnyResponse:
    account = _account()
    world().tokens.uninstall(account["pk"])
    return redirect(url_for("sandbox_pages.apps", account=account["id"]), 303)


@bp.get("/faults")
def fault_list() -> str:
    return _page("faults.html", _account(), faults=world().faults.listed(), ready=READY_FAULTS)


@bp.post("/faults")
@same_origin_only
def order_ready_fault() -> AnyResponse:
    account = _account()
    _, wanted = READY_FAULTS.get(request.form.get("ready", "")) or abort(400)
    fault = faults.from_request({**wanted, "account": account["id"], "match": {"path": "/api/"}})
    if isinstance(fault, Fault):
        world().faults.order(fault)
    return redirect(url_for("sandbox_pages.fault_list", account=account["id"]), 303)


@bp.post("/faults/clear")
@same_origin_only
def clear_faults() -> AnyResponse:
    given = request.form.get("number", "")
    world().faults.clear(int(given) if given.isdigit() else None)
    return redirect(url_for("sandbox_pages.fault_list", account=_account()["id"]), 303)
