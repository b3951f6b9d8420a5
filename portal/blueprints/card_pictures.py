"""Pictures of cards, for Google, which fetches them, and for pages. They never change, so everybody may keep them."""

from __future__ import annotations

import re

from flask import Blueprint, Response, abort, make_response

from portal.blueprints.limiting import limit_by_address
from portal.services import card_designs
from portal.web.assets import YEAR_SECONDS
from portal.web.guards import public

bp = Blueprint("card_pictures", __name__, url_prefix="/card-pictures")


@bp.before_request
def _limit() -> None:
    limit_by_address("card pictures", per_second=100)


@bp.get("/<int:picture_id>.png")
@public
def show(picture_id: int) -> Response:
    picture = card_designs.picture(picture_id)
    if picture is None:
        abort(404)
    return _png(picture.large)


@bp.get("/plain-<colour>.png")
@public
def show_plain(colour: str) -> Response:
    """The icon of who has uploaded none."""
    if not re.fullmatch("[0-9a-f]{6}", colour):
        abort(404)
    return _png(card_designs.plain_png(colour))


def _png(content: bytes) -> Response:
    answer = make_response(content)
    answer.headers["Content-Type"] = "image/png"
    answer.headers["Cache-Control"] = f"public, max-age={YEAR_SECONDS}, immutable"
    return answer
