"""The references for people: the API, as programs read it at `/v1/openapi.json`, and what each of the 18 events carries."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from portal.blueprints.api.describing import described
from portal.services import catalogue
from portal.web import examples, public, settings
from portal.web.reference import read

bp = Blueprint("docs", __name__)


@bp.get("/docs")
@public
def index() -> ResponseReturnValue:
    document = described()
    return render_template(
        "docs/index.html",
        info=document["info"],
        operations=read(document, examples.BY_OPERATION),
        error=_pretty(examples.ERROR),
        mixed=_pretty(examples.MIXED),
        event_types=catalogue.EVENT_TYPES,
        public_url=settings().public_url,
    )


@bp.get("/docs/events")
@public
def events() -> ResponseReturnValue:
    return render_template(
        "docs/events.html",
        event_types=catalogue.EVENT_TYPES,
        common=catalogue.COMMON,
        examples={entry.type: _pretty(examples.at_klaviyo(entry)) for entry in catalogue.EVENT_TYPES},
    )


def _pretty(example: dict[str, Any]) -> str:
    return json.dumps(example, indent=2, ensure_ascii=False)
