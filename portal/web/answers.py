"""How a view answers: a page, a fragment to htmx, or a redirect to a plain form.

Only a POST may branch; a GET has one representation.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from flask import current_app, flash, make_response, redirect, render_template, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response

from portal.config import Settings
from portal.errors import PortalError


@dataclass(frozen=True)
class Feedback:
    """What a person is told after an action: `kind` is ok, warn or bad."""

    text: str
    kind: str = "ok"


def settings() -> Settings:
    found: Settings = current_app.extensions["portal_settings"]
    return found


def is_htmx() -> bool:
    return request.headers.get("HX-Request") == "true"


def fragment(template: str, **context: Any) -> Response:
    """A partial by itself."""
    return make_response(render_template(template, **context))


def give_feedback(answer: Response, feedback: Feedback) -> Response:
    """Tell a page that is already shown: the script puts it where people and screen readers notice."""
    answer.headers["HX-Trigger"] = json.dumps({"feedback": {"text": feedback.text, "kind": feedback.kind}})
    return answer


def to_page(url: str, feedback: Feedback | None = None) -> Response:
    """On to another page, with words for it. The browser fetches it with GET; htmx moves the whole page."""
    if feedback is not None:
        flash(feedback.text, feedback.kind)
    if not is_htmx():
        return redirect(url, 303)
    answer = make_response("", 204)
    answer.headers["HX-Redirect"] = url
    return answer


def refuse(form: FlaskForm, error: PortalError) -> None:
    """Put a service's refusal beside the field it names, or above the form."""
    if error.field and error.field in form._fields:
        field = form._fields[error.field]
        field.errors = [*field.errors, error.message]
    else:
        form.form_errors.append(error.message)


def carry_over(names: tuple[str, ...]) -> dict[str, str]:
    """Those of the page's filters that are set."""
    return {name: value for name in names if (value := request.args.get(name, "").strip())}
