"""Push: the log, one push step by step while it happens, a test push, and the webhook to copy."""

from __future__ import annotations

from datetime import time
from secrets import token_hex

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import BooleanField, IntegerField, StringField, TimeField
from wtforms.validators import NumberRange, Optional

from portal.db import transaction, utcnow
from portal.errors import PortalError
from portal.models import PushSource
from portal.services import auditing, customers, push_log, push_refusals, push_reports, pushing
from portal.services.push_orders import PushOrder, hear_push
from portal.web import (
    Feedback,
    carry_over,
    fragment,
    login_required,
    member_id,
    merchant_id,
    refuse,
    settings,
    to_page,
)

bp = Blueprint("pushes", __name__, url_prefix="/push")

FILTERS = ("state", "customer")


class TestForm(FlaskForm):
    customer = StringField("Customer")
    message = StringField("Message")
    url = StringField("Link")


class RulesForm(FlaskForm):
    paused = BooleanField("Take no pushes for now")
    tells_klaviyo = BooleanField("Tell Klaviyo what became of each push")
    quiet_from = TimeField("Quiet from", [Optional()])
    quiet_until = TimeField("Quiet until", [Optional()])
    most_per_day = IntegerField("At most so many a day for a customer", [Optional(), NumberRange(1, 100)])


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    filters = carry_over(FILTERS)
    before = request.args.get("before", type=int)
    rows, older = push_log.page(
        merchant_id(), state=filters.get("state"), customer=filters.get("customer"), before=before
    )
    return render_template(
        "pushes/index.html", rows=rows, older=older, before=before, filters=filters, reasons=push_reports.REASONS
    )


@bp.get("/<int:push_id>")
@login_required
def push(push_id: int) -> ResponseReturnValue:
    return render_template("pushes/push.html", report=_report(push_id))


@bp.get("/outcome/<int:push_id>")
@login_required
def outcome(push_id: int) -> ResponseReturnValue:
    return fragment("pushes/_outcome.html", report=_report(push_id))


def _report(push_id: int) -> push_reports.Report:
    return push_reports.report(pushing.find(merchant_id(), push_id))


@bp.get("/test")
@login_required
def test() -> ResponseReturnValue:
    form = TestForm(customer=request.args.get("customer", ""), message="Your reward is ready!")
    return render_template("pushes/test.html", form=form)


@bp.post("/test")
@login_required
def send_test() -> ResponseReturnValue:
    form = TestForm()
    if not form.validate():
        return render_template("pushes/test.html", form=form), 422
    try:
        with transaction():
            accepted = pushing.accept(merchant_id(), _test_order(form), utcnow())
        if isinstance(accepted, PortalError):
            raise accepted
    except PortalError as error:
        refuse(form, error)
        return render_template("pushes/test.html", form=form), 422
    assert accepted.push is not None
    return to_page(url_for("pushes.push", push_id=accepted.push.id), Feedback("The test push is on its way."))


def _test_order(form: TestForm) -> PushOrder:
    found = customers.search(merchant_id(), form.customer.data or "", limit=1)
    who = found[0].public_id if found else form.customer.data
    document = {"customer_id": who, "message": form.message.data, "url": form.url.data, "idempotency_key": token_hex(8)}
    return hear_push(document, source=PushSource.TEST)


@bp.get("/webhook")
@login_required
def webhook() -> ResponseReturnValue:
    rules = push_log.rules(merchant_id())
    form = RulesForm(
        paused=rules.paused,
        tells_klaviyo=rules.tells_klaviyo,
        most_per_day=rules.most_per_day,
        quiet_from=_clock(rules.quiet_from),
        quiet_until=_clock(rules.quiet_until),
    )
    return _webhook(form)


@bp.post("/webhook")
@login_required
def save_rules() -> ResponseReturnValue:
    form = RulesForm()
    if not form.validate():
        return _webhook(form), 422
    with transaction():
        push_log.set_rules(
            merchant_id(),
            paused=form.paused.data,
            tells_klaviyo=form.tells_klaviyo.data,
            most_per_day=form.most_per_day.data,
            quiet=(_minute(form.quiet_from.data), _minute(form.quiet_until.data)),
        )
        auditing.record(merchant_id(), member_id(), "push rules changed")
    return to_page(url_for("pushes.webhook"), Feedback("Saved."))


def _clock(minute: int | None) -> time | None:
    return None if minute is None else time(*divmod(minute, 60))


def _minute(clock: time | None) -> int | None:
    return None if clock is None else clock.hour * 60 + clock.minute


def _webhook(form: RulesForm) -> str:
    return render_template(
        "pushes/webhook.html",
        form=form,
        public_url=settings().public_url,
        called_at=push_log.last_called_at(merchant_id()),
        refusals=push_refusals.latest(merchant_id()),
        remedy=push_refusals.remedy,
    )
