"""What a person sees when something went wrong: what happened, whether anything is lost, what to do.

A page for the browser, its fragment twin for htmx, JSON for the API's paths. Never a trace.
"""

from __future__ import annotations

import logging

from flask import Flask, Response, g, jsonify, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, SecurityError

from portal.errors import PortalError, TooManyError, UnavailableError
from portal.web.answers import is_htmx

log = logging.getLogger(__name__)

# Those with a page of their own; any other code is told with the page of its class.
PAGES = (400, 403, 404, 405, 409, 413, 422, 429, 500, 503)
CSRF_PAGE = "csrf"


def init_app(app: Flask) -> None:
    app.register_error_handler(SecurityError, _wrong_host)
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(PortalError, _portal_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _our_fault)


def show(code: int, message: str | None = None, page: str | None = None) -> Response:
    """The page or fragment of this code; `message` takes the place of its usual words."""
    name = page or str(code if code in PAGES else 500 if code >= 500 else 400)
    fragment_only = is_htmx()
    template = f"errors/_{name}.html" if fragment_only else f"errors/{name}.html"
    words = render_template(template, message=message, request_id=request_id(), whole_page=not fragment_only)
    answer = make_response(words, code)
    if fragment_only:
        # What was asked for stays as it is; the words go where feedback goes.
        answer.headers["HX-Retarget"] = "#feedback"
        answer.headers["HX-Reswap"] = "innerHTML"
    return answer


def request_id() -> str:
    return str(g.get("request_id", ""))


def _is_api() -> bool:
    return request.path.startswith("/v1/")


def _json(code: int, name: str, message: str) -> Response:
    answer = jsonify({"error": {"code": name, "message": message, "request_id": request_id()}})
    answer.status_code = code
    return answer


def _wrong_host(_error: SecurityError) -> ResponseReturnValue:
    # No page: without a host that is ours there are no links to draw.
    return make_response(("This address is not served here.\n", 400, {"Content-Type": "text/plain; charset=utf-8"}))


def _csrf(_error: CSRFError) -> ResponseReturnValue:
    return show(400, page=CSRF_PAGE)


def _portal_error(error: PortalError) -> ResponseReturnValue:
    if _is_api():
        return _json(error.status, error.code, error.message)
    answer = show(error.status, error.message)
    if isinstance(error, TooManyError | UnavailableError):
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


def _http_error(error: HTTPException) -> ResponseReturnValue:
    code = error.code or 500
    if code < 400:
        return error.get_response()
    answer = _api_http_error(code, error) if _is_api() else show(code)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            answer.headers[name] = value
    return answer


def _api_http_error(code: int, error: HTTPException) -> Response:
    return _json(code, error.name.lower().replace(" ", "_"), _for_programmers(error))


def _for_programmers(error: HTTPException) -> str:
    if isinstance(error, NotFound):
        return "There is nothing at this address. What there is, /docs shows."
    if isinstance(error, MethodNotAllowed):
        usable = sorted(set(error.valid_methods or ()) - {"HEAD", "OPTIONS"})
        return f"{request.method} is not possible here; use {' or '.join(usable)}."
    return error.description or error.name


def _our_fault(error: Exception) -> ResponseReturnValue:
    """Settles what nobody expected: it is logged with the id that the page shows."""
    log.exception("request failed", exc_info=error)
    if _is_api():
        return _json(500, "internal_error", "Something went wrong on our side. Please try again.")
    return show(500)
