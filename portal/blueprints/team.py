"""Settings > Team: who can log in. Owners add and remove; everybody sees."""

from __future__ import annotations

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import FlaskForm
from wtforms import EmailField, PasswordField, RadioField, SelectChoice, StringField
from wtforms.validators import InputRequired, Length

from portal.db import transaction
from portal.errors import NotFoundError, PortalError
from portal.models import Role, User
from portal.services import accounts, auditing
from portal.web import Feedback, login_required, member_id, merchant_id, owner_required, refuse, to_page

bp = Blueprint("team", __name__, url_prefix="/settings/team")


class MemberForm(FlaskForm):
    name = StringField("Name", [InputRequired("Enter a name."), Length(max=100)])
    email = EmailField("Email address", [InputRequired("Enter an email address."), Length(max=254)])
    password = PasswordField("First password", [InputRequired("Enter a password.")])
    role = RadioField(
        "Role",
        choices=[
            SelectChoice(
                Role.MEMBER.value, "Member: sees everything, switches modules and events, tries deliveries again"
            ),
            SelectChoice(Role.OWNER.value, "Owner: also connects Klaviyo, creates API keys, manages the team"),
        ],
        default=Role.MEMBER.value,
    )


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    return _show(MemberForm())


@bp.post("")
@owner_required
def add() -> ResponseReturnValue:
    form = MemberForm()
    if not _fits(form):
        return _show(form), 422
    try:
        with transaction():
            user = accounts.add_member(
                merchant_id(),
                form.email.data or "",
                form.name.data or "",
                form.password.data or "",
                form.role.data or "",
            )
            auditing.record(merchant_id(), member_id(), "person added", f"{user.email} as {user.role}")
    except PortalError as error:
        refuse(form, error)
        return _show(form), 422
    return to_page(url_for("team.index"), Feedback(f"{user.name or user.email} can log in now."))


def _fits(form: MemberForm) -> bool:
    """Puts everything that is wrong beside its field, so that a person mends all of it at once."""
    form.validate()
    for error in accounts.complaints(form.email.data or "", form.password.data or "", form.role.data or ""):
        if not (error.field and form[error.field].errors):
            refuse(form, error)
    return not form.errors


@bp.get("/<int:user_id>/remove")
@owner_required
def remove(user_id: int) -> ResponseReturnValue:
    return render_template("team/remove.html", person=_person(user_id))


@bp.post("/<int:user_id>/remove")
@owner_required
def remove_now(user_id: int) -> ResponseReturnValue:
    person = _person(user_id)
    with transaction():
        accounts.remove_member(merchant_id(), user_id, current_user._get_current_object())
        auditing.record(merchant_id(), member_id(), "person removed", person.email)
    return to_page(url_for("team.index"), Feedback(f"{person.name or person.email} can no longer log in."))


def _person(user_id: int) -> User:
    for user in accounts.team(merchant_id()):
        if user.id == user_id:
            return user
    raise NotFoundError("There is no such person in your team.")


def _show(form: MemberForm) -> str:
    return render_template("team/index.html", form=form, people=accounts.team(merchant_id()))
