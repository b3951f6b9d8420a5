"""Logging in and out. Unknown address and wrong password are answered alike."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import FlaskForm
from wtforms import EmailField, PasswordField
from wtforms.validators import InputRequired, Length

from portal.db import transaction
from portal.errors import TooManyError
from portal.services import accounts, auditing
from portal.web import login_required, public, refuse, safe_next, to_page
from portal.web.guards import TOKEN

bp = Blueprint("auth", __name__)


class LoginForm(FlaskForm):
    email = EmailField("Email address", [InputRequired("Enter your email address."), Length(max=254)])
    password = PasswordField("Password", [InputRequired("Enter your password."), Length(max=128)])


@bp.get("/login")
@public
def login() -> ResponseReturnValue:
    if current_user.is_authenticated:
        return redirect(safe_next(request.args.get("next")))
    return render_template("auth/login.html", form=LoginForm())


@bp.post("/login")
@public
def log_in() -> ResponseReturnValue:
    form = LoginForm()
    if not form.validate():
        return render_template("auth/login.html", form=form), 422
    try:
        token = _authenticate(form)
    except TooManyError as error:
        refuse(form, error)
        return render_template("auth/login.html", form=form), 429, {"Retry-After": str(error.retry_after)}
    if token is None:
        form.form_errors.append("This email address and password do not belong together. Check both and try again.")
        return render_template("auth/login.html", form=form), 422
    session.clear()
    session.permanent = True
    session[TOKEN] = token
    return redirect(safe_next(request.args.get("next")), 303)


def _authenticate(form: LoginForm) -> str | None:
    with transaction():
        user = accounts.authenticate(form.email.data or "", form.password.data or "", request.remote_addr or "")
        if user is None:
            return None
        auditing.record(user.merchant_id, user.email, "logged in")
        return accounts.start_session(user)


@bp.post("/logout")
@login_required
def log_out() -> ResponseReturnValue:
    with transaction():
        accounts.end_session(session[TOKEN])
    session.clear()
    return to_page(url_for("auth.login"))
