"""Pages as tests read them: forms are sent with the token that their page carries, as a browser does."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests import factories
from tests.factories import Shop

HTMX = {"HX-Request": "true"}
KLAVIYO = "/settings/integrations/klaviyo"


def token(client: FlaskClient) -> str:
    """The CSRF token of this browser's session, from whatever page it may see."""
    return factories.csrf_token(client.get("/settings/password").text)


def post(client: FlaskClient, path: str, **fields: Any) -> TestResponse:
    """A plain form."""
    return client.post(path, data={**fields, "csrf_token": token(client)})


def hx_post(client: FlaskClient, path: str, **fields: Any) -> TestResponse:
    """The same form through htmx."""
    return client.post(path, data={**fields, "csrf_token": token(client)}, headers=HTMX)


def log_in_member(app: Flask, shop: Shop) -> FlaskClient:
    return factories.log_in(app.test_client(), factories.add_member(app, shop))


def log_in_stranger(app: Flask) -> tuple[FlaskClient, Shop]:
    """The owner of another shop."""
    other = factories.make_shop(app, "Harbor Books")
    return factories.log_in(app.test_client(), other.email), other
