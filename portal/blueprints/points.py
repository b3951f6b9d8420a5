"""Loyalty > Points: what purchases, joining and referrals give."""

from __future__ import annotations

from decimal import Decimal

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import StringField

from portal.db import transaction
from portal.models import Rounding
from portal.services import auditing, programme
from portal.services.points import in_words, points_for
from portal.web import Feedback, login_required, member_id, merchant_id, owner_required, to_page
from portal.web.fields import ChoiceField, PointsField

bp = Blueprint("points", __name__, url_prefix="/loyalty/points")

ROUNDINGS = {
    Rounding.DOWN.value: "Down to whole points",
    Rounding.NEAREST.value: "To the nearest whole point",
    Rounding.NONE.value: "Not at all: two decimals",
}
CURRENCY_LENGTH = 3
# What the page works out as an example.
EXAMPLE = Decimal("24.90")
# The column is a plain integer.
MOST_PER_UNIT = 1_000_000 * 100


class PointsForm(FlaskForm):
    points_per_unit = PointsField("Points for 1 unit of money")
    rounding = ChoiceField("Parts of a point are rounded", choices=ROUNDINGS)
    currency = StringField("Currency")
    welcome_points = PointsField("Points for joining")
    referral_points = PointsField("Points for a referral")

    def fits(self) -> bool:
        self.validate()
        if not self.points_per_unit.errors and not 0 < (self.points_per_unit.data or 0) <= MOST_PER_UNIT:
            self.points_per_unit.errors = ["Enter more than 0 and at most 1,000,000 points."]
        for field in (self.welcome_points, self.referral_points):
            if not field.errors and (field.data or 0) < 0:
                field.errors = ["Enter 0 or more points."]
        code = (self.currency.data or "").strip()
        if not (len(code) == CURRENCY_LENGTH and code.isascii() and code.isalpha()):
            self.currency.errors = ["Enter the three letters of a currency, such as EUR or DKK."]
        return not self.errors


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    return _show(PointsForm(obj=programme.programme_of(merchant_id())))


@bp.post("")
@owner_required
def save() -> ResponseReturnValue:
    form = PointsForm()
    if not form.fits():
        return _show(form), 422
    with transaction():
        programme.save_points(
            merchant_id(),
            points_per_unit=form.points_per_unit.data,
            rounding=Rounding(form.rounding.data),
            currency=form.currency.data.strip().upper(),
            welcome=form.welcome_points.data or 0,
            referral=form.referral_points.data or 0,
        )
        per_unit = f"{in_words(form.points_per_unit.data)} points for 1 {form.currency.data.strip().upper()}"
        auditing.record(merchant_id(), member_id(), "points rules changed", per_unit)
    return to_page(url_for("points.index"), Feedback("The points rules are saved. What customers have stays."))


def _show(form: PointsForm) -> str:
    present = programme.programme_of(merchant_id())
    example = points_for(EXAMPLE, present.points_per_unit, Rounding(present.rounding))
    return render_template("points/index.html", form=form, present=present, amount=EXAMPLE, example=example)
