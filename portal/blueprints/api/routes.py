"""The blueprint, who may call it, how often, and how its errors look."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import Blueprint, Response, g, jsonify, request
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException
from werkzeug.routing import PathConverter

from portal.db import db, repeat, transaction
from portal.errors import PortalError, TooManyError, UnauthorizedError, UnavailableError
from portal.services import api_keys
from portal.services.api_keys import LiveKey
from portal.web.failures import request_id

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)
bp = Blueprint("api", __name__, url_prefix="/v1")


class _AnyId(PathConverter):
    """An id with slashes wherever it has them, at its beginning and in a row too."""

    regex = ".+"
    part_isolating = False


bp.record_once(lambda state: state.app.url_map.converters.update(any_id=_AnyId))

# The database is away, full or busy; trying again helps.
DATABASE_TROUBLE = (OperationalError, InterfaceError, PoolTimeoutError)
# Wrong keys cost no look into the database beyond this, per address.
_WRONG_PER_ADDRESS = RateLimitItemPerSecond(20)
_limiter = FixedWindowRateLimiter(MemoryStorage())


def api_key_required(view: Callable[P, R]) -> Callable[P, R]:
    """`g.merchant_id` and `g.api_key` for the view; 401 with the reason otherwise."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        key = _authenticate()
        g.merchant_id, g.api_key = key.merchant_id, key
        if request.method == "GET" and api_keys.use_is_stale(key):  # what writes notes it in its own transaction
            with transaction():
                api_keys.note_use(key.id)
        return view(*args, **kwargs)

    guarded.guard = "api_key"  # type: ignore[attr-defined]
    return guarded


def _authenticate() -> LiveKey:
    address = request.remote_addr or ""
    if not _limiter.test(_WRONG_PER_ADDRESS, address):
        raise TooManyError("Too many requests with a wrong key. Wait a second.", retry_after=1)
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    try:
        if scheme.lower() != "bearer" or not secret.strip():
            raise UnauthorizedError("Send your API key in a header: Authorization: Bearer YOUR_API_KEY.")
        return api_keys.authenticate(secret.strip())
    except UnauthorizedError:
        _limiter.hit(_WRONG_PER_ADDRESS, address)
        raise


def write(change: Callable[[], R]) -> R:
    """`change` in a transaction, once more where another request wrote the same rows at this moment."""
    return repeat(lambda: _write_once(change))


def _write_once(change: Callable[[], R]) -> R:
    stale = api_keys.use_is_stale(g.api_key)
    with transaction():
        if stale:
            api_keys.note_use(g.api_key.id)
        return change()


# --- errors --------------------------------------------------------------------------------------


def describe(error: PortalError) -> dict[str, object]:
    """The one shape of an error."""
    described: dict[str, object] = {"code": error.code, "message": error.message}
    if error.field is not None:
        described["field"] = error.field
    return {**described, "request_id": request_id()}


@bp.errorhandler(PortalError)
def answer_error(error: PortalError) -> Response:
    response = jsonify(error=describe(error))
    response.status_code = error.status
    if isinstance(error, UnauthorizedError):
        response.headers["WWW-Authenticate"] = 'Bearer realm="JeriCommerce"'
    if isinstance(error, (TooManyError, UnavailableError)):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


@bp.errorhandler(SQLAlchemyError)
def answer_database_trouble(error: SQLAlchemyError) -> Response:
    """The database is away or busy: nothing was stored, and trying again helps. Our own mistakes are a 500."""
    if not isinstance(error, DATABASE_TROUBLE):
        return answer_crash(error)
    db.session.rollback()
    log.error("database unavailable", extra={"error": type(error).__name__})
    return answer_error(UnavailableError("The portal cannot store anything right now. Nothing was stored; try again."))


@bp.errorhandler(HTTPException)
def answer_http_error(error: HTTPException) -> Response:
    plain = PortalError(error.description or error.name, code=error.name.lower().replace(" ", "_"))
    response = answer_error(plain)
    response.status_code = error.code or 500
    return response


@bp.errorhandler(Exception)
def answer_crash(error: Exception) -> Response:
    log.error("request failed", exc_info=error)
    crash = PortalError("Something went wrong on our side. Nothing was stored; try again.", code="internal_error")
    response = answer_error(crash)
    response.status_code = 500
    return response
