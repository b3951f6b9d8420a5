"""`/_sandbox/apple/*`: what the push service was sent, and certificates as a merchant would get them from Apple.

Faults and latency are ordered where Klaviyo's are, for paths that begin with `/3/device/`.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox.apple.authority import PASS_TYPE, TEAM
from sandbox.apple.world import apple
from sandbox.klaviyo.planting import ControlError
from sandbox.sameorigin import same_origin_only

bp = Blueprint("apple_control", __name__, url_prefix="/_sandbox/apple")
_LONGEST_DAYS = 3650


@bp.before_request
@same_origin_only
def _guard() -> None:
    return None


@bp.errorhandler(ControlError)
def _refuse(error: ControlError) -> tuple[Response, int]:
    return jsonify(error=str(error)), error.status


@bp.get("/pushes")
def pushes() -> Response:
    """How the push service answered, and the last pushes themselves; `?token=` for those to one device."""
    service = apple().pushes
    return jsonify(**service.counts(), recent=service.recent(request.args.get("token")))


@bp.delete("/pushes")
def forget_pushes() -> Response:
    apple().pushes.forget()
    return jsonify(forgotten=True)


@bp.post("/certificates")
def issue_certificate() -> tuple[Response, int]:
    """`{"pass_type"?, "team"?, "days"?}`; below zero days it has expired already. PEM of certificate, key and the one above."""
    wanted = request.get_json(silent=True, force=True) if request.get_data() else {}
    if not isinstance(wanted, dict) or set(wanted) - {"pass_type", "team", "days"}:
        raise ControlError("the body must be an object with pass_type, team and days, or without some of them")
    pass_type, team = _text(wanted, "pass_type", PASS_TYPE), _text(wanted, "team", TEAM)
    days = wanted.get("days", 365)
    if not isinstance(days, int) or isinstance(days, bool) or not -_LONGEST_DAYS <= days <= _LONGEST_DAYS:
        raise ControlError(f"days must be a whole number up to {_LONGEST_DAYS}")
    authority = apple().authority
    made = authority.issue_pass_certificate(pass_type, team, days).decode()
    return jsonify(certificate=made, intermediate=authority.intermediate_file.read_text()), 201


def _text(wanted: dict[str, Any], name: str, default: str) -> str:
    value = wanted.get(name, default)
    if not isinstance(value, str) or not 0 < len(value) < 100 or not value.isascii():
        raise ControlError(f"{name} must be a text of at most 99 plain letters")
    return value
