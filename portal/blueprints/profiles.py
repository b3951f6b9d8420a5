"""The profiles' part of the Properties page: comparing with Klaviyo, those that were refused, and whose profile is whose."""

from __future__ import annotations

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from portal.db import transaction, utcnow
from portal.errors import InvalidError
from portal.services import drift, identity, profiles
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

bp = Blueprint("profiles", __name__, url_prefix="/profiles")


@bp.get("/drift", endpoint="drift")
@login_required
def compared() -> ResponseReturnValue:
    return fragment("profiles/_drift.html", **contexts.profile_drift())


@bp.post("/drift")
@login_required
def compare() -> ResponseReturnValue:
    with transaction():
        drift.begin(merchant_id(), utcnow(), by_hand=True)
    feedback = Feedback("The comparison begins in a moment.")
    if not is_htmx():
        return to_page(url_for("integrations.properties"), feedback)
    return give_feedback(fragment("profiles/_drift.html", **contexts.profile_drift()), feedback)


@bp.get("/refused")
@login_required
def refused() -> ResponseReturnValue:
    return fragment("profiles/_refused.html", **contexts.profiles_refused())


@bp.post("/refused")
@login_required
def retry() -> ResponseReturnValue:
    customer_id = request.form.get("customer_id", type=int)
    with transaction():
        count = profiles.retry_refused(merchant_id(), utcnow(), customer_id)
    feedback = Feedback(f"{plural(count, 'profile')} will be sent again in a moment.")
    if count == 0:
        feedback = Feedback("There is nothing to send again. What is still listed needs a correction first.", "warn")
    if not is_htmx():
        return to_page(url_for("integrations.properties"), feedback)
    return give_feedback(fragment("profiles/_refused.html", **contexts.profiles_refused()), feedback)


@bp.get("/cases")
@login_required
def cases() -> ResponseReturnValue:
    return fragment("profiles/_cases.html", **contexts.identity_cases())


@bp.post("/cases")
@login_required
def decide() -> ResponseReturnValue:
    case_id, decision = request.form.get("case_id", type=int), request.form.get("decision", "")
    if case_id is None:
        raise InvalidError("Choose one of the proposals.", field="case_id")
    with transaction():
        identity.decide(merchant_id(), case_id, decision, member_id(), utcnow())
    feedback = Feedback("Decided. What follows from it is sent in a moment.")
    if not is_htmx():
        return to_page(url_for("integrations.identity"), feedback)
    return give_feedback(fragment("profiles/_cases.html", **contexts.identity_cases()), feedback)
