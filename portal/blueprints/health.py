"""`/healthz`: this process answers. `/readyz`: the database answers and somebody delivers. For load balancers, without a login."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from portal.db import db, utcnow
from portal.services import status
from portal.web.guards import public

bp = Blueprint("health", __name__)

TICKER_LATE_SECONDS = 30


@bp.get("/healthz")
@public
def alive() -> Response:
    return jsonify(status="ok")


@bp.get("/readyz")
@public
def ready() -> tuple[Response, int]:
    """503 with the part that is missing. Redis is not asked: without it everything still works, later by a second."""
    try:
        db.session.execute(text("SELECT 1"))
        ticker_seen = status.last_beat_seconds("ticker", utcnow())
    except SQLAlchemyError:
        return jsonify(status="unavailable", database="unreachable"), 503
    late = ticker_seen is None or ticker_seen > TICKER_LATE_SECONDS
    body = jsonify(status="unavailable" if late else "ok", database="ok", ticker="late" if late else "ok")
    return body, 503 if late else 200
