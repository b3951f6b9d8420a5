"""The portal as a Flask application: composition only.

Settings come in once, here; everything below gets what it needs as arguments.
"""

from __future__ import annotations

from flask import Flask

from portal import config, crypto, logs, queue
from portal.config import Settings
from portal.db import db, engine_options


def create_app(settings: Settings | None = None) -> Flask:
    """The whole portal: it serves pages and the API, and knows the commands."""
    from portal import cli, site  # a worker does without what is in there

    settings = settings or config.load()
    app = create_workshop(settings)
    site.init_app(app, settings)
    cli.register(app)
    return app


def create_workshop(settings: Settings | None = None) -> Flask:
    """As much of it as jobs need: settings and the database, and nothing that answers a request."""
    settings = settings or config.load()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    logs.configure(settings)
    config.use(settings)
    crypto.use_keys(settings.encryption_keys)
    queue.use_redis(settings.redis_url)
    app = Flask(__name__)
    app.extensions["portal_settings"] = settings
    _connect_database(app, settings)
    return app


def _connect_database(app: Flask, settings: Settings) -> None:
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(settings.database_url)
    db.init_app(app)
