"""Sends raw requests to /v1 and looks at what was stored."""

from __future__ import annotations

import json
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal.db import db
from portal.models import Customer, Delivery, Event
from tests.factories import Shop


def bearer(shop: Shop) -> dict[str, str]:
    return {"Authorization": f"Bearer {shop.api_key}"}


def post(client: FlaskClient, shop: Shop, body: bytes | str, **headers: str) -> TestResponse:
    """Exactly these bytes, as JSON unless the headers say otherwise."""
    own = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return client.post("/v1/events", data=body, headers={**bearer(shop), **own})


def stored(app: Flask) -> dict[str, int]:
    with app.app_context():
        count = {
            model.__tablename__: db.session.scalar(select(func.count()).select_from(model))
            for model in (Event, Customer, Delivery)
        }
    return {name: number or 0 for name, number in count.items()}


NOTHING = {"events": 0, "customers": 0, "deliveries": 0}


def error_of(answer: TestResponse) -> dict[str, Any]:
    """The error, whose shape is always the same."""
    assert answer.mimetype == "application/json", answer.text
    document = json.loads(answer.text)
    assert set(document) == {"error"}
    error: dict[str, Any] = document["error"]
    assert {"code", "message", "request_id"} <= set(error) <= {"code", "message", "request_id", "field"}
    assert error["request_id"]
    assert error["message"][0].isupper() or error["message"].startswith(str(error.get("field", "")))
    assert error["message"].endswith((".", ")", "}"))
    assert "Traceback" not in answer.text
    return error
