"""What every request to Google passes: faults on its way in and out, and for the API a token, the limit, and JSON.

Views of the API get their caller from `caller()`, and raise `ApiError`.
"""

import json
import time
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, g, jsonify, request

from sandbox.google import errors
from sandbox.google.errors import ApiError
from sandbox.google.identity import TOKEN_PATH
from sandbox.google.world import google
from sandbox.klaviyo import mischief
from sandbox.klaviyo.faults import Fault

_LARGEST_BODY = 1_000_000
_RECORDED_AS = "google"
_PATHS = ("/walletobjects/", "/gp/", TOKEN_PATH)


@dataclass(frozen=True)
class Caller:
    """A service account and the issuers it may act for."""

    email: str
    issuers: frozenset[str]

    def must_own(self, resource_id: str) -> None:
        if resource_id.partition(".")[0] not in self.issuers:
            raise errors.not_permitted()


def install(app: Flask) -> None:
    app.before_request(_meet)
    app.after_request(_leave)
    app.register_error_handler(ApiError, ApiError.response)


def caller() -> Caller:
    """Who is asking, counted against the limit. Raises `ApiError`."""
    here = google()
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    row = here.store.row(
        "SELECT s.* FROM access_token t JOIN service_account s ON s.email = t.email"
        " WHERE t.token = ? AND t.expires > ? AND NOT s.disabled",
        (token, time.time()),
    )
    if scheme.lower() != "bearer" or row is None:
        raise errors.not_authenticated()
    if not here.within_limit(row["email"]):
        raise errors.too_fast()
    return Caller(row["email"], frozenset(row["issuers"].split()))


def body() -> dict[str, Any]:
    """The request's JSON object. Raises `ApiError`."""
    try:
        found = json.loads(request.stream.read(_LARGEST_BODY), parse_constant=_refuse_constant)
        # Half a surrogate pair is valid JSON and no text; nothing could store it.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise errors.bad_request("Invalid JSON payload received.") from None
    if not isinstance(found, dict):
        raise errors.bad_request("Invalid JSON payload received. Expected an object.")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _meet() -> Response | None:
    if not request.path.startswith(_PATHS):
        return None
    here = google()
    g.google_started = time.time()
    mischief.delay(here.switches.latency_ms)
    g.google_fault = fault = here.faults.take(request.method, request.path, None)
    if fault is None:
        return None
    answer = mischief.before(fault, _in_googles_words)
    g.google_settled = answer is not None
    return answer


def _leave(response: Response) -> Response:
    if "google_started" not in g:
        return response
    fault: Fault | None = g.google_fault
    if fault is not None and not g.google_settled:
        response = mischief.after(fault, response, _in_googles_words)
    route = request.url_rule.rule if request.url_rule else request.path
    google().recorder.record(
        _RECORDED_AS, route, request.method, route, "", response.status_code, time.time() - g.google_started,
        g.google_started, b"", b"", fault.kind if fault else "",
    )  # fmt: skip
    return response


def _in_googles_words(fault: Fault) -> Response:
    if request.path == TOKEN_PATH:
        response = jsonify(error="internal_failure")
        response.status_code = fault.status
    else:
        reason = fault.reason or _REASONS.get(fault.status, "backendError")
        response = ApiError(fault.status, reason, f"Ordered: {reason}.").response()
    if fault.retry_after is not None:
        response.headers["Retry-After"] = str(fault.retry_after)
    return response


_REASONS = {
    400: "badRequest", 401: "authError", 403: "permissionDenied", 404: "resourceNotFound", 409: "existingResource",
    429: "rateLimitExceeded",
}  # fmt: skip
