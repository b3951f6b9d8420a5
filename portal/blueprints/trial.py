"""*Send test event*: a form on the Events tab, and a panel that shows how far the event is until it was read back from Klaviyo."""

from __future__ import annotations

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from portal import beats
from portal.db import transaction
from portal.errors import InvalidError
from portal.services import trying
from portal.web import Feedback, contexts, fragment, is_htmx, login_required, merchant_id, to_page

bp = Blueprint("trial", __name__, url_prefix="/trial")


@bp.get("/panel")
@login_required
def panel() -> ResponseReturnValue:
    beats.read_back(merchant_id())
    return fragment("trial/_panel.html", **contexts.trial_panel())


@bp.post("/panel")
@login_required
def start() -> ResponseReturnValue:
    try:
        with transaction():
            trying.begin(merchant_id(), request.form.get("event_type", ""), request.form.get("email", "").strip())
    except InvalidError as error:
        if not is_htmx():
            return to_page(url_for("integrations.events"), Feedback(error.message, "bad"))
        return fragment("trial/_panel.html", **contexts.trial_panel(error.message)), 422
    if not is_htmx():
        return to_page(url_for("integrations.events", _anchor="trial"))
    return fragment("trial/_panel.html", **contexts.trial_panel())
