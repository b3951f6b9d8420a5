"""The two module switches and the choice of events. Each control is a form; htmx only saves the page load."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal import beats
from portal.db import transaction
from portal.errors import ConnectingError, InvalidError, NotFoundError, UnavailableError
from portal.models import Module
from portal.services import catalogue, example_events, modules
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

bp = Blueprint("modules", __name__, url_prefix="/modules")


@bp.get("/switches")
@login_required
def switches() -> ResponseReturnValue:
    return fragment("modules/_switches.html", **contexts.module_switches())


@bp.post("/switches")
@login_required
def switch() -> ResponseReturnValue:
    module, on = _module(), _wanted("on")
    was_setting_up = not any(modules.switches(merchant_id()).values())
    with transaction():
        modules.switch(merchant_id(), module, on, member_id())
        if on and module is Module.EVENTS and request.form.get("examples_asked") == "yes":
            example_events.decide(merchant_id(), request.form.get("examples") == "yes", member_id())
    feedback = Feedback(f"{module.value.capitalize()} is switched {'on' if on else 'off'}.")
    if on and module is Module.SEGMENTS:
        feedback = _list_segments(feedback)
    if was_setting_up or not is_htmx():
        # The first switch ends the wizard: its page becomes the overview.
        return to_page(url_for("integrations.klaviyo"), feedback)
    return give_feedback(fragment("modules/_switches.html", **contexts.module_switches()), feedback)


def _list_segments(feedback: Feedback) -> Feedback:
    """Have the account's segments there to choose from; the switch is on whether or not Klaviyo answers now."""
    try:
        count = beats.refresh_segments(merchant_id())
    except (ConnectingError, UnavailableError) as error:
        return Feedback(f"{feedback.text} The list of segments could not be read. {error.message}", "warn")
    return Feedback(f"{feedback.text} Klaviyo has {count} segments to choose from.")


@bp.get("/choices")
@login_required
def choices() -> ResponseReturnValue:
    return fragment("modules/_choices.html", **contexts.event_choices())


@bp.post("/choices")
@login_required
def choose() -> ResponseReturnValue:
    event_type, sent = request.form.get("event_type", ""), _wanted("sent")
    if not sent and request.form.get("anyway") != "yes" and _may_be_missed(event_type):
        return to_page(url_for("modules.leave_out", event_type=event_type))
    with transaction():
        modules.choose(merchant_id(), event_type, sent, member_id())
    metric = catalogue.BY_TYPE[event_type].metric
    what = "sent to Klaviyo from now on" if sent else "no longer sent to Klaviyo"
    feedback = Feedback(f"{metric} is {what}.")
    if not is_htmx():
        return to_page(url_for("integrations.events"), feedback)
    said = (event_type, f"{what[0].upper()}{what[1:]}")
    return give_feedback(fragment("modules/_choices.html", **contexts.event_choices(said)), feedback)


def _may_be_missed(event_type: str) -> bool:
    """A live flow starts with the event, or Klaviyo does not say whether one does."""
    if not modules.is_sent(merchant_id(), event_type):
        return False
    return beats.live_flows(merchant_id(), catalogue.BY_TYPE[event_type].metric) != []


@bp.get("/choices/<event_type>/off")
@login_required
def leave_out(event_type: str) -> ResponseReturnValue:
    """Before an event is switched off on which a flow hangs."""
    entry = catalogue.BY_TYPE.get(event_type)
    if entry is None:
        raise NotFoundError("There is no such event.")
    flows = beats.live_flows(merchant_id(), entry.metric)
    return render_template("modules/leave_out.html", entry=entry, flows=flows)


def _module() -> Module:
    try:
        return Module(request.form.get("module", ""))
    except ValueError as error:
        raise InvalidError("There is no such module.", field="module") from error


def _wanted(name: str) -> bool:
    """What the switch is to become; said outright, so that a second press or a stale tab cannot flip it back."""
    wanted = request.form.get(name)
    if wanted not in ("yes", "no"):
        raise InvalidError("Say yes or no.", field=name)
    return wanted == "yes"
