"""Settings > Integrations: the list, and everything about the connection to Klaviyo but the OAuth round trip itself.

Which page the wizard shows is derived from the connection, so reload, back and a second tab land on the right one.
"""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal import beats
from portal.db import transaction
from portal.services import connecting, example_events
from portal.web import Feedback, contexts, login_required, member_id, merchant_id, owner_required, to_page

bp = Blueprint("integrations", __name__, url_prefix="/settings/integrations")


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    return render_template("integrations/index.html", **contexts.klaviyo())


@bp.get("/klaviyo")
@login_required
def klaviyo() -> ResponseReturnValue:
    beats.confirm_soon(merchant_id())
    context = contexts.klaviyo()
    if not _in_use():
        return render_template("integrations/connect.html", **context)
    if context["setting_up"] and not context["lost"]:
        return render_template(
            "integrations/enable.html", example_email=example_events.EMAIL, **context, **contexts.module_switches()
        )
    return render_template(
        "integrations/overview.html", **context, **contexts.module_switches(), **contexts.status_panel()
    )


@bp.get("/klaviyo/events")
@login_required
def events() -> ResponseReturnValue:
    if not _in_use():
        return redirect(url_for("integrations.klaviyo"), 303)
    beats.read_back(merchant_id())
    return render_template(
        "integrations/events.html", **contexts.klaviyo(), **contexts.event_choices(), **contexts.trial_panel()
    )


@bp.get("/klaviyo/segments")
@login_required
def segments() -> ResponseReturnValue:
    if not _in_use():
        return redirect(url_for("integrations.klaviyo"), 303)
    return render_template("integrations/segments.html", **contexts.klaviyo(), **contexts.segment_table())


@bp.get("/klaviyo/properties")
@login_required
def properties() -> ResponseReturnValue:
    if not _in_use():
        return redirect(url_for("integrations.klaviyo"), 303)
    return render_template(
        "integrations/properties.html",
        **contexts.klaviyo(),
        **contexts.profile_properties(),
        **contexts.profiles_refused(),
        **contexts.profile_drift(),
    )


@bp.get("/klaviyo/identity")
@login_required
def identity() -> ResponseReturnValue:
    after = request.args.get("after", default=0, type=int)
    return render_template("integrations/identity.html", **contexts.identity_cases(), **contexts.unreachable(after))


@bp.get("/klaviyo/history")
@login_required
def history() -> ResponseReturnValue:
    if not _in_use():
        return redirect(url_for("integrations.klaviyo"), 303)
    return show_history()


def show_history(refused: str = "") -> str:
    """`refused` is what is wrong with a file that was just handed in."""
    return render_template(
        "integrations/history.html", refused=refused, **contexts.klaviyo(), **contexts.history_list()
    )


@bp.get("/klaviyo/disconnect")
@owner_required
def disconnect() -> ResponseReturnValue:
    if not _in_use():
        return redirect(url_for("integrations.klaviyo"), 303)
    waiting = connecting.count_waiting(merchant_id())
    return render_template("integrations/disconnect.html", waiting=waiting, **contexts.klaviyo())


@bp.post("/klaviyo/disconnect")
@owner_required
def disconnect_now() -> ResponseReturnValue:
    if not _in_use():
        return redirect(url_for("integrations.klaviyo"), 303)
    with transaction():
        connecting.disconnect(merchant_id(), member_id())
    return to_page(url_for("integrations.klaviyo"), Feedback("Klaviyo is disconnected. Nothing is sent any more."))


def _in_use() -> bool:
    return connecting.is_in_use(merchant_id())
