"""The API reference for people: the same description that programs read at `/v1/openapi.json`."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from portal.blueprints.api.openapi import document
from portal.services import catalogue
from portal.web import public, settings
from portal.web.reference import read

bp = Blueprint("docs", __name__)


@bp.get("/docs")
@public
def index() -> ResponseReturnValue:
    described = document(settings().public_url)
    return render_template(
        "docs/index.html",
        info=described["info"],
        operations=read(described),
        event_types=catalogue.EVENT_TYPES,
        public_url=settings().public_url,
    )
