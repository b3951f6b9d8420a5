"""`/_sandbox/google/*`: hand out service accounts, use the wallet, look at callbacks, for tests and for trying out."""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox.google import identity, wallet
from sandbox.google.wallet import PHONE, SaveError
from sandbox.google.world import google
from sandbox.klaviyo.planting import ControlError
from sandbox.sameorigin import same_origin_only

bp = Blueprint("google_control", __name__, url_prefix="/_sandbox/google")


@bp.before_request
@same_origin_only
def _guard() -> None:
    return None


@bp.errorhandler(ControlError)
def _refuse(error: ControlError) -> tuple[Response, int]:
    return jsonify(error=str(error)), error.status


@bp.errorhandler(SaveError)
def _not_saved(error: SaveError) -> tuple[Response, int]:
    return jsonify(error=str(error)), 400


def _body() -> dict[str, Any]:
    found = request.get_json(silent=True, force=True) if request.get_data() else {}
    if not isinstance(found, dict):
        raise ControlError("the body must be a JSON object")
    return found


def _text(wanted: dict[str, Any], name: str, default: str | None = None) -> str:
    value = wanted.get(name, default)
    if not isinstance(value, str) or not value:
        raise ControlError(f"{name} must be a text")
    return value


@bp.get("/service-account")
def service_account() -> Response:
    """The key file for the portal."""
    account = identity.service_account(google().config)
    google().service_account(account["client_email"])
    return jsonify(account)


@bp.post("/service-accounts")
def invite() -> tuple[Response, int]:
    """`{"name", "issuers": [...]}`: one more service account; without issuers it may do nothing."""
    wanted, here = _body(), google()
    issuers = wanted.get("issuers", [])
    if not isinstance(issuers, list) or not all(isinstance(each, str) and each.isdigit() for each in issuers):
        raise ControlError("issuers must be a list of issuers' numbers")
    account = identity.make_account(here.config.url, _text(wanted, "name"))
    here.register(account, issuers)
    return jsonify(account), 201


@bp.post("/disable")
def disable() -> Response:
    """`{"email"}`: the account's key was deleted in the console."""
    with google().store.writing() as connection:
        query = "UPDATE service_account SET disabled = 1 WHERE email = ?"
        return jsonify(disabled=connection.execute(query, (_text(_body(), "email"),)).rowcount)


@bp.post("/expire-tokens")
def expire_tokens() -> Response:
    with google().store.writing() as connection:
        return jsonify(expired=connection.execute("DELETE FROM access_token").rowcount)


@bp.post("/save")
def save() -> Response:
    """`{"jwt", "holder"?}`"""
    wanted = _body()
    return jsonify(saved=wallet.save(_text(wanted, "jwt"), _text(wanted, "holder", PHONE)))


@bp.post("/remove")
def remove() -> Response:
    """`{"object_id", "holder"?}`"""
    wanted = _body()
    return jsonify(removed=wallet.remove(_text(wanted, "object_id"), _text(wanted, "holder", PHONE)))


@bp.get("/cards")
def cards() -> Response:
    """Who holds what: the ids of a holder's cards."""
    return jsonify(held=wallet.held(request.args.get("holder", PHONE)))


@bp.get("/cards/<object_id>")
def card(object_id: str) -> Response:
    found = wallet.card(object_id)
    if found is None:
        raise ControlError(f"there is no card {object_id!r}", 404)
    return jsonify(
        card=found, messages=wallet.messages(object_id), notifications=wallet.notifications(object_id)
    )  # fmt: skip


@bp.get("/callbacks")
def callbacks() -> Response:
    """Each callback with what became of it; `due` is null once that is over."""
    rows = google().store.rows(
        "SELECT pk AS number, object, event, nonce, url, body, fault, made, due, tries, status FROM callback ORDER BY pk"
    )
    return jsonify(callbacks=[dict(row) for row in rows])


@bp.get("/requests")
def requests_counted() -> Response:
    """How many requests there were, by path and status, since the start."""
    return jsonify(requests=google().recorder.counts("google"))
