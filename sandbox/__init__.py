"""Stand-ins for the outside services, as one web application at the root of a port of its own.

Reached over the network only; nothing here knows the portal.
"""

import gc

from flask import Flask, Response
from jinja2 import StrictUndefined

from sandbox import apple, google, klaviyo, phones
from sandbox.config import Config

_HEADERS = {
    # No form-action: allowing an app means leaving for its address, which browsers count as the form's target.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(settings: Config | None = None) -> Flask:
    """The sandbox as a WSGI application, to be served by one process with several threads."""
    # A bulk request is some twenty thousand small objects and no cycle: with Python's default of 700 the collector
    # would take as long as everything else together.
    gc.set_threshold(100_000, 20, 50)
    app = Flask(__name__)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    config = settings or Config.from_env()
    here = klaviyo.install(app, config)
    google.install(app, config, here)
    apple.install(app, config, here, phones.install(app, config, here).deliver)
    app.after_request(_secure)
    return app


def _secure(response: Response) -> Response:
    if response.mimetype == "text/html":
        response.headers.extend(_HEADERS)
    return response
