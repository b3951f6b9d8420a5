"""`/_sandbox/*`: order faults, change settings, revoke, count, look and plant, for tests and benchmarks.

No credentials: whoever reaches the port may use it. Never put a sandbox where strangers can reach it.
"""

import json
import secrets
from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox.klaviyo import faults, flow_activity, planting, segment_orders, webhook_orders
from sandbox.klaviyo.operations import ALL_SCOPES
from sandbox.klaviyo.planting import ControlError
from sandbox.klaviyo.recorded import event_id
from sandbox.klaviyo.switches import iso
from sandbox.klaviyo.world import World, world
from sandbox.sameorigin import same_origin_only
from sandbox.store import Row

bp = Blueprint("sandbox_control", __name__, url_prefix="/_sandbox")


@bp.before_request
@same_origin_only
def _guard() -> None:
    return None


@bp.errorhandler(ControlError)
def _refuse(error: ControlError) -> tuple[Response, int]:
    return jsonify(error=str(error)), error.status


def _body() -> dict[str, Any]:
    found = request.get_json(silent=True, force=True) if request.get_data() else {}
    if not isinstance(found, dict):
        raise ControlError("the body must be a JSON object")
    return found


def _account(here: World, account_id: Any) -> Row:
    row = here.account(account_id) if isinstance(account_id, str) else None
    if row is None:
        raise ControlError(f"there is no account {account_id!r}", 404)
    return row


@bp.get("/health")
def health() -> Response:
    here = world()
    return jsonify(status="ok", accounts=[row["id"] for row in here.accounts()], waiting_events=here.inbox.waiting())


@bp.get("/faults")
def list_faults() -> Response:
    return jsonify(faults=[each.as_dict() for each in world().faults.listed()])


@bp.post("/faults")
def order_fault() -> tuple[Response, int]:
    fault = faults.from_request(_body())
    if isinstance(fault, str):
        raise ControlError(fault)
    world().faults.order(fault)
    return jsonify(fault.as_dict()), 201


@bp.delete("/faults")
def clear_faults() -> Response:
    return jsonify(cleared=world().faults.clear())


@bp.delete("/faults/<int:number>")
def clear_fault(number: int) -> Response:
    return jsonify(cleared=world().faults.clear(number))


@bp.get("/settings")
def show_settings() -> Response:
    return jsonify(world().switches.as_dict())


@bp.put("/settings")
def change_settings() -> Response:
    here = world()
    wrong = here.switches.change(_body(), here.store)
    if wrong:
        raise ControlError("; ".join(wrong))
    return jsonify(here.switches.as_dict())


@bp.post("/uninstall")
def uninstall() -> Response:
    here = world()
    account = _account(here, _body().get("account"))
    return jsonify(uninstalled=here.tokens.uninstall(account["pk"]))


@bp.post("/expire-access")
def expire_access() -> Response:
    here = world()
    account = _account(here, _body().get("account"))
    return jsonify(expired=here.tokens.expire_access(account["pk"]))


@bp.post("/reset")
def reset() -> Response:
    """Everything back to the first start; `{"only": "events"}` keeps profiles, installs and settings."""
    only = _body().get("only")
    if only not in (None, "events"):
        raise ControlError("only can be 'events'")
    world().reset(only_events=only == "events")
    return jsonify(reset=only or "everything")


@bp.get("/webhooks")
def show_webhook_orders() -> Response:
    return jsonify(world().flows.orders.order({}))


@bp.put("/webhooks")
def order_webhooks() -> Response:
    """For the next deliveries of flows: `{"lose_answers": n}`, `{"duplicate": n}`."""
    wanted = _body()
    if not set(wanted) <= set(webhook_orders.KINDS) or not all(
        type(each) is int and each >= 0 for each in wanted.values()
    ):
        raise ControlError(f"{' and '.join(webhook_orders.KINDS)} must be whole numbers")
    return jsonify(world().flows.orders.order(wanted))


@bp.get("/flows/activity")
def show_flow_activity() -> Response:
    """What the flows of an account have done, in order; `after` goes on behind a number."""
    here = world()
    account = _account(here, request.args.get("account"))
    return jsonify(steps=flow_activity.recorded(here.store, account["pk"], _number("after", 0)))


@bp.post("/private-keys")
def private_key() -> tuple[Response, int]:
    here = world()
    wanted = _body()
    account = _account(here, wanted.get("account"))
    scopes = wanted.get("scopes", ALL_SCOPES)
    if not isinstance(scopes, list) or not set(scopes) <= set(ALL_SCOPES):
        raise ControlError("scopes must be a list of Klaviyo's scopes")
    key = wanted.get("key") or "pk_" + secrets.token_hex(17)
    with here.store.writing() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO private_key VALUES (?, ?, ?, ?)",
            (key, account["pk"], " ".join(scopes), here.switches.now()),
        )
    here.tokens.forget()
    return jsonify(key=key, account=account["id"], scopes=scopes), 201


