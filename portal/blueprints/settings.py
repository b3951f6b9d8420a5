"""Settings of the programme, of one's own password, and the audit log."""

from __future__ import annotations

import zoneinfo

from flask import Blueprint, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import FlaskForm
from wtforms import PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length

from portal.db import transaction
from portal.errors import PortalError
from portal.services import accounts, auditing
from portal.web import Feedback, login_required, member_id, merchant_id, owner_required, refuse, to_page
from portal.web.guards import TOKEN

bp = Blueprint("settings", __name__, url_prefix="/settings")

ENTRIES_PER_PAGE = 50


class ProgrammeForm(FlaskForm):
    name = StringField("Shop name", [InputRequired("Enter the name of your shop."), Length(max=100)])
    programme_name = StringField(
        "Programme name", [InputRequired("Enter the name of your programme."), Length(max=100)]
    )
    slug = StringField("Short name in links", [InputRequired("Enter a short name.")])
    timezone = StringField("Time zone", [InputRequired("Choose a time zone.")])


class PasswordForm(FlaskForm):
    old_password = PasswordField("Present password", [InputRequired("Enter your present password.")])
    new_password = PasswordField("New password", [InputRequired("Enter a new password.")])
    again = PasswordField(
        "New password again",
        [InputRequired("Enter the new password again."), EqualTo("new_password", "The two new passwords differ.")],
    )


@bp.get("/programme")
@login_required
def programme() -> ResponseReturnValue:
    return _show_programme(ProgrammeForm(obj=current_user.merchant))


@bp.post("/programme")
@owner_required
def save_programme() -> ResponseReturnValue:
    form = ProgrammeForm()
    if not form.validate():
        return _show_programme(form), 422
    try:
        with transaction():
            accounts.update_programme(merchant_id(), **{name: _text(form, name) for name in _PROGRAMME})
            auditing.record(merchant_id(), member_id(), "programme changed")
    except PortalError as error:
        refuse(form, error)
        return _show_programme(form), 422
    return to_page(url_for("settings.programme"), Feedback("The programme is saved."))


_PROGRAMME = ("name", "programme_name", "slug", "timezone")


def _text(form: FlaskForm, name: str) -> str:
    return str(form[name].data or "").strip()


def _show_programme(form: ProgrammeForm) -> str:
    zones = sorted(name for name in zoneinfo.available_timezones() if "/" in name or name == "UTC")
    return render_template("settings/programme.html", form=form, zones=zones)


@bp.get("/password")
@login_required
def password() -> ResponseReturnValue:
    return render_template("settings/password.html", form=PasswordForm())


@bp.post("/password")
@login_required
def change_password() -> ResponseReturnValue:
    form = PasswordForm()
    if not form.validate():
        return render_template("settings/password.html", form=form), 422
    try:
        ended = _change_password(form)
    except PortalError as error:
        refuse(form, error)
        return render_template("settings/password.html", form=form), 422
    told = "Your password is changed." + (" All other browsers were logged out." if ended else "")
    return to_page(url_for("settings.password"), Feedback(told))


def _change_password(form: PasswordForm) -> int:
    with transaction():
        user = current_user._get_current_object()
        accounts.change_password(user, form.old_password.data or "", form.new_password.data or "")
        auditing.record(merchant_id(), member_id(), "password changed")
        return accounts.end_other_sessions(user, session[TOKEN])


@bp.get("/audit-log")
@login_required
def audit_log() -> ResponseReturnValue:
    before = request.args.get("before", type=int)
    entries = auditing.entries(merchant_id(), before, ENTRIES_PER_PAGE)
    older = entries[-1].id if len(entries) == ENTRIES_PER_PAGE else None
    return render_template("settings/audit_log.html", entries=entries, older=older, before=before)
