"""Alembic's entry: runs migrations over the portal's own engine."""

import click
from alembic import context
from flask import current_app
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from portal.db import Model, db

config = context.config


def run() -> None:
    if context.is_offline_mode():
        raise SystemExit("Migrations need a database; there is no offline mode.")
    options = current_app.extensions["migrate"].configure_args
    with connect() as connection:
        context.configure(connection=connection, target_metadata=Model.metadata, user_module_prefix="", **options)
        with context.begin_transaction():
            context.run_migrations()


def connect() -> Connection:
    try:
        return db.engine.connect()
    except OperationalError as error:
        reason = str(error.orig).strip().partition("\n")[0].rstrip(".")
        told = (
            f"The database of PORTAL_DATABASE_URL cannot be used: {reason}. Correct the address, or start the database."
        )
        raise click.ClickException(told) from error


run()
