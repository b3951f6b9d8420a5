"""`GET /v1/openapi.json`: the API described by itself, for anybody."""

from __future__ import annotations

from flask import Response, jsonify

from portal import config
from portal.blueprints.api.openapi import document
from portal.blueprints.api.routes import bp
from portal.web.guards import public


@bp.get("/openapi.json")
@public
def openapi() -> Response:
    return jsonify(document(config.current().public_url))
