"""Klaviyo's segments: which of them to import, and reading the list anew."""

from __future__ import annotations

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from portal import beats
from portal.db import transaction
from portal.errors import InvalidError
from portal.services import segments
from portal.web import (
    Feedback,
    contexts,
    fragment,
    give_feedback,
    is_htmx,
    login_required,
    member_id,
    merchant_id,
    to_page,
)

bp = Blueprint("segments", __name__, url_prefix="/segments")


@bp.get("/table")
@login_required
def table() -> ResponseReturnValue:
    return fragment("segments/_table.html", **contexts.segment_table())


@bp.post("/table")
@login_required
def select() -> ResponseReturnValue:
    segment_id, wanted = request.form.get("segment_id", type=int), request.form.get("selected")
    if segment_id is None or wanted not in ("yes", "no"):
        raise InvalidError("Choose a segment, and whether to import it.")
    with transaction():
        segment = segments.select_segment(merchant_id(), segment_id, wanted == "yes", member_id())
    what = "selected" if wanted == "yes" else "no longer selected"
    return _answer(Feedback(f"{segment.name} is {what}."), (segment_id, what.capitalize()))


@bp.post("/refresh")
@login_required
def refresh() -> ResponseReturnValue:
    count = beats.refresh_segments(merchant_id())
    return _answer(Feedback(f"Klaviyo has {count} {'segment' if count == 1 else 'segments'}. The list is up to date."))


def _answer(feedback: Feedback, said: tuple[int, str] | None = None) -> ResponseReturnValue:
    if not is_htmx():
        return to_page(url_for("integrations.segments"), feedback)
    return give_feedback(fragment("segments/_table.html", **contexts.segment_table(said)), feedback)
