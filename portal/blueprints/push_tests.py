"""*Send test push*: both lock screens beside what is typed, who would get it, and a code that puts a card on one's own phone.

A preview sends nothing and keeps nothing.
"""

from __future__ import annotations

from secrets import token_hex
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import FlaskForm
from wtforms import StringField, TextAreaField

from portal.db import repeat, transaction, utcnow
from portal.errors import PortalError
from portal.models import Customer, PushSource
from portal.services import auditing, card_links, designing, directory, push_testing, pushing
from portal.services.push_orders import PushOrder, hear_push
from portal.services.push_testing import Recipient
from portal.web import Feedback, fragment, is_htmx, login_required, member_id, merchant_id, refuse, to_page
from portal.web.qr import qr_code

bp = Blueprint("push_tests", __name__, url_prefix="/push/test")

FIELDS = ("customer", "title", "message", "url")
EXAMPLE = "Your reward is ready!"


class TestForm(FlaskForm):
    customer = StringField("Customer")
    title = StringField("Title")
    message = TextAreaField("Message")
    url = StringField("Link")


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    asked = {name: request.args.get(name, "") for name in FIELDS}
    mine = push_testing.own(merchant_id(), current_user.email)
    asked["customer"] = asked["customer"] or (mine.public_id if mine else "")
    asked["message"] = asked["message"] or EXAMPLE
    return _show(TestForm(**asked))


@bp.post("/preview")
@login_required
def preview() -> ResponseReturnValue:
    form = TestForm()
    if is_htmx():
        return fragment("push_tests/_preview.html", form=form, **_beside(form))
    return _show(form)


@bp.get("/recipient/<int:customer_id>")
@login_required
def recipient(customer_id: int) -> ResponseReturnValue:
    found = push_testing.about(merchant_id(), directory.find(merchant_id(), customer_id))
    return fragment("push_tests/_recipient.html", **_recipient(found))


@bp.post("/own")
@login_required
def own() -> ResponseReturnValue:
    """A card of one's own begins with being a customer."""

    def write() -> Customer:
        with transaction():
            known = push_testing.own(merchant_id(), current_user.email)
            mine = push_testing.become_customer(merchant_id(), current_user.email, current_user.name)
            if known is None:
                auditing.record(merchant_id(), member_id(), "customer added", mine.public_id)
            return mine

    mine = repeat(write)
    return to_page(url_for("push_tests.index", customer=mine.public_id), Feedback("You are a customer now."))


@bp.post("")
@login_required
def send() -> ResponseReturnValue:
    form = TestForm()
    found = push_testing.recipient(merchant_id(), _typed(form, "customer"))
    try:
        push_testing.refuse_tags(title=_typed(form, "title"), message=_typed(form, "message"))
        with transaction():
            accepted = pushing.accept(merchant_id(), _order(form, found), utcnow())
        if isinstance(accepted, PortalError):
            raise accepted
    except PortalError as error:
        refuse(form, error)
        return _show(form), 422
    assert accepted.push is not None, "only what is merely checked has no push"
    return to_page(url_for("pushes.push", push_id=accepted.push.id), Feedback("The test push is on its way."))


def _order(form: TestForm, found: Recipient) -> PushOrder:
    who = found.customer.public_id if found.customer else _typed(form, "customer")
    told = {name: form[name].data for name in ("title", "message", "url")}
    return hear_push({"customer_id": who, **told, "idempotency_key": token_hex(8)}, source=PushSource.TEST)


def _typed(form: TestForm, name: str) -> str:
    return (form[name].data or "").strip()


# --- what stands beside the form -----------------------------------------------------------------


def _show(form: TestForm) -> str:
    mine = push_testing.own(merchant_id(), current_user.email)
    return render_template("push_tests/index.html", form=form, mine=mine, **_beside(form))


def _beside(form: TestForm) -> dict[str, Any]:
    return {
        "lock": {
            "sender": designing.newest(merchant_id()).organisation,
            "programme": current_user.merchant.programme_name,
            "title": _typed(form, "title"),
            "message": _typed(form, "message"),
        },
        **_recipient(push_testing.recipient(merchant_id(), _typed(form, "customer"))),
    }


def _recipient(found: Recipient) -> dict[str, Any]:
    link = None
    if found.customer is not None and not found.has_card:
        link = card_links.download(current_user.merchant, found.customer)
    return {"recipient": found, "link": link, "qr": qr_code(link) if link else None}
