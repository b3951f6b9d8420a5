"""Klaviyo's segments: which of them to import, reading the list anew, and who is in them."""

from __future__ import annotations

import csv
import io
from itertools import chain

from flask import Blueprint, Response, render_template, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue

from portal import beats
from portal.db import transaction, utcnow
from portal.errors import InvalidError
from portal.services import reach, segment_counts, segment_pages, segment_schedule, segments
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
from portal.web.words import plural

bp = Blueprint("segments", __name__, url_prefix="/segments")


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    chosen = segment_pages.selected(merchant_id())
    return render_template("segments/index.html", segments=chosen, is_too_large=segment_counts.is_too_large)


@bp.get("/<int:segment_id>")
@login_required
def segment(segment_id: int) -> ResponseReturnValue:
    found = segment_pages.find(merchant_id(), segment_id)
    stage, sought = request.args.get("stage", "members"), request.args.get("q", "").strip()
    after = request.args.get("after", "")
    listed = (
        segment_pages.search(found, sought, stage=stage)
        if sought
        else segment_pages.members(found, stage=stage, after=after)
    )
    return render_template(
        "segments/segment.html",
        **contexts.segment_progress(found),
        reach=reach.of(found.id),
        listed=listed,
        stage=stage,
        sought=sought,
        after=after,
        runs=segment_pages.runs(found),
    )


@bp.get("/progress/<int:segment_id>")
@login_required
def progress(segment_id: int) -> ResponseReturnValue:
    found = segment_pages.find(merchant_id(), segment_id)
    return fragment("segments/_progress.html", **contexts.segment_progress(found, asked_again=True))


@bp.get("/<int:segment_id>/imports/<int:generation>")
@login_required
def changes(segment_id: int, generation: int) -> ResponseReturnValue:
    """Who joined and who left at one import."""
    found = segment_pages.find(merchant_id(), segment_id)
    way, after = request.args.get("way", "joined"), request.args.get("after", "")
    run, rows, following = segment_pages.changes(found, generation, way=way, after=after)
    return render_template(
        "segments/changes.html", segment=found, run=run, rows=rows, following=following, way=way, after=after
    )


@bp.get("/<int:segment_id>/members.csv")
@login_required
def export(segment_id: int) -> ResponseReturnValue:
    """Everybody, or those behind one number of the reach."""
    found = segment_pages.find(merchant_id(), segment_id)
    heads = ["klaviyo_profile_id", "email", "phone", "customer_id"]
    rows = segment_pages.export(found, segment_pages.stage_called(request.args.get("stage", "members")))
    name = f"segment-{found.id}.csv"
    return Response(
        stream_with_context(_line(row) for row in chain([heads], rows)),
        mimetype="text/csv",
        headers={"Content-Disposition": f"attachment; filename={name}"},
    )


def _line(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


@bp.post("/sync")
@login_required
def sync() -> ResponseReturnValue:
    """All of them, or the one whose page was looked at."""
    only = request.form.getlist("segment_id", type=int)
    with transaction():
        asked = segment_schedule.sync_now(merchant_id(), utcnow(), only)
    if asked.started:
        told = Feedback(f"{plural(asked.started, 'segment')} will be read from Klaviyo now.")
    elif asked.under_way:
        told = Feedback("They are being read from Klaviyo already.")
    elif asked.fresh:
        told = Feedback("They were read less than a minute ago, so there is nothing to do.")
    else:
        told = Feedback("No segment is selected. Select one first.", "warn")
    return to_page(url_for("segments.segment", segment_id=only[0]) if only else url_for("segments.index"), told)


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
        chosen = segments.select_segment(merchant_id(), segment_id, wanted == "yes", member_id())
    what = "selected" if wanted == "yes" else "no longer selected"
    return _answer(Feedback(f"{chosen.name} is {what}."), (segment_id, what.capitalize()))


@bp.post("/refresh")
@login_required
def refresh() -> ResponseReturnValue:
    count = beats.refresh_segments(merchant_id())
    return _answer(Feedback(f"Klaviyo has {count} {'segment' if count == 1 else 'segments'}. The list is up to date."))


def _answer(feedback: Feedback, said: tuple[int, str] | None = None) -> ResponseReturnValue:
    if not is_htmx():
        return to_page(url_for("integrations.segments"), feedback)
    return give_feedback(fragment("segments/_table.html", **contexts.segment_table(said)), feedback)
