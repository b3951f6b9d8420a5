"""`/v1/imports`: past events from a file or from before the connection; counted first, started by the program."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any, cast

from flask import Response, g, jsonify, request

from portal import uploads
from portal.blueprints.api.reading import read_json
from portal.blueprints.api.routes import api_key_required, bp, write
from portal.blueprints.api.schemas import ImportOut, ImportStateOut, ProblemOut, ProblemsOut
from portal.errors import InvalidError, NotFoundError, UnsupportedMediaError
from portal.models import HistoryImport
from portal.models.history import IMPORT_PREFIX
from portal.services import imports
from portal.services.history_files import CSV, JSON_LINES, MOST_BYTES
from portal.services.import_progress import progress_of
from portal.web import takes_file

FORMATS = {"text/csv": CSV, "application/x-ndjson": JSON_LINES, "application/jsonl": JSON_LINES}
PAGE = 1_000
UNSENT = {"from": "unsent"}
NO_FILE = (
    "Send the file as the body with Content-Type text/csv or application/x-ndjson, or as a form with the field file."
)
Change = Callable[[int, int, str], HistoryImport]


@bp.post("/imports")
@api_key_required
@takes_file(MOST_BYTES + 1_000_000)
def create_import() -> tuple[Response, int]:
    """It is checked and counted next; nothing is recorded before it is started."""
    return _shown(_receive()), 202


def _receive() -> HistoryImport:
    if request.mimetype in FORMATS:
        return _upload(request.stream, request.args.get("name", "API upload"), FORMATS[request.mimetype])
    if request.mimetype == "multipart/form-data":
        file = request.files.get("file")
        if file is None:
            raise InvalidError(NO_FILE, field="file")
        with closing(file):
            return _upload(file.stream, file.filename or "API upload")
    if request.mimetype != "application/json":
        raise UnsupportedMediaError(NO_FILE)
    if read_json(request) != UNSENT:
        raise InvalidError('Send {"from": "unsent"} for events from before the connection, or a file.', field="from")
    return write(lambda: imports.prepare_unsent(g.merchant_id, _actor()))


def _upload(file: Any, name: str, file_format: str = "") -> HistoryImport:
    return uploads.receive(g.merchant_id, file, name, _actor(), file_format)


def _actor() -> str:
    return f"API key {g.api_key.id}"


@bp.get("/imports/<import_id>")
@api_key_required
def show_import(import_id: str) -> Response:
    return _shown(imports.find(g.merchant_id, _number(import_id)))


@bp.get("/imports/<import_id>/problems")
@api_key_required
def list_import_problems(import_id: str) -> Response:
    """A page of the rows that were refused; `after` is the last line already seen."""
    work = imports.find(g.merchant_id, _number(import_id))
    page = imports.problems(work.id, request.args.get("after", 0, type=int), PAGE)
    shown = ProblemsOut(
        problems=[ProblemOut(line=each.line, id=each.event_id, reason=each.reason) for each in page],
        next=page[-1].line if len(page) == PAGE else None,
    )
    return jsonify(shown.model_dump(mode="json"))


@bp.post("/imports/<import_id>/start")
@api_key_required
def start_import(import_id: str) -> Response:
    return _change(imports.start, import_id)


@bp.post("/imports/<import_id>/pause")
@api_key_required
def pause_import(import_id: str) -> Response:
    return _change(imports.pause, import_id)


@bp.post("/imports/<import_id>/resume")
@api_key_required
def resume_import(import_id: str) -> Response:
    return _change(imports.resume, import_id)


@bp.post("/imports/<import_id>/cancel")
@api_key_required
def cancel_import(import_id: str) -> Response:
    return _change(imports.cancel, import_id)


def _change(change: Change, import_id: str) -> Response:
    number = _number(import_id)
    return _shown(write(lambda: change(g.merchant_id, number, _actor())))


def _number(import_id: str) -> int:
    digits = import_id.removeprefix(IMPORT_PREFIX)
    if digits == import_id or not (digits.isascii() and digits.isdigit()) or len(digits) > 19 or int(digits) >= 2**63:
        raise NotFoundError(f"There is no import with this id. Ids begin with {IMPORT_PREFIX}.", field="id")
    return int(digits)


def _shown(work: HistoryImport) -> Response:
    progress = progress_of(work)
    shown = ImportOut(
        id=work.public_id,
        kind=work.kind,
        name=work.name,
        state=cast("ImportStateOut", str(work.state)),
        reason=work.reason,
        events=work.found,
        refused=work.refused,
        first_at=work.first_at,
        last_at=work.last_at,
        columns_ignored=[name for name in work.columns_ignored.split(", ") if name],
        done=work.done,
        known=work.known,
        delivered=progress.delivered,
        waiting=progress.waiting,
        seconds_left=None if progress.seconds is None else max(1, round(progress.seconds)),
        created_at=work.created_at,
    )
    return jsonify(shown.model_dump(mode="json"))
