"""`flask ...`: what an operator does from a shell. Each command is a transaction or two around a service call."""

from __future__ import annotations

import base64
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from flask import Flask
from sqlalchemy import select

from portal import config, demo, doctor
from portal.db import db, transaction, utcnow
from portal.errors import PortalError
from portal.models import Connection, Erasure, Merchant, OldGrant, Role
from portal.services import accounts, api_keys, auditing, outbox, upkeep


def register(app: Flask) -> None:
    for command in (
        create_merchant,
        create_key,
        seed_demo,
        diagnose,
        retry,
        prune,
        encryption_key,
        rotate_encryption_key,
    ):
        app.cli.add_command(command)
    if click.get_current_context(silent=True):
        allow_migrations(app)


def allow_migrations(app: Flask) -> None:
    """`flask db ...`. Alembic takes 9 MB, which no process that serves needs."""
    from flask_migrate import Migrate

    Migrate(app, db, render_as_batch=True)


def _merchant(slug: str) -> Merchant:
    merchant = db.session.scalar(select(Merchant).where(Merchant.slug == slug))
    if merchant is None:
        raise click.ClickException(f"There is no merchant {slug!r}. `flask create-merchant` makes one.")
    return merchant


@click.command("create-merchant")
@click.argument("name")
@click.option("--email", required=True, help="The owner's address, to log in with.")
@click.option("--slug", help="The short name in public links; made from the name if left out.")
@click.option("--timezone", default="UTC", show_default=True)
@click.password_option(envvar="PORTAL_OWNER_PASSWORD")
def create_merchant(name: str, email: str, slug: str | None, timezone: str, password: str) -> None:
    """Create a merchant with its owner."""
    try:
        with transaction():
            merchant = accounts.create_merchant(name, slug=slug, timezone=timezone)
            accounts.add_member(merchant.id, email, "", password, Role.OWNER)
            auditing.record(merchant.id, auditing.PORTAL, "merchant created")
    except PortalError as error:
        raise click.ClickException(f"{error.field}: {error.message}" if error.field else error.message) from error
    click.echo(f"Created {merchant.name} ({merchant.slug}). Log in at {config.current().public_url} as {email}.")


@click.command("api-key")
@click.argument("slug")
@click.option("--name", default="Command line", show_default=True)
def create_key(slug: str, name: str) -> None:
    """Create an API key for a merchant; the secret is printed once."""
    with transaction():
        _, secret = api_keys.create(_merchant(slug).id, name)
    click.echo(secret)


@click.command("demo")
@click.option("--email", required=True)
@click.option("--password", required=True, envvar="PORTAL_DEMO_PASSWORD")
@click.option(
    "--api-key-out", type=click.Path(path_type=Path), required=True, help="Where the API key goes, if not there yet."
)
def seed_demo(email: str, password: str, api_key_out: Path) -> None:
    """Seed the demo merchant; a second run changes nothing."""
    with transaction():
        merchant = demo.seed(email, password)
    if not api_key_out.exists():
        with transaction():
            _, secret = api_keys.create(merchant.id, "Demo")
        api_key_out.touch(mode=0o600)
        api_key_out.write_text(secret)
    click.echo(f"{merchant.name} is ready.")


@click.command("doctor")
def diagnose() -> None:
    """Tell what is wrong with this set-up, and what to do about it."""
    findings = doctor.examine(config.current())
    for finding in findings:
        click.echo(f"{'ok  ' if finding.ok else 'BAD '} {finding.subject}: {finding.text}")
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


@click.command("retry")
@click.argument("slug")
@click.option("--since", type=click.DateTime(), required=True, help="UTC.")
def retry(slug: str, since: datetime) -> None:
    """Try everything again that could not be delivered since a time."""
    merchant = _merchant(slug)
    with transaction():
        count = outbox.retry_since(merchant.id, since.replace(tzinfo=UTC))
    click.echo(f"{count} events will be tried again.")


@click.command("prune")
def prune() -> None:
    """Remove what has been kept long enough; the ticker does it every ten minutes."""
    removed = 0
    while True:
        with transaction():
            batch = upkeep.prune(config.current(), utcnow())
        removed += batch
        if batch < upkeep.PRUNE_AT_ONCE:
            break
    click.echo(f"Removed {removed} old deliveries.")


@click.command("encryption-key")
def encryption_key() -> None:
    """Print a new key for PORTAL_ENCRYPTION_KEYS."""
    click.echo(f"{utcnow():%Y%m%d}:{base64.b64encode(os.urandom(config.KEY_BYTES)).decode()}")


@click.command("rotate-encryption-key")
def rotate_encryption_key() -> None:
    """Seal all stored tokens with the first key of PORTAL_ENCRYPTION_KEYS; afterwards the others can be removed."""
    with transaction():
        resealed = sum(
            model.__dict__[name].reseal(row)
            for model, name in (
                (Connection, "access_token"),
                (Connection, "refresh_token"),
                (OldGrant, "refresh_token"),
                (Erasure, "profile"),
            )
            for row in db.session.scalars(select(model).with_for_update())
        )
    click.echo(f"{resealed} tokens sealed with the newest key.")