@bp.get("/ledger")
def ledger() -> Response:
    """What arrived, in figures: the place where a test or benchmark counts. Klaviyo's own events are left out."""
    here = world()
    account = _account(here, request.args.get("account"))
    events = here.store.row(
        "SELECT COUNT(*) AS events, COUNT(DISTINCT CASE WHEN dedupe LIKE '=%' THEN dedupe END) AS unique_ids"
        " FROM event WHERE account = ?1"
        " AND metric IN (SELECT pk FROM metric WHERE account = ?1 AND integration <> 'klaviyo')",
        (account["pk"],),
    )
    tally = {
        row["name"]: row["count"] for row in here.store.rows("SELECT * FROM tally WHERE account = ?", (account["pk"],))
    }
    return jsonify(
        account=account["id"],
        events_recorded=events["events"] if events else 0,
        distinct_unique_ids=events["unique_ids"] if events else 0,
        recorded_since_reset=tally.get("recorded", 0),
        duplicates_dropped=tally.get("duplicates", 0),
        dropped_unknown_profile=tally.get("nobody", 0),
        waiting_events=here.inbox.waiting(),
        profiles=here.store.count("SELECT COUNT(*) FROM profile WHERE account = ?", (account["pk"],)),
        flow_entries=here.store.count("SELECT COUNT(*) FROM flow_run WHERE account = ?", (account["pk"],)),
        requests=here.recorder.counts(account["id"]),
        oauth_requests=here.recorder.counts("-"),
    )


@bp.get("/events")
def recorded_events() -> Response:
    """The events of an account in the order in which they were recorded."""
    here = world()
    account = _account(here, request.args.get("account"))
    after, limit = _number("after", 0), min(_number("limit", 1000), 10_000)
    rows = here.store.rows(
        "SELECT e.*, m.name, p.id AS profile_id, p.email, p.phone_number FROM event e"
        " JOIN metric m ON m.pk = e.metric JOIN profile p ON p.pk = e.profile"
        " WHERE e.account = ? AND e.pk > ? ORDER BY e.pk LIMIT ?",
        (account["pk"], after, limit),
    )
    last = rows[-1]["pk"] if len(rows) == limit else None
    return jsonify(events=[_recorded(row) for row in rows], next=last)


def _recorded(row: Row) -> dict[str, Any]:
    return {
        "number": row["pk"], "id": event_id(row["pk"]), "metric": row["name"],
        "unique_id": row["dedupe"][1:] if row["dedupe"][0] == "=" else None, "profile_id": row["profile_id"],
        "email": row["email"], "phone_number": row["phone_number"], "time": iso(row["time"]), "value": row["value"],
        "backfill": bool(row["backfill"]), "properties": json.loads(row["properties"]),
    }  # fmt: skip


def _number(name: str, default: int) -> int:
    given = request.args.get(name)
    if given is None:
        return default
    if not given.isascii() or not given.isdigit():
        raise ControlError(f"{name} must be a whole number")
    return int(given)


@bp.post("/profiles")
def plant_profiles() -> tuple[Response, int]:
    """`{"account", "count", "prefix"?}` for made-up ones, or `{"account", "profiles": [{"email": ...}, ...]}`."""
    here = world()
    wanted = _body()
    return jsonify(planting.profiles(here, _account(here, wanted.get("account"))["pk"], wanted)), 201


@bp.post("/segments")
def plant_segment() -> tuple[Response, int]:
    here = world()
    wanted = _body()
    return jsonify(segment_orders.create(here, _account(here, wanted.get("account"))["pk"], wanted)), 201


@bp.patch("/segments/<segment_id>")
def change_segment(segment_id: str) -> Response:
    return jsonify(segment_orders.change(world(), segment_id, _body()))


@bp.delete("/segments/<segment_id>")
def delete_segment(segment_id: str) -> Response:
    return jsonify(segment_orders.delete(world(), segment_id))


@bp.route("/segments/<segment_id>/members", methods=["PUT", "POST", "DELETE"])
def change_members(segment_id: str) -> Response:
    """PUT replaces, POST adds, DELETE takes away: `{"profile_ids": [...]}`, `{"emails": [...]}` or `{"first": n}`."""
    return jsonify(segment_orders.change_members(world(), segment_id, request.method, _body()))
