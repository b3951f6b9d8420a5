"""Past events: handing in a file or what was held back, and one import from its count to its end.

Each control is a form; htmx only saves the page load, and asks again while something moves.
"""

from __future__ import annotations

from contextlib import closing

from flask import Blueprint, Response, render_template, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import FileStorage

from portal import uploads
from portal.blueprints import integrations
from portal.db import transaction
from portal.errors import InvalidError, PortalError
from portal.models import HistoryImport
from portal.services import connecting, history_problems, imports
from portal.services.history_files import MOST_BYTES
from portal.web import (
    Feedback,
    contexts,
    fragment,
    give_feedback,
    is_htmx,
    login_required,
    member_id,
    merchant_id,
    takes_file,
    to_page,
)

bp = Blueprint("history", __name__, url_prefix="/history")


@bp.get("/<int:import_id>")
@login_required
def show(import_id: int) -> ResponseReturnValue:
    return render_template("history/show.html", **contexts.history_progress(import_id))


@bp.get("/progress/<int:import_id>")
@login_required
def progress(import_id: int) -> ResponseReturnValue:
    return fragment("history/_progress.html", **contexts.history_progress(import_id))


@bp.post("/file")
@login_required
@takes_file(MOST_BYTES + 1_000_000)
def upload() -> ResponseReturnValue:
    try:
        work = _receive(request.files.get("file"))
    except PortalError as error:
        if error.field != "file" or not connecting.is_in_use(merchant_id()):
            raise
        return integrations.show_history(refused=error.message), error.status
    return to_page(url_for("history.show", import_id=work.id))


def _receive(file: FileStorage | None) -> HistoryImport:
    if file is None or not file.filename:
        raise InvalidError("Choose a file first.", field="file")
    with closing(file):
        return uploads.receive(merchant_id(), file.stream, file.filename, member_id())


@bp.post("/unsent")
@login_required
def prepare_unsent() -> ResponseReturnValue:
    with transaction():
        work = imports.prepare_unsent(merchant_id(), member_id())
    return to_page(url_for("history.show", import_id=work.id))


@bp.post("/<int:import_id>/start")
@login_required
def start(import_id: int) -> ResponseReturnValue:
    with transaction():
        work = imports.start(merchant_id(), import_id, member_id())
    return _answer(work, "The import has started. You can leave this page.")


@bp.post("/<int:import_id>/pause")
@login_required
def pause(import_id: int) -> ResponseReturnValue:
    with transaction():
        work = imports.pause(merchant_id(), import_id, member_id())
    return _answer(work, "The import is paused. Nothing is lost, and it goes on from here.")


@bp.post("/<int:import_id>/resume")
@login_required
def resume(import_id: int) -> ResponseReturnValue:
    with transaction():
        work = imports.resume(merchant_id(), import_id, member_id())
    return _answer(work, "The import goes on where it was paused.")


@bp.post("/<int:import_id>/cancel")
@login_required
def cancel(import_id: int) -> ResponseReturnValue:
    with transaction():
        work = imports.cancel(merchant_id(), import_id, member_id())
    return _answer(work, "The import is cancelled. Events that were imported by then stay.")


def _answer(work: HistoryImport, told: str) -> ResponseReturnValue:
    if not is_htmx():
        return to_page(url_for("history.show", import_id=work.id), Feedback(told))
    return give_feedback(fragment("history/_progress.html", **contexts.history_progress(work.id)), Feedback(told))


@bp.get("/<int:import_id>/problems.csv")
@login_required
def problems(import_id: int) -> ResponseReturnValue:
    work = imports.find(merchant_id(), import_id)
    answer = Response(stream_with_context(history_problems.as_csv(work.id)), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f"attachment; filename=problems-{work.id}.csv"
    return answer
