"""Alembic's entry: runs migrations over the portal's own engine."""

from alembic import context
from flask import current_app

from portal.db import Model, db

config = context.config


def run() -> None:
    if context.is_offline_mode():
        raise SystemExit("Migrations need a database; there is no offline mode.")
    options = current_app.extensions["migrate"].configure_args
    with db.engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Model.metadata, user_module_prefix="", **options)
        with context.begin_transaction():
            context.run_migrations()


run()
