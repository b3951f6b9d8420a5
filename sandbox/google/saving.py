"""`/gp/v/save/<jwt>`, the page behind "Add to Google Wallet", and the keys with which callbacks are checked."""

from flask import Blueprint, Response, jsonify, render_template

from sandbox.google import wallet
from sandbox.google.wallet import SaveError
from sandbox.google.world import google
from sandbox.sameorigin import same_origin_only

bp = Blueprint("google_save", __name__)


@bp.get("/gp/v/save/<token>")
def show(token: str) -> str | tuple[str, int]:
    """Looks and saves nothing: that takes a tap."""
    return _page(token, saved=False)


@bp.post("/gp/v/save/<token>")
@same_origin_only
def save(token: str) -> str | tuple[str, int]:
    return _page(token, saved=True)


@bp.get("/gp/m/issuer/keys")
def root_keys() -> Response:
    response = jsonify(google().signer.root_keys())
    response.headers["Cache-Control"] = "public, max-age=86400"
    return response


def _page(token: str, *, saved: bool) -> str | tuple[str, int]:
    try:
        cards = wallet.preview(token)
        if saved:
            wallet.save(token)
    except SaveError as error:
        return render_template("google/not_saved.html", told=str(error)), 400
    return render_template("google/save.html", cards=cards, saved=saved)
