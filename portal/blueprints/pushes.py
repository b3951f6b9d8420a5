"""Push: the log, one push step by step while it happens, and trying it again where that can help."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal.db import transaction, utcnow
from portal.models import PushReason, PushState
from portal.services import auditing, designing, push_log, push_reports, push_retrying, pushing
from portal.services.push_reports import REASONS
from portal.web import (
    Feedback,
    carry_over,
    fragment,
    give_feedback,
    is_htmx,
    login_required,
    member_id,
    merchant_id,
    to_page,
)

bp = Blueprint("pushes", __name__, url_prefix="/push")

FILTERS = ("state", "reason", "customer")
# What a person is told when a push that they look at has come to its end.
ENDS = {
    PushState.DELIVERED: Feedback("Delivered: the message is on the phone."),
    PushState.SKIPPED: Feedback("The push was skipped.", "warn"),
    PushState.FAILED: Feedback("The push was not shown.", "bad"),
}


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    if any(not request.args.get(name, "-").strip() for name in FILTERS):
        # A form without scripts sends its empty fields too; the address that is kept and shared has only what is set.
        kept: dict[str, Any] = carry_over(FILTERS)
        return redirect(url_for("pushes.index", **kept), 303)
    filters = carry_over(FILTERS)
    before = request.args.get("before", type=int)
    rows, older = push_log.page(
        merchant_id(),
        state=filters.get("state"),
        reason=filters.get("reason"),
        sought=filters.get("customer"),
        before=before,
    )
    return render_template("pushes/index.html", rows=rows, older=older, before=before, filters=filters, reasons=REASONS)


@bp.get("/<int:push_id>")
@login_required
def push(push_id: int) -> ResponseReturnValue:
    shown = _shown(push_id)
    found = shown["report"].push
    lock = {
        "sender": designing.newest(merchant_id()).organisation,
        "programme": current_user.merchant.programme_name,
        "title": found.title,
        "message": found.message,
    }
    return render_template("pushes/push.html", lock=lock, **shown)


@bp.get("/outcome/<int:push_id>")
@login_required
def outcome(push_id: int) -> ResponseReturnValue:
    shown = _shown(push_id)
    answer = fragment("pushes/_outcome.html", **shown)
    ended = ENDS.get(PushState(shown["report"].push.state))
    return give_feedback(answer, ended) if ended else answer


@bp.post("/<int:push_id>/retry")
@login_required
def retry(push_id: int) -> ResponseReturnValue:
    with transaction():
        again = push_retrying.retry(merchant_id(), push_id, utcnow())
        auditing.record(merchant_id(), member_id(), "push tried again", again.public_id)
    feedback = Feedback("It is tried again. Whoever has seen it is not notified twice.")
    if not is_htmx():
        return to_page(url_for("pushes.push", push_id=push_id), feedback)
    return give_feedback(fragment("pushes/_outcome.html", **_shown(push_id)), feedback)


def _shown(push_id: int) -> dict[str, Any]:
    found = pushing.find(merchant_id(), push_id)
    return {
        "report": push_reports.report(found),
        "hindrance": push_retrying.hindrance(found, utcnow()),
        "next_step": push_reports.REMEDIES.get(PushReason(found.reason)) if found.reason else None,
    }
