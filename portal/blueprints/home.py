"""Home: today in numbers, health in one line, and what needs a person."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from portal.web import contexts, fragment, login_required

bp = Blueprint("home", __name__)


@bp.get("/")
@login_required
def index() -> ResponseReturnValue:
    return render_template("home/index.html", **contexts.home_today())


@bp.get("/home/today")
@login_required
def today() -> ResponseReturnValue:
    return fragment("home/_today.html", **contexts.home_today())
