"""Push > Settings: quiet hours, how many a day, whether Klaviyo hears what became of each push, and a pause for all."""

from __future__ import annotations

from datetime import time

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import FlaskForm
from wtforms import BooleanField, TimeField
from wtforms.validators import Optional

from portal.db import transaction, utcnow
from portal.services import auditing, push_log, push_sending
from portal.web import Feedback, login_required, member_id, merchant_id, to_page
from portal.web.fields import WholeField

bp = Blueprint("push_rules", __name__, url_prefix="/push/settings")

NO_TIME = "Enter a time, such as 21:00, or leave both empty."
BOTH = "Enter both times, or leave both empty for no quiet hours."
SAME = "Both times are the same, which would be no quiet hours at all. Choose another, or leave both empty."


class RulesForm(FlaskForm):
    quiet_from = TimeField("Quiet from", [Optional()])
    quiet_until = TimeField("Quiet until", [Optional()])
    most_per_day = WholeField("At most so many a day for each customer", most=100, what="a number")
    tells_klaviyo = BooleanField("Tell Klaviyo what became of each push")
    paused = BooleanField("Take no pushes for now")

    def check(self) -> bool:
        """What is wrong stands beside its field afterwards."""
        self.validate()
        begins, ends = self.quiet_from, self.quiet_until
        for one, other in ((begins, ends), (ends, begins)):
            if one.errors:
                one.errors = [NO_TIME]
            elif one.data is None and other.data is not None:
                one.errors = [BOTH]
        if begins.data is not None and begins.data == ends.data:
            ends.errors = [SAME]
        return not self.errors


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    rules = push_log.rules(merchant_id())
    form = RulesForm(
        paused=rules.paused,
        tells_klaviyo=rules.tells_klaviyo,
        most_per_day=rules.most_per_day,
        quiet_from=_clock(rules.quiet_from),
        quiet_until=_clock(rules.quiet_until),
    )
    return _show(form)


@bp.post("")
@login_required
def save() -> ResponseReturnValue:
    form = RulesForm()
    if not form.check():
        return _show(form), 422
    with transaction():
        push_log.set_rules(
            merchant_id(),
            paused=form.paused.data,
            tells_klaviyo=form.tells_klaviyo.data,
            most_per_day=form.most_per_day.data,
            quiet=(_minute(form.quiet_from.data), _minute(form.quiet_until.data)),
        )
        auditing.record(merchant_id(), member_id(), "push rules changed")
    return to_page(url_for("push_rules.index"), Feedback("Saved. It holds for pushes from now on."))


def _show(form: RulesForm) -> str:
    rules = push_log.rules(merchant_id())
    ends = push_sending.quiet_end(rules, current_user.merchant.timezone, utcnow())
    return render_template("push_rules/index.html", form=form, rules=rules, quiet_ends=ends)


def _clock(minute: int | None) -> time | None:
    return None if minute is None else time(*divmod(minute, 60))


def _minute(clock: time | None) -> int | None:
    return None if clock is None else clock.hour * 60 + clock.minute
