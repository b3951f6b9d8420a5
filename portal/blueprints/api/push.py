"""`POST /v1/push`, which Klaviyo's flows call, and `GET /v1/push/{id}`.

Klaviyo repeats 429, 500, 502 and 503 up to 17 times in a day and skips everything else: what cannot get better is none of these,
and trouble of ours is always 503.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from flask import Response, g, jsonify, request
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from sqlalchemy.exc import SQLAlchemyError

from portal import queue
from portal.blueprints.api.gathering import Gathering
from portal.blueprints.api.push_schemas import PushAccepted, PushDevice, PushOut
from portal.blueprints.api.reading import read_json
from portal.blueprints.api.routes import DATABASE_TROUBLE, api_key_required, bp, write
from portal.db import db, transaction, utcnow
from portal.errors import InvalidError, PortalError, TooManyError, UnavailableError
from portal.models import PushReason, PushState
from portal.models.customer import ID_PREFIX
from portal.services import push_refusals, push_reports, pushing
from portal.services.push_orders import PushOrder, hear_push
from portal.services.strict_json import MalformedError

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)

MOST_BYTES = 32_000
# For each key and process: a flow that fires for a whole segment is slowed down, and comes again by itself.
_PER_KEY = RateLimitItemPerSecond(200)
_limiter = MovingWindowRateLimiter(MemoryStorage())
HEADER = "Idempotency-Key"
FROM_A_TEMPLATE = (
    " If a template made it, one of its values has a quotation mark or a line break in it: "
    "leave names and other free texts out of the body."
)


def _trouble_is_503(view: Callable[P, R]) -> Callable[P, R]:
    """Whatever it is, and wherever: also while the key is looked up."""

    @wraps(view)
    def answered(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return view(*args, **kwargs)
        except (PortalError, *DATABASE_TROUBLE):
            raise
        except Exception as error:
            db.session.rollback()
            log.exception("push not taken")
            raise UnavailableError("Something went wrong on our side. Nothing was sent; try again.") from error

    return answered


@bp.post("/push")
@_trouble_is_503
@api_key_required
def push() -> tuple[Response, int]:
    if not _limiter.hit(_PER_KEY, str(g.api_key.id)):
        raise TooManyError("Too many pushes at once. Klaviyo tries again by itself.", retry_after=1)
    try:
        return _push()
    except (TooManyError, UnavailableError):
        raise
    except PortalError as error:
        _keep(error)
        raise


def _push() -> tuple[Response, int]:
    order = hear_push(_document(), _header_key())
    db.session.rollback()  # whoever waits for a turn must not hold a connection that the writer needs
    taken = _gathering.record(g.merchant_id, order)
    if g.pop("has_written", False):  # the others have their answers: a Redis that stands still delays this one alone
        queue.ring(g.merchant_id, queue.PUSHES)
    if isinstance(taken, PortalError):
        raise taken
    return jsonify(taken.model_dump(mode="json")), 202


def _take_together(merchant_id: int, orders: Sequence[PushOrder]) -> list[PushAccepted | PortalError]:
    taken = write(lambda: pushing.accept_each(merchant_id, orders, utcnow()))
    g.has_written = True
    return [each if isinstance(each, PortalError) else _accepted(each) for each in taken]


_gathering = Gathering(_take_together)


def _accepted(taken: pushing.Accepted) -> PushAccepted:
    return PushAccepted(
        id=taken.push.public_id if taken.push else None,
        status="accepted" if taken.push else "checked",
        customer_id=f"{ID_PREFIX}{taken.customer_id}",
        channels=list(taken.wallets),
    )


def _document() -> dict[str, Any]:
    try:
        return read_json(request, most=MOST_BYTES)
    except MalformedError as error:
        raise MalformedError(error.message + FROM_A_TEMPLATE) from error


def _header_key() -> str | None:
    key = request.headers.get(HEADER, "").strip()
    if len(key) > 200 or not key.isprintable():
        raise InvalidError(f"{HEADER} must be at most 200 plain characters.", field=HEADER)
    return key or None


def _keep(error: PortalError) -> None:
    """For the merchant to see; the answer does not wait for a database that is away."""
    merchant_id = g.merchant_id
    try:
        db.session.rollback()
        with transaction():
            push_refusals.note(merchant_id, error, utcnow())
    except SQLAlchemyError as trouble:
        log.warning("a refusal was not kept", extra={"error": type(trouble).__name__})


@bp.get("/push/<push_id>")
@api_key_required
def show_push(push_id: str) -> Response:
    """The outcome for each device."""
    found = push_reports.report(pushing.find_public(g.merchant_id, push_id))
    each = found.push
    shown = PushOut(
        id=each.public_id,
        state=PushState(each.state),
        reason=PushReason(each.reason) if each.reason else None,
        customer_id=f"{ID_PREFIX}{each.customer_id}",
        title=each.title,
        message=each.message,
        url=each.url,
        channels=each.wallets,
        created_at=each.created_at,
        expires_at=each.expires_at,
        sent_at=each.sent_at,
        settled_at=each.settled_at,
        devices=[PushDevice(channel=one.wallet, state=one.state, detail=one.words, at=one.at) for one in found.phones],
    )
    return jsonify(shown.model_dump(mode="json"))
