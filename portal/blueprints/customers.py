"""Customers: the list with search and filters, one customer's page, the ledger, adding and editing.

Filters stand in the URL; lists are paged by the last id seen.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.blueprints.customer_forms import ChangePointsForm, CustomerForm, RedeemForm, VerifyForm
from portal.db import repeat, transaction
from portal.errors import PortalError
from portal.models import Customer
from portal.services import (
    activity,
    auditing,
    campaign_results,
    catalogue,
    directory,
    editing,
    histories,
    portraying,
    push_reports,
    serving,
    suppressing,
)
from portal.services.rules import current_rules
from portal.web import (
    Feedback,
    carry_over,
    login_required,
    member_id,
    merchant_id,
    refuse,
    to_page,
)

bp = Blueprint("customers", __name__, url_prefix="/customers")

FILTERS = ("q", "tier", "card")
EVENTS_PER_PAGE = 20


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    if any(not request.args.get(name, "-").strip() for name in FILTERS):
        # A form without scripts sends its empty fields too; the address that is kept and shared has only what is set.
        kept: dict[str, Any] = carry_over(FILTERS)
        return redirect(url_for("customers.index", **kept), 303)
    filters = carry_over(FILTERS)
    tiers = directory.tier_names(merchant_id())
    if filters.get("tier") not in tiers:
        filters.pop("tier", None)
    if filters.get("card") not in directory.STATUSES:
        filters.pop("card", None)
    before = request.args.get("before", type=int)
    page = directory.page(
        merchant_id(),
        sought=filters.get("q", ""),
        tier=filters.get("tier", ""),
        status=filters.get("card", ""),
        before=before,
    )
    rules = current_rules(merchant_id())
    return render_template("customers/index.html", page=page, filters=filters, before=before, tiers=tiers, rules=rules)


@bp.get("/<int:customer_id>")
@login_required
def customer(customer_id: int) -> ResponseReturnValue:
    return show(directory.find(merchant_id(), customer_id))


def show(
    found: Customer,
    *,
    points: ChangePointsForm | None = None,
    redeeming: RedeemForm | None = None,
    verifying: VerifyForm | None = None,
) -> str:
    """One customer's page; a form that is given has been sent and was refused."""
    portrait = portraying.portray(merchant_id(), found.id)
    rewards = current_rules(merchant_id()).rewards
    before = request.args.get("before", type=int)
    sent = [form for form in (points, redeeming, verifying) if form is not None]
    return render_template(
        "customers/customer.html",
        customer=found,
        suppression=suppressing.of(merchant_id(), found.id),
        portrait=portrait,
        share=histories.share_of_way(portrait),
        rewards=rewards,
        events=activity.of_customer(found, before=before, limit=EVENTS_PER_PAGE),
        before=before,
        fates=campaign_results.of_customer(found),
        reasons=push_reports.REASONS,
        metrics={entry.type: entry.metric for entry in catalogue.EVENT_TYPES},
        points=points or ChangePointsForm(formdata=None, once=serving.new_once()),
        redeeming=(redeeming or RedeemForm(formdata=None, once=serving.new_once())).offer(rewards),
        verifying=verifying or VerifyForm(formdata=None, once=serving.new_once()),
        refused=sent[0] if sent else None,
    )


@bp.get("/<int:customer_id>/points")
@login_required
def ledger(customer_id: int) -> ResponseReturnValue:
    found = directory.find(merchant_id(), customer_id)
    before = request.args.get("before", type=int)
    changes, older = histories.points_changes(found, before)
    return render_template("customers/ledger.html", customer=found, changes=changes, older=older, before=before)


@bp.get("/new")
@login_required
def new() -> ResponseReturnValue:
    return _form(CustomerForm(), None)


@bp.post("/new")
@login_required
def add() -> ResponseReturnValue:
    form = CustomerForm()
    values = form.values()
    if values is None:
        return _form(form, None), 422

    def write() -> Customer:
        with transaction():
            added = editing.add(merchant_id(), values)
            auditing.record(merchant_id(), member_id(), "customer added", added.public_id)
            return added

    try:
        added = repeat(write)
    except PortalError as error:
        refuse(form, error)
        return _form(form, None), error.status
    return to_page(url_for("customers.customer", customer_id=added.id), Feedback(f"{added.name} is a customer now."))


@bp.get("/<int:customer_id>/edit")
@login_required
def edit(customer_id: int) -> ResponseReturnValue:
    found = directory.find(merchant_id(), customer_id)
    return _form(CustomerForm.of(found), found)


@bp.post("/<int:customer_id>/edit")
@login_required
def save(customer_id: int) -> ResponseReturnValue:
    found, form = directory.find(merchant_id(), customer_id), CustomerForm()
    values = form.values()
    if values is None:
        return _form(form, found), 422

    def write() -> list[str]:
        with transaction():
            changed = editing.change(merchant_id(), customer_id, values)
            if changed:
                auditing.record(merchant_id(), member_id(), "customer edited", _in_short(found, changed))
            return changed

    try:
        changed = repeat(write)
    except PortalError as error:
        refuse(form, error)
        return _form(form, directory.find(merchant_id(), customer_id)), error.status
    told = "is saved." if changed else "was like this already."
    name = directory.find(merchant_id(), customer_id).name
    return to_page(url_for("customers.customer", customer_id=customer_id), Feedback(f"{name} {told}"))


def _in_short(found: Customer, changed: list[str]) -> str:
    """Which fields, and never their values: the audit log holds no personal data."""
    return f"{found.public_id}: {', '.join(name.replace('_', ' ') for name in changed)}"


def _form(form: CustomerForm, found: Customer | None) -> str:
    return render_template("customers/form.html", form=form, customer=found)
