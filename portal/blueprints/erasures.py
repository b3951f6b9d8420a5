"""Erasures that Klaviyo has not carried out yet: the reason, the remedy, trying again, and saying that it was done by hand."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.db import transaction, utcnow
from portal.services import unerased
from portal.web import (
    Feedback,
    contexts,
    fragment,
    give_feedback,
    is_htmx,
    login_required,
    member_id,
    merchant_id,
    to_page,
)
from portal.web.words import plural

bp = Blueprint("erasures", __name__, url_prefix="/customers/erasures")


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    return render_template("erasures/index.html", **contexts.erasures_left())


@bp.get("/left")
@login_required
def left() -> ResponseReturnValue:
    return fragment("erasures/_left.html", **contexts.erasures_left())


@bp.post("/left")
@login_required
def retry() -> ResponseReturnValue:
    with transaction():
        count = unerased.try_again(merchant_id(), utcnow(), request.form.get("erasure_id", type=int))
    if count == 0:
        return _answer(Feedback("Klaviyo has been told already, so there is nothing to try again.", "warn"))
    return _answer(Feedback(f"Klaviyo is asked again for {plural(count, 'erasure')}."))


@bp.post("/done")
@login_required
def done() -> ResponseReturnValue:
    with transaction():
        unerased.is_done(merchant_id(), request.form.get("erasure_id", type=int) or 0, member_id())
    return _answer(Feedback("Noted. Nothing of this customer is left here."))


def _answer(feedback: Feedback) -> ResponseReturnValue:
    if not is_htmx():
        return to_page(url_for("erasures.index"), feedback)
    return give_feedback(fragment("erasures/_left.html", **contexts.erasures_left()), feedback)
