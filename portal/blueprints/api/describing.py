"""`GET /v1/openapi.json`: the API described by itself, for anybody."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify

from portal import config
from portal.blueprints.api.routes import bp
from portal.web.guards import public


def described() -> dict[str, Any]:
    """The whole description. What makes it takes 8 MB of memory, and few processes are ever asked for it."""
    from portal.blueprints.api.openapi import document

    return document(config.current().public_url)


@bp.get("/openapi.json")
@public
def openapi() -> Response:
    return jsonify(described())
