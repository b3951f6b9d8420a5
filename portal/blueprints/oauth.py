"""The OAuth round trip with Klaviyo: there, back, and started from Klaviyo's side.

`state` is ours, used once, bound to user and merchant, and good for 15 minutes; a code without it is never exchanged.
"""

from __future__ import annotations

import hmac
import time
from typing import Any

from flask import Blueprint, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import beats
from portal.blueprints import push_webhook
from portal.db import transaction
from portal.errors import ConnectingError
from portal.services import connecting
from portal.web import Feedback, login_required, member_id, merchant_id, owner_required, public, to_page
from portal.web.guards import ask_for_login

bp = Blueprint("oauth", __name__)

STARTED = "klaviyo_started"
GOOD_FOR_SECONDS = 15 * 60
# Each tab may have one under way; they live in a cookie, so not without end.
TABS = 4
LONGEST_BACK = 1_200
EXPIRED = (
    "This attempt to connect is no longer valid: it was used already, is older than 15 minutes, or was "
    "started in another browser."
)


@bp.post("/settings/integrations/klaviyo/connect")
@owner_required
def connect() -> ResponseReturnValue:
    present = connecting.connection_of(merchant_id())
    wished = request.args.getlist("also")
    # What was allowed before is asked for again, or it would be lost.
    started = connecting.begin(beats.klaviyo_app(), {*wished, *(present.granted_scopes if present else ())})
    attempt = {
        "back": _back_to_webhook() if push_webhook.SCOPE in wished else None,
        "state": started.state,
        "code_verifier": started.code_verifier,
        "merchant_id": merchant_id(),
        "user_id": current_user.id,
        "at": time.time(),
    }
    session[STARTED] = [*_under_way(), attempt][-TABS:]
    return to_page(started.url)


def _back_to_webhook() -> str:
    """What was typed there travels in a cookie, which holds only so much."""
    address = push_webhook.with_typed("draft")
    return address if len(address) <= LONGEST_BACK else url_for("push_webhook.index", _anchor="draft")


@bp.get("/oauth/klaviyo/install")
@login_required
def install() -> ResponseReturnValue:
    """Klaviyo's Installation URL. Connecting changes something, so it still takes a press of a button."""
    return render_template("oauth/install.html", connection=connecting.connection_of(merchant_id()))


@bp.get("/oauth/klaviyo/callback")
@public
def callback() -> ResponseReturnValue:
    # Not guarded by the mark: the address bears a code, which must not travel on in `next`.
    started = _take_attempt(request.args.get("state", ""))
    if not current_user.is_authenticated:
        return ask_for_login(url_for("integrations.klaviyo"))
    if not current_user.is_owner:
        return _refused(
            ConnectingError("Only an owner can connect Klaviyo. Ask one of them to do it.", code="not_owner")
        )
    connection = connecting.connection_of(merchant_id())
    if started is None and connection is not None and connection.is_connected:
        # A reload, the way back, or another tab's answer: the step is the one that the connection is at.
        return to_page(url_for("integrations.klaviyo"))
    try:
        return _finish(started)
    except ConnectingError as error:
        return _refused(error)


def _under_way() -> list[dict[str, Any]]:
    attempts = session.get(STARTED)
    return attempts if isinstance(attempts, list) else []


def _take_attempt(state: str) -> dict[str, Any] | None:
    """The one that this answer belongs to; it is gone afterwards, those of other tabs stay."""
    attempts = _under_way()
    found = [one for one in attempts if hmac.compare_digest(state.encode(), str(one.get("state", "")).encode())]
    session[STARTED] = [one for one in attempts if one not in found]
    return next((one for one in found if _is_ours(one)), None)


def _is_ours(attempt: dict[str, Any]) -> bool:
    return (
        current_user.is_authenticated
        and attempt.get("user_id") == current_user.id
        and attempt.get("merchant_id") == merchant_id()
        and 0 <= time.time() - attempt.get("at", 0) <= GOOD_FOR_SECONDS
    )


def _finish(attempt: dict[str, Any] | None) -> ResponseReturnValue:
    if attempt is None:
        raise ConnectingError(EXPIRED, code="expired")
    if error := request.args.get("error"):
        raise connecting.explain_refusal(error, request.args.get("error_description", ""))
    code = request.args.get("code", "")
    if not code:
        raise ConnectingError("Klaviyo sent you back without an answer.", code="expired")
    granted = connecting.finish(beats.klaviyo_app(), code, attempt["code_verifier"])
    with transaction():
        connection = connecting.save(merchant_id(), granted, member_id())
    return to_page(
        attempt.get("back") or url_for("integrations.klaviyo"), Feedback(f"Connected to {connection.account_name}.")
    )


def _refused(error: ConnectingError) -> ResponseReturnValue:
    return render_template("oauth/refused.html", error=error), 400
