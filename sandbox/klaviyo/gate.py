"""What every API request passes on its way in and out: faults, credentials, limits, scopes, revision, body.

A handler is registered with `@operation(name)` and gets a `Call`; it returns a Response or raises `ApiError`.
"""

import json
import re
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from flask import Blueprint, Flask, Response, g, make_response, render_template, request

from sandbox.klaviyo import errors, limits, mischief
from sandbox.klaviyo.operations import EXTRA_BUCKETS, OPERATIONS, Operation, Tier
from sandbox.klaviyo.recorder import NOBODY
from sandbox.klaviyo.tokens import Caller
from sandbox.klaviyo.world import World, world

LARGEST_BODY = 5_000_000
_REVISION = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z0-9.-]+)?")
_JSON_TYPES = {"application/vnd.api+json", "application/json"}

api = Blueprint("klaviyo_api", __name__)


@dataclass(frozen=True)
class Call:
    """One authenticated API request."""

    world: World
    caller: Caller
    now: float

    @property
    def account(self) -> int:
        return self.caller.account

    def json(self) -> tuple[Any, bytes]:
        """The parsed body and its bytes."""
        body = read_body()
        return parse_json(body), body


Handler = Callable[..., Response]


def operation(name: str) -> Callable[[Handler], Handler]:
    """Register the handler of one of Klaviyo's operations, with and without a trailing slash."""
    op = OPERATIONS[name]

    def register(handler: Handler) -> Handler:
        @wraps(handler)
        def view(**path: str) -> Response:
            return _pass(op, handler, path)

        api.add_url_rule(op.path, op.name, view, methods=[op.method], strict_slashes=False)
        return handler

    return register


def _pass(op: Operation, handler: Handler, path: dict[str, str]) -> Response:
    here = world()
    caller = _authenticated(here)
    if not op.scopes <= caller.scopes:
        raise errors.not_permitted()
    now = here.switches.now()
    left = _counted(here, op, caller, now)
    g.limit_headers = limits.headers(op.tier, left)
    if not _REVISION.fullmatch(request.headers.get("revision", "")):
        raise errors.bad_request("The revision header is required, as YYYY-MM-DD.", parameter="revision")
    response = handler(Call(here, caller, now), **path)
    response.headers.extend(g.limit_headers)
    return response


def _authenticated(here: World) -> Caller:
    given = request.headers.get("Authorization")
    if not given:
        raise errors.ApiError(
            401, [errors.problem("not_authenticated", "Authentication credentials were not provided.",
                                 "Missing or invalid authorization scheme. Please use Klaviyo-API-Key or Bearer.",
                                 pointer="/data/")]
        )  # fmt: skip
    caller = here.tokens.caller(given)
    if caller is None:
        raise errors.not_authenticated()
    g.account_id = caller.account_id
    return caller


def _counted(here: World, op: Operation, caller: Caller, now: float) -> int:
    if not here.switches.limits:
        return op.tier.per_second - 1
    wait, left = here.limits.take(caller.quota, [(op.name, op.tier), *_extra_buckets()], now)
    if wait:
        raise errors.throttled(wait)
    return left


def _extra_buckets() -> list[tuple[str, Tier]]:
    if not request.query_string:
        return []
    return [
        (f"{parameter}={value}", tier)
        for (parameter, value), tier in EXTRA_BUCKETS.items()
        if value in request.args.get(parameter, "").split(",")
    ]


