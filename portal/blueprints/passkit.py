"""Apple's web service for passes, at the address that stands in every card. Statuses and bodies are Apple's own.

https://developer.apple.com/documentation/walletpasses/adding-a-web-service-to-update-passes
"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, make_response, request
from werkzeug.http import http_date

from portal.blueprints.limiting import limit_by_address
from portal.db import db, repeat, transaction, utcnow
from portal.errors import PortalError
from portal.models import Card
from portal.services import apple_cards, passkit
from portal.services.card_links import PASSKIT_PATH
from portal.web.guards import public

bp = Blueprint("passkit", __name__, url_prefix=f"{PASSKIT_PATH}/v1")

SCHEME = "ApplePass"
EMPTY = ("", 200)


@bp.before_request
def _limit() -> None:
    limit_by_address("passkit", per_second=100)


@bp.errorhandler(PortalError)
def _refuse(error: PortalError) -> Response:
    """Devices read the status only; the words are for who looks into it."""
    answer = make_response(jsonify(message=error.message), error.status)
    if error.status == 401:
        answer.headers["WWW-Authenticate"] = SCHEME
    return answer


def _card(pass_type: str, serial: str) -> Card:
    """The card whose token the request shows. Raises `UnauthorizedError`."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return passkit.authenticate(pass_type, serial, token.strip() if scheme == SCHEME else "")


@bp.post("/devices/<device>/registrations/<pass_type>/<serial>")
@public
def register(device: str, pass_type: str, serial: str) -> tuple[str, int]:
    """201 for a device that is new to this card, 200 for one that is not."""
    card = _card(pass_type, serial)
    _check_device(device)
    push_token = _push_token()

    def write() -> bool:
        with transaction():
            return passkit.register(card, pass_type, device, push_token, utcnow())

    return "", 201 if repeat(write) else 200


@bp.delete("/devices/<device>/registrations/<pass_type>/<serial>")
@public
def unregister(device: str, pass_type: str, serial: str) -> tuple[str, int]:
    card = _card(pass_type, serial)
    _check_device(device)

    def write() -> None:
        with transaction():
            passkit.unregister(card, pass_type, device)

    repeat(write)
    return EMPTY


@bp.get("/devices/<device>/registrations/<pass_type>")
@public
def changed(device: str, pass_type: str) -> tuple[Response, int] | tuple[str, int]:
    """Serial numbers of what changed; 204 where nothing did, and for whoever is not known."""
    _check_device(device)
    if not pass_type.isprintable():
        return "", 204

    def write() -> passkit.Changed | None:
        with transaction():
            tag = request.args.get("passesUpdatedSince", "")
            return passkit.changed_since(pass_type, device, tag, utcnow())

    found = repeat(write)
    if found is None:
        return "", 204
    return jsonify(serialNumbers=found.serials, lastUpdated=found.tag), 200


@bp.get("/passes/<pass_type>/<serial>")
@public
def fetch(pass_type: str, serial: str) -> Response:
    """The card as it is now, or 304 where the device has it already. HEAD only looks."""
    card = _card(pass_type, serial)
    since = request.if_modified_since
    if request.method == "HEAD":
        answer = make_response("", 200)
    elif since is not None and since >= card.modified_at:
        answer = make_response("", 304)
    else:
        answer = make_response(apple_cards.pkpass(card))
    if answer.status_code == 304 or request.method == "GET":
        db.session.rollback()
        repeat(lambda: _note_fetched(card))
    answer.headers["Content-Type"] = apple_cards.MEDIA_TYPE
    answer.headers["Last-Modified"] = http_date(card.modified_at)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _note_fetched(card: Card) -> None:
    with transaction():
        passkit.note_fetched(card, utcnow())


@bp.post("/log")
@public
def log() -> tuple[str, int]:
    """What a device complains of; whatever it says, it is thanked for it."""
    told = request.get_json(silent=True)
    lines = told.get("logs") if isinstance(told, dict) else None
    texts = [line for line in lines if isinstance(line, str)] if isinstance(lines, list) else []
    if texts:
        with transaction():
            passkit.keep_complaints([line.replace("\x00", "") for line in texts])
    return EMPTY


def _check_device(device: str) -> None:
    if len(device) > passkit.LONGEST_ID or not device.isprintable():
        raise PortalError("This is no device's id.")


def _push_token() -> str:
    told = request.get_json(silent=True)
    token = told.get("pushToken") if isinstance(told, dict) else None
    if not isinstance(token, str) or not token.isprintable() or not 0 < len(token) <= passkit.LONGEST_PUSH_TOKEN:
        raise PortalError('Send {"pushToken": "…"}, the token with which the device is woken.')
    return token
