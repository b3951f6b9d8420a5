"""The imports' part of the description of the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portal.blueprints.api.schemas import ErrorOut, ImportIn, ImportOut, ProblemsOut

Answer = Callable[[type[Any], str], dict[str, Any]]
Errors = Callable[..., dict[str, Any]]

_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The import's id, as an answer gave it.",
    "schema": {"type": "string", "examples": ["imp_42"]},
}
_FILE = {"schema": {"type": "string"}}
_DEEDS = {
    "start": ("Start an import", "Only when it is `ready`, Klaviyo is connected and Events is switched on."),
    "pause": ("Pause an import", "What has been imported stays, and it can go on from there."),
    "resume": ("Let an import go on", "Where it was paused."),
    "cancel": ("Cancel an import", "What has been imported stays. The rest of the file is removed."),
}


def operations(answer: Answer, errors: Errors) -> dict[str, Any]:
    """Paths with their operations; `answer` and `errors` make what the others have too."""
    return {
        "/v1/imports": {"post": _import(answer, errors)},
        "/v1/imports/{id}": {
            "get": {
                "operationId": "getImport",
                "summary": "See how far an import is",
                "parameters": [_ID],
                "responses": {"200": answer(ImportOut, "The import."), **errors(401, 404, 429)},
            }
        },
        "/v1/imports/{id}/problems": {"get": _problems(answer, errors)},
        **{f"/v1/imports/{{id}}/{deed}": {"post": _change(deed, answer, errors)} for deed in _DEEDS},
    }


def _import(answer: Answer, errors: Errors) -> dict[str, Any]:
    form = {"schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}}
    unsent = answer(ImportIn, "")["content"]
    return {
        "operationId": "importHistory",
        "summary": "Import past events",
        "description": "Send the file as the body: `text/csv` with the fields of an event as columns, or `application/x-ndjson` "
        "with one event per line; up to 500 MB. It is checked and counted first: look until it is `ready`, then start it. No flow "
        "at Klaviyo is set off, and an event whose id is known is not sent again. The JSON body below is for events from before the "
        "connection, which are here already.",
        "parameters": [
            {
                "name": "name",
                "in": "query",
                "description": "How the portal shall call it.",
                "schema": {"type": "string", "examples": ["orders-2025.csv"]},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {**unsent, "text/csv": _FILE, "application/x-ndjson": _FILE, "multipart/form-data": form},
        },
        "responses": {
            "202": answer(ImportOut, "Taken in; it is being checked."),
            **errors(400, 401, 413, 415, 422, 429, 503),
        },
    }


def _problems(answer: Answer, errors: Errors) -> dict[str, Any]:
    after = {
        "name": "after",
        "in": "query",
        "description": "The last line already seen.",
        "schema": {"type": "integer", "examples": [1042]},
    }
    return {
        "operationId": "getImportProblems",
        "summary": "See which rows were refused",
        "description": "Each with its line and the reason. All other rows are imported.",
        "parameters": [_ID, after],
        "responses": {"200": answer(ProblemsOut, "Up to 1,000 of them."), **errors(401, 404, 429)},
    }


def _change(deed: str, answer: Answer, errors: Errors) -> dict[str, Any]:
    summary, note = _DEEDS[deed]
    return {
        "operationId": f"{deed}Import",
        "summary": summary,
        "description": note,
        "parameters": [_ID],
        "responses": {
            "200": answer(ImportOut, "The import as it is now."),
            "409": answer(ErrorOut, "It is in another state, another import runs, or Klaviyo is not connected."),
            **errors(401, 404, 429, 503),
        },
    }