def read_body() -> bytes:
    """The request's body, decompressed; refuses other types and what is over Klaviyo's 5 MB."""
    if request.mimetype not in _JSON_TYPES:
        detail = f"Unsupported media type '{request.mimetype}' in request."
        raise errors.ApiError(415, [errors.problem("unsupported_media_type", "Unsupported media type.", detail)])
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):
        detail = f"Unsupported content encoding '{encoding}' in request."
        raise errors.ApiError(415, [errors.problem("unsupported_media_type", "Unsupported media type.", detail)])
    raw = request.stream.read(LARGEST_BODY + 1)
    if encoding == "gzip" and len(raw) <= LARGEST_BODY:
        raw = _unzipped(raw)
    g.sent = raw[:2048]
    if len(raw) > LARGEST_BODY:
        _drain()
        detail = "The request payload must not be larger than 5 MB."
        raise errors.ApiError(413, [errors.problem("payload_too_large", "Payload too large.", detail)])
    return raw


def _unzipped(raw: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(raw, LARGEST_BODY + 1)
    except zlib.error as error:
        raise errors.bad_request("The request body is not valid gzip.", pointer="/data") from error


def _drain() -> None:
    """Read what is left of an oversized body, within reason, so that the client gets to see the answer."""
    for _ in range(64):
        if not request.stream.read(1 << 20):
            return


def parse_json(body: bytes) -> Any:
    try:
        parsed = json.loads(body, parse_constant=_refuse_constant)
        if b"\\ud" in body or b"\\uD" in body:
            # Half a surrogate pair is valid JSON and no text; nothing could store it.
            json.dumps(parsed, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise errors.ApiError(
            400, [errors.problem("parse_error", "Malformed request.", "The request body is not valid JSON.")]
        ) from error
    return parsed


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def install(app: Flask) -> None:
    """Hang the gate into an application."""
    app.before_request(_meet)
    app.after_request(_leave)
    app.register_error_handler(errors.ApiError, _refused)
    app.register_error_handler(404, lambda error: _routing(error, 404, "not_found", "Not found."))
    app.register_error_handler(405, lambda error: _routing(error, 405, "method_not_allowed", "Method not allowed."))
    app.register_blueprint(api)


def _faultable() -> bool:
    return request.path.startswith(("/api/", "/oauth/"))


def _meet() -> Response | None:
    if not _faultable():
        return None
    g.started = time.time()
    here = world()
    mischief.delay(here.switches.latency_ms)
    if not here.faults.listed():
        return None
    caller = here.tokens.caller(request.headers.get("Authorization", ""))
    g.account_id = caller.account_id if caller else NOBODY
    fault = here.faults.take(
        request.method, request.path, caller.account_id if caller else None, "page[cursor]" in request.args
    )
    if fault is None:
        return None
    g.fault = fault
    answer = mischief.before(fault)
    g.settled = answer is not None
    return answer


def _leave(response: Response) -> Response:
    if not _faultable() or "started" not in g:
        return response
    fault = g.get("fault")
    if fault is not None and not g.settled:
        response = mischief.after(fault, response)
    answered = b"" if response.is_streamed else response.get_data()[:2048]
    here = world()
    route = request.url_rule.rule if request.url_rule else request.path
    here.recorder.record(
        g.get("account_id", NOBODY), route, request.method, request.path, request.query_string.decode("latin-1"),
        response.status_code, time.time() - g.started, g.started, g.get("sent", b""), answered,
        fault.kind if fault else "",
    )  # fmt: skip
    return response


def _refused(error: errors.ApiError) -> Response:
    response = error.response()
    if error.status != 429 and "limit_headers" in g:
        response.headers.extend(g.limit_headers)
    return response


def _page(status: int) -> Response:
    title, told = "There is nothing at this address", "It has a typing error, or what it showed is gone."
    if status == 405:
        title, told = "This address is not a page", f"It takes no {request.method} request."
    return make_response(render_template("klaviyo/missing.html", title=title, detail=told), status)


def _routing(error: Any, status: int, code: str, title: str) -> Response:
    if request.path.startswith("/_sandbox/"):
        plain: Response = error.get_response()
        return plain
    if not request.path.startswith("/api/"):
        return _page(status)
    detail = f"{request.method} {request.path}: {title}"
    return errors.ApiError(status, [errors.problem(code, title, detail)]).response()
