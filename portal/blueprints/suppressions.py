"""Push > Suppressed: who gets no pushes and why, and the same on a customer's own page."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import StringField

from portal.db import transaction
from portal.errors import InvalidError
from portal.models import Customer
from portal.services import auditing, directory, push_testing, suppressing
from portal.web import (
    Feedback,
    fragment,
    give_feedback,
    is_htmx,
    login_required,
    member_id,
    merchant_id,
    refuse,
    to_page,
)

bp = Blueprint("suppressions", __name__, url_prefix="/push/suppressed")

NOBODY = "No customer has exactly this. Type the whole email address or phone number, or their id."


class SuppressForm(FlaskForm):
    customer = StringField("Customer")
    reason = StringField("Reason")


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    return _show(SuppressForm(customer=request.args.get("customer", "")))


def _show(form: SuppressForm) -> str:
    before = request.args.get("before", type=int)
    rows, older = suppressing.page(merchant_id(), before)
    return render_template("suppressions/index.html", form=form, rows=rows, older=older, before=before)


@bp.post("")
@login_required
def add() -> ResponseReturnValue:
    form = SuppressForm()
    try:
        found = push_testing.recipient(merchant_id(), (form.customer.data or "").strip()).customer
        if found is None:
            raise InvalidError(NOBODY, field="customer")
        _suppress(found.id, form.reason.data or "")
    except InvalidError as error:
        refuse(form, error)
        return _show(form), error.status
    return to_page(url_for("suppressions.index"), Feedback(f"{found.name} gets no pushes any more."))


@bp.get("/customer/<int:customer_id>")
@login_required
def customer(customer_id: int) -> ResponseReturnValue:
    return fragment("suppressions/_customer.html", **shown(directory.find(merchant_id(), customer_id)))


@bp.post("/customer/<int:customer_id>")
@login_required
def change(customer_id: int) -> ResponseReturnValue:
    """`gets` says what is to become, so that it can be pressed twice."""
    found = directory.find(merchant_id(), customer_id)
    if request.form.get("gets") == "yes":
        _lift(customer_id)
        feedback = Feedback(f"{found.name} gets pushes again.")
    else:
        _suppress(customer_id, request.form.get("reason", ""))
        feedback = Feedback(f"{found.name} gets no pushes any more.")
    if not is_htmx():
        on_list = request.form.get("back") == "list"
        here = url_for("customers.customer", customer_id=customer_id)
        return to_page(url_for("suppressions.index") if on_list else here, feedback)
    return give_feedback(fragment("suppressions/_customer.html", **shown(found)), feedback)


def shown(found: Customer) -> dict[str, object]:
    return {"customer": found, "suppression": suppressing.of(merchant_id(), found.id)}


def _suppress(customer_id: int, reason: str) -> None:
    with transaction():
        if suppressing.suppress(merchant_id(), customer_id, reason, member_id()):
            auditing.record(merchant_id(), member_id(), "customer suppressed from pushes", _public(customer_id))


def _lift(customer_id: int) -> None:
    with transaction():
        if suppressing.lift(merchant_id(), customer_id):
            auditing.record(merchant_id(), member_id(), "customer gets pushes again", _public(customer_id))


def _public(customer_id: int) -> str:
    return directory.find(merchant_id(), customer_id).public_id
