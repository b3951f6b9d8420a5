"""`/walletobjects/v1/loyaltyClass` and `loyaltyObject`: insert, get, list, patch, update and addMessage.

There is no way to delete, as with Google.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox.google import errors, gate, keeping, notifying
from sandbox.google.validating import CLASS, MOST_MESSAGES, OBJECT, check_words
from sandbox.google.world import google

bp = Blueprint("google_api", __name__, url_prefix="/walletobjects/v1")
KINDS = f"<any({CLASS}, {OBJECT}):kind>"
_LARGEST_PAGE = 100


@bp.post(f"/{KINDS}")
def insert(kind: str) -> Response:
    caller, here = gate.caller(), google()
    sent = gate.body()
    if sent.get("id"):
        caller.must_own(str(sent["id"]))
    body = keeping.checked_new(here, kind, sent)
    keeping.insert(here, kind, body)
    return jsonify(keeping.shown(here, kind, body))


@bp.get(f"/{KINDS}/<resource_id>")
def get(kind: str, resource_id: str) -> Response:
    caller, here = gate.caller(), google()
    caller.must_own(resource_id)
    return jsonify(keeping.shown(here, kind, keeping.get(here, kind, resource_id)))


@bp.get(f"/{KINDS}")
def listing(kind: str) -> Response:
    """Classes of an issuer, or cards of a class, in the order of their ids."""
    caller, here = gate.caller(), google()
    parameter, column = ("issuerId", "issuer") if kind == CLASS else ("classId", "class")
    wanted = request.args.get(parameter, "")
    caller.must_own(wanted)
    if kind == OBJECT:
        keeping.get(here, CLASS, wanted)
    size, after = _page_size(), _opened(request.args.get("token", ""))
    rows = here.store.rows(
        f"SELECT id FROM resource WHERE kind = ? AND {column} = ? AND id > ? ORDER BY id LIMIT ?",  # noqa: S608
        (kind, wanted, after, size + 1),
    )
    ids = [row["id"] for row in rows[:size]]
    pagination: dict[str, Any] = {"kind": "walletobjects#pagination", "resultsPerPage": len(ids)}
    if len(rows) > size:
        pagination["nextPageToken"] = base64.urlsafe_b64encode(ids[-1].encode()).decode()
    return jsonify(
        resources=[keeping.shown(here, kind, keeping.get(here, kind, each)) for each in ids], pagination=pagination
    )


def _page_size() -> int:
    text = request.args.get("maxResults", "")
    return min(int(text[:6]), _LARGEST_PAGE) if text.isascii() and text.isdigit() and int(text) else _LARGEST_PAGE


def _opened(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token).decode()
    except (binascii.Error, ValueError):
        raise errors.bad_request("Invalid page token.") from None


@bp.patch(f"/{KINDS}/<resource_id>")
def patch(kind: str, resource_id: str) -> Response:
    return _change(kind, resource_id, whole=False)


@bp.put(f"/{KINDS}/<resource_id>")
def update(kind: str, resource_id: str) -> Response:
    return _change(kind, resource_id, whole=True)


def _change(kind: str, resource_id: str, *, whole: bool) -> Response:
    caller, here = gate.caller(), google()
    caller.must_own(resource_id)
    sent = gate.body()
    with here.store.writing() as connection:
        old = keeping.locked(connection, kind, resource_id)
        wanted = {"id": resource_id, **sent}
        new = keeping.checked_new(here, kind, wanted) if whole else keeping.checked_change(here, kind, old, sent)
        keeping.replace(connection, here, kind, new)
        if kind == OBJECT and sent.get(keeping.NOTIFY) == "NOTIFY_ON_UPDATE":
            notifying.notify_by_change(connection, here, old, new)
    return jsonify(keeping.shown(here, kind, new))


@bp.post(f"/{KINDS}/<resource_id>/addMessage")
def add_message(kind: str, resource_id: str) -> Response:
    caller, here = gate.caller(), google()
    caller.must_own(resource_id)
    sent = gate.body()
    check_words("AddMessageRequest", sent, "add_message_request")
    message = _checked(sent.get("message"))
    with here.store.writing() as connection:
        body = keeping.locked(connection, kind, resource_id)
        messages = [*body.get("messages", []), message]
        if len(messages) > MOST_MESSAGES:
            raise errors.bad_request(f"{kind}: at most {MOST_MESSAGES} messages.")
        if message["messageType"] == "TEXT_AND_NOTIFY":
            notifying.notify_by_message(connection, here, kind, body, message)
        body["messages"] = messages
        keeping.replace(connection, here, kind, body)
    return jsonify(resource=keeping.shown(here, kind, body))


def _checked(message: Mapping[str, Any] | None) -> dict[str, Any]:
    found = {name: value for name, value in (message or {}).items() if value is not None and name != "kind"}
    if not (found.get("body") or found.get("localizedBody")):
        raise errors.bad_request("message.body is required.")
    return {"messageType": "TEXT", **found, "kind": "walletobjects#walletObjectMessage"}
