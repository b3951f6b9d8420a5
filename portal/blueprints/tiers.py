"""Loyalty > Tiers: which there are, and who would move before a change of them is saved.

Looking ahead is a GET with everything in its address, so that reload and back are harmless; saving is another form.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import BooleanField, Form, FormField, HiddenField, StringField
from wtforms.fields import Field, FieldList

from portal.db import transaction, utcnow
from portal.errors import PortalError
from portal.models import TierBasis, TierLoss
from portal.services import auditing, moving, programme
from portal.services.points import in_words
from portal.services.programme import MOST_TIERS, TierPlan
from portal.services.rules import TierRule, current_rules
from portal.web import Feedback, login_required, member_id, merchant_id, owner_required, refuse, to_page
from portal.web.fields import ChoiceField, PointsField, WholeField

bp = Blueprint("tiers", __name__, url_prefix="/loyalty")

BASES = {
    TierBasis.EARNED_EVER.value: "All points ever earned",
    TierBasis.EARNED_12_MONTHS.value: "Points earned in the last 12 months",
    TierBasis.EARNED_CALENDAR_YEAR.value: "Points earned this calendar year",
    TierBasis.BALANCE.value: "The present balance",
}
LOSSES = {
    TierLoss.AT_ONCE.value: "At once, or when its time is over where it has one",
    TierLoss.AT_EXPIRY.value: "Only when its time is over",
    TierLoss.NEVER.value: "Never",
}
LONGEST_NAME = 60


class TierRow(Form):
    id = HiddenField()
    name = StringField("Name")
    threshold = PointsField("From points")
    valid_months = WholeField("Kept for months", most=120, what="a number of months")
    remove = BooleanField("Remove")

    @property
    def is_used(self) -> bool:
        return not self.remove.data and any((self.name.data or "").strip() or each for each in self._typed())

    def _typed(self) -> Iterator[str]:
        yield from (field._value() for field in (self.name, self.threshold, self.valid_months))


class TiersForm(FlaskForm):
    class Meta:
        csrf = False  # looking ahead changes nothing; saving is checked as every POST is

    version = HiddenField()
    basis = ChoiceField("What counts for a tier", choices=BASES)
    loss = ChoiceField("Who no longer has the points loses the tier", choices=LOSSES)
    tiers = FieldList(FormField(TierRow), max_entries=MOST_TIERS)

    def rows(self) -> Iterator[TierRow]:
        for entry in self.tiers:
            yield entry.form

    def wrong(self) -> list[Field]:
        """The fields that have something to say, in their order."""
        fields = [self.basis, self.loss, *(field for row in self.rows() for field in row)]
        return [field for field in fields if field.errors]

    def add_blank(self) -> None:
        if len(self.tiers) < MOST_TIERS and (not len(self.tiers) or list(self.rows())[-1].is_used):
            self.tiers.append_entry()


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    rules, present = programme.programme_of(merchant_id()), programme.tiers_of(merchant_id())
    form = TiersForm(
        formdata=None,
        data={
            "version": rules.version,
            "basis": rules.tier_basis,
            "loss": rules.tier_loss,
            "tiers": [
                {"id": tier.id, "name": tier.name, "threshold": tier.threshold, "valid_months": tier.valid_months}
                for tier in present
            ],
        },
    )
    return _show(form)


@bp.get("/tiers/preview")
@owner_required
def preview() -> ResponseReturnValue:
    form = TiersForm(formdata=request.args)
    plan = _plan(form)
    if plan is None:
        return _show(form), 422
    return _foresee(plan, request.args, form)


@bp.post("/tiers")
@owner_required
def save() -> ResponseReturnValue:
    form = TiersForm()
    plan = _plan(form)
    if plan is None:
        return _show(form), 422
    try:
        with transaction():
            version = str(form.version.data)
            programme.save_tiers(merchant_id(), plan, int(version) if version.isdecimal() else 0)
            auditing.record(merchant_id(), member_id(), "tiers changed", _in_short(plan))
    except PortalError as error:
        refuse(form, error)
        # What is there now is what the next look is at.
        form.version.data = programme.programme_of(merchant_id()).version
        return _show(form), error.status
    return to_page(url_for("tiers.index"), Feedback("The tiers are saved. Customers are moved in the background."))


def _show(form: TiersForm) -> str:
    form.add_blank()
    counts = moving.foresee(merchant_id(), current_rules(merchant_id()), utcnow()).before
    reviewing = programme.programme_of(merchant_id()).reviewed_to is not None
    return render_template("tiers/index.html", form=form, counts=counts, reviewing=reviewing)


def _foresee(plan: TierPlan, given: MultiDict[str, str], form: TiersForm) -> str:
    rules = plan.rules(current_rules(merchant_id()))
    moves = moving.foresee(merchant_id(), rules, utcnow())
    again = url_for("tiers.index")
    return render_template("tiers/preview.html", form=form, rules=rules, moves=moves, given=given, again=again)


def _in_short(plan: TierPlan) -> str:
    return ", ".join(f"{tier.name} from {in_words(tier.threshold)}" for tier in plan.tiers) or "none"


# --- from what was typed to a plan ---------------------------------------------------------------


def _plan(form: TiersForm) -> TierPlan | None:
    """None where something is wrong; it then stands beside its field."""
    form.validate()
    rows = [row for row in form.rows() if row.is_used]
    for row in rows:
        _check(row)
    _check_names(rows)
    _check_order([row for row in rows if row.threshold.data is not None])
    if form.wrong():
        return None
    ids = {tier.id for tier in programme.tiers_of(merchant_id())}
    tiers = [_rule(row, ids, place) for place, row in enumerate(rows, start=1)]
    basis, loss = TierBasis(form.basis.data), TierLoss(form.loss.data)
    return TierPlan(basis, loss, sorted(tiers, key=lambda tier: tier.threshold))


def _rule(row: TierRow, ids: set[int], place: int) -> TierRule:
    told = str(row.id.data or "")
    known = int(told) if told.isdecimal() and len(told) < 20 and int(told) in ids else -place
    return TierRule(known, row.name.data.strip(), row.threshold.data, row.valid_months.data)


def _check(row: TierRow) -> None:
    name = (row.name.data or "").strip()
    if not name:
        _complain(row.name, "Give the tier a name, or remove it.")
    elif len(name) > LONGEST_NAME or not name.isprintable():
        _complain(row.name, f"Use at most {LONGEST_NAME} characters.")
    if row.threshold.data is None and not row.threshold.errors:
        _complain(row.threshold, "Enter from how many points on a customer is in this tier; 0 for everybody.")
    elif (row.threshold.data or 0) < 0:
        _complain(row.threshold, "Enter 0 or more points.")


def _check_names(rows: list[TierRow]) -> None:
    seen: set[str] = set()
    for row in rows:
        name = (row.name.data or "").strip().casefold()
        if name and name in seen:
            _complain(row.name, f"There is another tier called {row.name.data.strip()}. Choose another name.")
        seen.add(name)


def _check_order(rows: list[TierRow]) -> None:
    """Those that are there stay in their order; a new one finds its place by its points."""
    for one, other in pairwise([row for row in rows if row.id.data]):
        if other.threshold.data < one.threshold.data:
            said = f"{other.name.data} stands above {one.name.data}, which begins at {in_words(one.threshold.data)} points."
            _complain(other.threshold, f"{said} Enter more than that.")
    seen: dict[int, Any] = {}
    for row in rows:
        points = row.threshold.data
        if points in seen:
            _complain(row.threshold, f"{seen[points]} begins at {in_words(points)} points too. Enter another number.")
        seen.setdefault(points, row.name.data)


def _complain(field: Field, message: str) -> None:
    field.errors = [*field.errors, message]
