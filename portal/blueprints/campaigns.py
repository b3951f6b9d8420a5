"""Campaigns: writing one, looking at whom it reaches, sending it, and what became of it.

Each control is a form; htmx only saves the page load, and asks again while something moves.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.blueprints.campaign_forms import CampaignForm, form_of
from portal.db import LARGEST_ID, transaction, utcnow
from portal.errors import ConflictError, InvalidError
from portal.models import Campaign, CampaignStart, CampaignState, Customer
from portal.services import (
    assigning,
    audiences,
    campaign_guard,
    campaign_results,
    campaigns,
    designing,
    directory,
    push_log,
    push_reports,
    serving,
)
from portal.services.campaign_results import Outcome
from portal.services.campaigns import GUARD_PERCENT
from portal.services.customers import search as find_customers
from portal.services.personalising import render
from portal.services.rules import current_rules
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

bp = Blueprint("campaigns", __name__, url_prefix="/campaigns")

PAGE = 50


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    before = request.args.get("before", type=int)
    found = campaigns.list_newest(merchant_id(), before, PAGE + 1)
    older = url_for("campaigns.index", before=found[PAGE - 1].id) if len(found) > PAGE else None
    return render_template("campaigns/index.html", campaigns=found[:PAGE], older=older, before=before)


@bp.get("/new")
@login_required
def new() -> ResponseReturnValue:
    chosen = request.args.getlist("segment", type=int)
    return _form(CampaignForm(include=chosen, guard=GUARD_PERCENT, start=CampaignStart.NOW.value).offer(), None)


@bp.post("/new")
@login_required
def add() -> ResponseReturnValue:
    return _save(None)


@bp.get("/<int:campaign_id>/edit")
@login_required
def edit(campaign_id: int) -> ResponseReturnValue:
    campaign = campaigns.find(merchant_id(), campaign_id)
    if campaign.started_at is not None or campaign.has_ended:
        raise ConflictError("This campaign has begun, so it can no longer be changed. Make a new one instead.")
    return _form(form_of(campaign), campaign)


@bp.post("/<int:campaign_id>/edit")
@login_required
def save(campaign_id: int) -> ResponseReturnValue:
    return _save(campaign_id)


def _save(campaign_id: int | None) -> ResponseReturnValue:
    form = CampaignForm().offer()
    present = None if campaign_id is None else campaigns.find(merchant_id(), campaign_id)
    try:
        plan = form.plan()
        if plan is None:
            return _form(form, present), 422
        with transaction():
            campaign = campaigns.save(merchant_id(), campaign_id, plan, member_id())
    except InvalidError as error:
        refuse(form, error)
        return _form(form, present), error.status
    told = f"{campaign.name} is saved as a draft. Look at it, then start it."
    return to_page(url_for("campaigns.show", campaign_id=campaign.id), Feedback(told))


def _form(form: CampaignForm, campaign: Campaign | None) -> str:
    return render_template("campaigns/form.html", form=form, campaign=campaign)


# --- one campaign --------------------------------------------------------------------------------


@bp.get("/<int:campaign_id>")
@login_required
def show(campaign_id: int) -> ResponseReturnValue:
    campaign = campaigns.find(merchant_id(), campaign_id)
    sought = request.args.get("customer", "").strip()
    parts = audiences.segments_of(campaign.id)
    customer = _sample(campaign, sought)
    said = render(campaign.message, customer, current_rules(merchant_id())) if customer else None
    return render_template(
        "campaigns/show.html",
        parts=parts,
        tiers=directory.tier_names(merchant_id()),
        sought=sought,
        customer=customer,
        own=_own(),
        said=said,
        sender=designing.newest(merchant_id()).organisation,
        once=serving.new_once(),
        **_results(campaign),
    )


def _sample(campaign: Campaign, sought: str) -> Customer | None:
    """Whose lock screen is shown: the one that was looked for, or the first of the audience."""
    if sought:
        return next(iter(directory.page(merchant_id(), sought=sought).customers), None)
    return next(iter(audiences.members(campaign, 1)), None)


def _own() -> Customer | None:
    """The customer with the email address of whoever is logged in."""
    return next(iter(find_customers(merchant_id(), member_id(), limit=1)), None)


@bp.get("/results/<int:campaign_id>")
@login_required
def results(campaign_id: int) -> ResponseReturnValue:
    return fragment("campaigns/_results.html", **_results(campaigns.find(merchant_id(), campaign_id)))


def _results(campaign: Campaign) -> dict[str, Any]:
    found = campaign_results.results(campaign)
    return {
        "campaign": campaign,
        "found": found,
        "reasons": push_reports.REASONS,
        "moves": campaign_results.moves(campaign, found, utcnow()),
        "seconds_left": campaign_results.seconds_left(campaign, utcnow()),
        "obstacle": None if campaign.has_ended else audiences.obstacle(campaign),
        "audience": audiences.count(campaign) if campaign.started_at is None else campaign.audience,
        "reachable": audiences.reachable(campaign) if campaign.started_at is None else None,
        "rules": push_log.rules(merchant_id()),
    }


@bp.get("/<int:campaign_id>/customers")
@login_required
def customers(campaign_id: int) -> ResponseReturnValue:
    """Those behind one of the numbers."""
    campaign = campaigns.find(merchant_id(), campaign_id)
    asked = request.args.get("outcome", "")
    outcome = Outcome(asked) if asked in set(Outcome) else Outcome.ASSIGNED
    reason, after = request.args.get("reason") or None, request.args.get("after", 0, type=int)
    rows, following = campaign_results.page(campaign, outcome, reason=reason, after=after)
    return render_template(
        "campaigns/customers.html",
        campaign=campaign,
        counts=campaign_results.results(campaign).counts,
        outcome=outcome,
        reason=reason,
        reasons=push_reports.REASONS,
        rows=rows,
        after=after,
        following=following,
    )


@bp.get("/<int:campaign_id>/audience")
@login_required
def audience(campaign_id: int) -> ResponseReturnValue:
    """Those whom it would reach, before it is sent."""
    campaign = campaigns.find(merchant_id(), campaign_id)
    reachable, after = bool(request.args.get("reachable")), request.args.get("after", 0, type=int)
    found = audiences.members(campaign, PAGE + 1, after=after, reachable=reachable)
    return render_template(
        "campaigns/audience.html",
        campaign=campaign,
        rows=found[:PAGE],
        reachable=reachable,
        after=after,
        following=found[PAGE - 1].id if len(found) > PAGE else None,
    )


# --- starting it ---------------------------------------------------------------------------------


@bp.get("/<int:campaign_id>/start")
@login_required
def confirm(campaign_id: int) -> ResponseReturnValue:
    """The audience beside what it was at the last look, before anything is sent."""
    campaign = campaigns.find(merchant_id(), campaign_id)
    if campaign.state not in campaigns.STARTABLE:
        return to_page(url_for("campaigns.show", campaign_id=campaign.id))
    return _confirm(campaign, None)


def _confirm(campaign: Campaign, refused: str | None) -> str:
    present = audiences.count(campaign)
    following = audiences.next_joining(campaign) if campaign.started_at is not None else None
    return render_template(
        "campaigns/confirm.html",
        campaign=campaign,
        compared=campaign_guard.compare(campaign, present),
        joining=audiences.count_joiners(campaign, following[1].id) if following else None,
        reachable=audiences.reachable(campaign),
        obstacle=audiences.obstacle(campaign),
        refused=refused,
        at_once=campaign.start != CampaignStart.AT or campaign.state == CampaignState.NEEDS_PERSON,
        rules=push_log.rules(merchant_id()),
    )


@bp.post("/<int:campaign_id>/start")
@login_required
def start(campaign_id: int) -> ResponseReturnValue:
    seen = request.form.get("seen", type=int)
    try:
        with transaction():
            campaign = campaigns.start(merchant_id(), campaign_id, member_id(), seen=seen)
    except ConflictError as error:
        campaign = campaigns.find(merchant_id(), campaign_id)
        if campaign.state not in campaigns.STARTABLE:
            return to_page(url_for("campaigns.show", campaign_id=campaign.id), Feedback(error.message, "warn"))
        return _confirm(campaign, error.message), error.status
    told = (
        "It starts at its time."
        if campaign.started_at is None
        else "The campaign has started. You can leave this page."
    )
    return to_page(url_for("campaigns.show", campaign_id=campaign.id), Feedback(told))


@bp.post("/<int:campaign_id>/leave-out")
@login_required
def leave_out(campaign_id: int) -> ResponseReturnValue:
    with transaction():
        campaign = campaigns.leave_out(merchant_id(), campaign_id, member_id())
    return _answer(campaign, "They are left out. The campaign goes on with whoever joins from now on.")


# --- while it runs -------------------------------------------------------------------------------


@bp.post("/<int:campaign_id>/pause")
@login_required
def pause(campaign_id: int) -> ResponseReturnValue:
    with transaction():
        campaign = campaigns.pause(merchant_id(), campaign_id, member_id())
    return _answer(campaign, "The campaign is paused. Nothing else is sent until you let it go on.")


@bp.post("/<int:campaign_id>/resume")
@login_required
def resume(campaign_id: int) -> ResponseReturnValue:
    with transaction():
        campaign = campaigns.resume(merchant_id(), campaign_id, member_id())
    return _answer(campaign, "The campaign goes on where it was paused.")


@bp.post("/<int:campaign_id>/cancel")
@login_required
def cancel(campaign_id: int) -> ResponseReturnValue:
    with transaction():
        campaign = campaigns.cancel(merchant_id(), campaign_id, member_id())
    return _answer(campaign, "The campaign is cancelled. What was sent by then stays on the phones.")


def _answer(campaign: Campaign, told: str) -> ResponseReturnValue:
    if not is_htmx():
        return to_page(url_for("campaigns.show", campaign_id=campaign.id), Feedback(told))
    return give_feedback(fragment("campaigns/_results.html", **_results(campaign)), Feedback(told))


@bp.post("/<int:campaign_id>/try")
@login_required
def send_test(campaign_id: int) -> ResponseReturnValue:
    """To one card, that of whoever tries it."""
    here = url_for("campaigns.show", campaign_id=campaign_id, customer=request.form.get("sought") or None)
    once, customer_id = request.form.get("once", ""), request.form.get("customer_id", type=int) or 0
    with transaction():
        refused = assigning.send_test(merchant_id(), campaign_id, min(customer_id, LARGEST_ID), once, utcnow())
    if refused is not None:
        return to_page(here, Feedback(refused.message, "warn"))
    return to_page(here, Feedback("The test push is on its way to this customer's phone."))
