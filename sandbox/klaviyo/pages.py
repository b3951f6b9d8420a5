"""Pages to look inside the stand-in: profiles with timelines, metrics, requests, apps, faults.

Segments and flows have modules of their own.
"""

import json
from typing import Any

from flask import abort, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.klaviyo import faults, flow_activity, metrics, segments, webhook_orders
from sandbox.klaviyo.faults import Fault
from sandbox.klaviyo.frames import PER_PAGE, asked_before, back_to, bp, chosen_account, page
from sandbox.klaviyo.recorded import event_properties
from sandbox.klaviyo.world import world
from sandbox.sameorigin import same_origin_only

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
    "expired-cursor": ("The next cursor has expired, once", {"fault": "expired_cursor"}),
    "repeat-page": ("A page comes twice, once", {"fault": "repeat_page"}),
    "slow": ("Every answer 2 seconds late, until cleared", {"fault": "slow", "seconds": 2, "times": None}),
}  # fmt: skip


@bp.get("/")
def dashboard() -> str:
    store, account = world().store, chosen_account()
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
    return page("dashboard.html", account, counts=counts, latest=latest, waiting=world().inbox.waiting())


@bp.get("/profiles")
def profiles() -> str:
    account, searched, before = chosen_account(), request.args.get("q", "").strip(), asked_before()
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
        [*args, PER_PAGE + 1],
    )
    named = [(row, json.loads(row["attributes"])) for row in rows[:PER_PAGE]]
    older = named[-1][0]["pk"] if len(rows) > PER_PAGE else None
    return page("profiles.html", account, people=named, searched=searched, older=older)


@bp.get("/profiles/<profile_id>")
def profile(profile_id: str) -> str:
    account, store, before = chosen_account(), world().store, asked_before()
    row = store.row("SELECT * FROM profile WHERE account = ? AND id = ?", (account["pk"], profile_id)) or abort(404)
    rows = store.rows(
        "SELECT e.*, m.name, m.id AS metric_id FROM event e JOIN metric m ON m.pk = e.metric"
        # Events may arrive in another order than they happened in, so a page goes on by both.
        " WHERE e.profile = ? AND (? IS NULL OR (e.time, e.pk) < (SELECT b.time, b.pk FROM event b WHERE b.pk = ?))"
        " ORDER BY e.time DESC, e.pk DESC LIMIT ?",
        (row["pk"], before, before, PER_PAGE + 1),
    )
    timeline = [(each, event_properties(each)) for each in rows[:PER_PAGE]]
    return page(
        "profile.html", account, profile=row, attributes=json.loads(row["attributes"]),
        properties=json.loads(row["properties"]), timeline=timeline, segments=segments.segments_of(store, row["pk"]),
        older=timeline[-1][0]["pk"] if len(rows) > PER_PAGE else None,
        activity=flow_activity.of_profile(store, row["pk"], PER_PAGE),
    )  # fmt: skip


@bp.get("/metrics")
def metric_list() -> str:
    account = chosen_account()
    rows = world().store.rows(
        "SELECT m.*, (SELECT COUNT(*) FROM event e WHERE e.metric = m.pk) AS events,"
        " (SELECT MAX(time) FROM event e WHERE e.metric = m.pk) AS latest"
        " FROM metric m WHERE m.account = ? ORDER BY m.integration, m.name",
        (account["pk"],),
    )
    found = [(row, metrics.integration(world(), row["integration"])["name"]) for row in rows]
    return page("metrics.html", account, metrics=found)


@bp.get("/metrics/<metric_id>")
def metric(metric_id: str) -> str:
    account, store, before = chosen_account(), world().store, asked_before()
    row = store.row("SELECT * FROM metric WHERE account = ? AND id = ?", (account["pk"], metric_id)) or abort(404)
    rows = store.rows(
        "SELECT e.*, p.id AS profile_id, p.email, p.phone_number FROM event e JOIN profile p ON p.pk = e.profile"
        " WHERE e.account = ? AND e.metric = ?"
        " AND (? IS NULL OR (e.time, e.pk) < (SELECT b.time, b.pk FROM event b WHERE b.pk = ?))"
        " ORDER BY e.time DESC, e.pk DESC LIMIT ?",
        (account["pk"], row["pk"], before, before, PER_PAGE + 1),
    )
    found = [(each, event_properties(each)) for each in rows[:PER_PAGE]]
    flows = store.rows("SELECT * FROM flow WHERE metric = ?", (row["pk"],))
    total = store.count("SELECT COUNT(*) FROM event WHERE metric = ?", (row["pk"],))
    older = found[-1][0]["pk"] if len(rows) > PER_PAGE else None
    return page("metric.html", account, metric=row, events=found, flows=flows, total=total, older=older)


@bp.get("/requests")
def request_list() -> str:
    account = chosen_account()
    path, status = request.args.get("path", "").strip(), request.args.get("status", "").strip()
    everything = world().recorder.of(account["id"]) + world().recorder.of("-")
    kept = [
        each for each in sorted(everything, key=lambda each: -each.number)
        if path in each.path and str(each.status).startswith(status)
    ]  # fmt: skip
    return page("requests.html", account, requests=kept[:200], total=len(kept), path=path, status=status)


@bp.get("/apps")
def apps() -> str:
    account, here = chosen_account(), world()
    install = here.store.row(
        "SELECT * FROM install WHERE account = ? AND uninstalled IS NULL", (account["pk"],)
    )  # fmt: skip
    return page("apps.html", account, install=install, config=here.config)


@bp.post("/apps/uninstall")
@same_origin_only
def uninstall() -> AnyResponse:
    account = chosen_account()
    world().tokens.uninstall(account["pk"])
    return back_to("apps")


@bp.get("/faults")
def fault_list() -> str:
    here = world()
    return page(
        "faults.html",
        chosen_account(),
        faults=here.faults.listed(),
        ready=READY_FAULTS,
        webhooks=here.flows.orders.order({}),
    )


@bp.post("/faults")
@same_origin_only
def order_ready_fault() -> AnyResponse:
    account = chosen_account()
    _, wanted = READY_FAULTS.get(request.form.get("ready", "")) or abort(400)
    fault = faults.from_request({**wanted, "account": account["id"], "match": {"path": "/api/"}})
    if isinstance(fault, Fault):
        world().faults.order(fault)
    return back_to("fault_list")


@bp.post("/faults/webhooks")
@same_origin_only
def order_webhook_fault() -> AnyResponse:
    """One more of the next webhook deliveries of flows goes wrong."""
    orders, kind = world().flows.orders, request.form.get("kind", "")
    if kind not in webhook_orders.KINDS:
        abort(400)
    orders.order({kind: orders.order({})[kind] + 1})
    return back_to("fault_list")


@bp.post("/faults/clear")
@same_origin_only
def clear_faults() -> AnyResponse:
    given = request.form.get("number", "")
    world().faults.clear(int(given) if given.isdigit() else None)
    return back_to("fault_list")
