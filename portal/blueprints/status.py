"""The live status panel as a fragment of its own; it reads rows and never Redis."""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue

from portal import beats
from portal.web import contexts, fragment, login_required, merchant_id

bp = Blueprint("status", __name__, url_prefix="/status")


@bp.get("/panel")
@login_required
def panel() -> ResponseReturnValue:
    beats.confirm_soon(merchant_id())
    return fragment("status/_panel.html", **contexts.status_panel())
