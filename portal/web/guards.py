"""Who may see what. Every view carries a guard; one without is treated as if it needed a login.

The guard is a mark on the view function and is enforced in one place, so that a test can walk every route.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, abort, current_app, make_response, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, current_user
from werkzeug.wrappers import Response

from portal.models import User
from portal.services import accounts
from portal.web.answers import is_htmx

PUBLIC = "public"
LOGIN = "login"
OWNER = "owner"
API_KEY = "api_key"

# The login's token in the session cookie; the row behind it is what counts.
TOKEN = "token"

View = TypeVar("View", bound=Callable[..., Any])


def _mark(view: View, guard: str) -> View:
    view.guard = guard  # type: ignore[attr-defined]
    return view


def public(view: View) -> View:
    return _mark(view, PUBLIC)


def login_required(view: View) -> View:
    return _mark(view, LOGIN)


def owner_required(view: View) -> View:
    return _mark(view, OWNER)


def takes_file(most_bytes: int) -> Callable[[View], View]:
    """The body may be as large as a file, and not only as a form."""

    def mark(view: View) -> View:
        view.most_bytes = most_bytes  # type: ignore[attr-defined]
        return view

    return mark


def most_bytes_of(endpoint: str | None) -> int | None:
    return getattr(current_app.view_functions.get(endpoint or ""), "most_bytes", None)


def guard_of(endpoint: str | None) -> str:
    view = current_app.view_functions.get(endpoint or "")
    return str(getattr(view, "guard", LOGIN))


def init_app(app: Flask) -> None:
    manager = LoginManager(app)
    manager.session_protection = None  # the session is a row of ours, not Flask-Login's
    manager.request_loader(_find_user)
    app.before_request(_enforce)


def _find_user(_request: object) -> User | None:
    token = session.get(TOKEN)
    return accounts.find_session(token) if isinstance(token, str) else None


def _enforce() -> ResponseReturnValue | None:
    if request.endpoint is None:
        return None  # no such page: the error handlers answer
    guard = guard_of(request.endpoint)
    if guard in (PUBLIC, API_KEY):
        return None
    if not current_user.is_authenticated:
        return ask_for_login()
    if guard == OWNER and not current_user.is_owner:
        abort(403)
    return None


def ask_for_login(back_to: str | None = None) -> Response:
    """To the login page and back here afterwards; a page must move as a whole, so htmx is told to."""
    if is_htmx():
        answer = make_response("", 401)
        answer.headers["HX-Redirect"] = url_for("auth.login", next=_current_path())
        return answer
    if back_to is None and request.method == "GET":
        back_to = request.full_path.rstrip("?")
    return redirect(url_for("auth.login", next=None if back_to == "/" else back_to), 303)


def _current_path() -> str | None:
    """Where the browser is during an htmx call, without the host."""
    shown = request.headers.get("HX-Current-URL", "")
    path = "/" + shown.partition("://")[2].partition("/")[2]
    return None if path == "/" else safe_next(path)


def safe_next(target: str | None) -> str:
    """`target` where it is a path on this site; the home page otherwise.

    Browsers read backslashes as slashes and drop control characters, so that `/\\host` and `/<tab>/host` lead away.
    """
    if not target or not target.startswith("/") or target.startswith("//"):
        return "/"
    if any(character <= " " or character in "\\\x7f" for character in target):
        return "/"
    return target


def merchant_id() -> int:
    """The merchant of whoever is logged in: the only source of it in a view."""
    return int(current_user.merchant_id)


def member_id() -> str:
    """How the audit log calls whoever is logged in."""
    return str(current_user.email)
