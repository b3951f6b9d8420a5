"""The delivery log: what happened to every event, newest first, and trying again.

Filters stand in the URL; paging is by the last id seen, so a page costs the same at the end of a million rows.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.db import transaction, utcnow
from portal.errors import InvalidError
from portal.services import activity, catalogue, finding, outbox, tracing
from portal.web import (
    Feedback,
    carry_over,
    contexts,
    fragment,
    give_feedback,
    is_htmx,
    login_required,
    merchant_id,
    to_page,
)
from portal.web.words import STATES, plural, zone

bp = Blueprint("activity", __name__, url_prefix="/activity")

FILTERS = ("event", "state", "customer")


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    if any(not request.args.get(name, "-").strip() for name in FILTERS):
        # A form without scripts sends its empty fields too; the address that is kept and shared has only what is set.
        kept: dict[str, Any] = carry_over(FILTERS)
        return redirect(url_for("activity.index", **kept), 303)
    return render_template("activity/index.html", **_log())


def _log() -> dict[str, Any]:
    filters = carry_over(FILTERS)
    if filters.get("event") not in catalogue.RECORDED:
        filters.pop("event", None)
    if filters.get("state") not in STATES:
        filters.pop("state", None)
    before = request.args.get("before", type=int)
    page = activity.page(
        merchant_id(),
        event_type=filters.get("event"),
        state=filters.get("state"),
        customer=filters.get("customer"),
        before=before,
    )
    return {
        "page": page,
        "filters": filters,
        "before": before,
        "event_types": catalogue.RECORDED.values(),
        "has_failed": activity.has_failed(merchant_id()),
        "metrics": {entry.type: entry.metric for entry in catalogue.RECORDED.values()},
        # What the field offers: an hour ago, as the merchant's clock shows it.
        "since": f"{utcnow().astimezone(zone()) - timedelta(hours=1):%Y-%m-%dT%H:%M}",
    }


@bp.get("/trace")
@login_required
def trace() -> ResponseReturnValue:
    """Why did this customer not get it?"""
    asked = request.args.get("customer", "").strip()
    customer, candidates = finding.find(merchant_id(), asked)
    return render_template(
        "activity/trace.html",
        asked=asked,
        candidates=candidates,
        trace=tracing.trace(customer) if customer else None,
        metrics={entry.type: entry.metric for entry in catalogue.RECORDED.values()},
    )


@bp.get("/<int:event_id>")
@login_required
def event(event_id: int) -> ResponseReturnValue:
    return render_template("activity/event.html", **contexts.delivery(event_id), by_type=catalogue.RECORDED)


@bp.get("/delivery/<int:event_id>")
@login_required
def delivery(event_id: int) -> ResponseReturnValue:
    return fragment("activity/_delivery.html", **contexts.delivery(event_id))


@bp.post("/<int:event_id>/retry")
@login_required
def retry(event_id: int) -> ResponseReturnValue:
    with transaction():
        outbox.retry(merchant_id(), event_id)
    feedback = Feedback("The event waits for delivery again.")
    if not is_htmx():
        return to_page(url_for("activity.event", event_id=event_id), feedback)
    return give_feedback(fragment("activity/_delivery.html", **contexts.delivery(event_id)), feedback)


@bp.post("/retry")
@login_required
def retry_since() -> ResponseReturnValue:
    since = _since(request.form.get("since", ""))
    with transaction():
        count = outbox.retry_since(merchant_id(), since)
    feedback = Feedback(f"{plural(count, 'event')} will be tried again.")
    if count == 0:
        feedback = Feedback("Nothing has failed since then, so there is nothing to try again.", "warn")
    return to_page(url_for("activity.index", state="waiting" if count else "failed"), feedback)


def _since(text: str) -> datetime:
    """A time as the browser's field tells it: without a zone, meant in the merchant's."""
    try:
        told = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidError("Choose a day and a time, such as 2026-11-23 14:00.", field="since") from error
    return told if told.tzinfo else told.replace(tzinfo=zone())
