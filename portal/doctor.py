"""What is wrong with a set-up, each finding with its remedy. Looks, changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from flask import current_app
from redis.exceptions import RedisError
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from portal import queue
from portal.config import Settings
from portal.crypto import SealError
from portal.db import db, utcnow
from portal.exchange import exchange
from portal.models import Connection
from portal.services import status, wallet_setup

FREE_BYTES = 500 << 20
OLDEST_REDIS = (6, 2)


@dataclass(frozen=True)
class Finding:
    subject: str
    ok: bool
    text: str


def examine(settings: Settings) -> list[Finding]:
    """All findings; a part that depends on a broken one says so instead of failing."""
    checks: dict[str, Callable[[Settings], tuple[bool, str]]] = {
        "Database": _database,
        "Migrations": _migrations,
        "Redis": _redis,
        "Ticker": _ticker,
        "Workers": _workers,
        "Importer": _importer,
        "Sending": _sending,
        "Klaviyo app": _klaviyo_app,
        "Klaviyo": _klaviyo,
        "Apple Wallet": _apple_wallet,
        "Google Wallet": _google_wallet,
        "Encryption keys": _encryption_keys,
        "Disk": _disk,
    }
    findings = []
    for subject, check in checks.items():
        try:
            ok, words = check(settings)
        except SQLAlchemyError:
            ok, words = False, "Cannot be told without the database."
            db.session.rollback()
        findings.append(Finding(subject, ok, words))
    return findings


def _database(settings: Settings) -> tuple[bool, str]:
    name = urlsplit(settings.database_url).scheme.partition("+")[0]
    try:
        db.session.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        return False, f"{name} does not answer ({type(error).__name__}). Check PORTAL_DATABASE_URL and that it runs."
    return True, f"{name} answers."


def _migrations(_settings: Settings) -> tuple[bool, str]:
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    newest = ScriptDirectory(str(Path(current_app.root_path).parent / "migrations")).get_current_head()
    present = MigrationContext.configure(db.session.connection()).get_current_revision()
    if present == newest:
        return True, f"up to date ({present})."
    return False, f"at {present or 'nothing'}, newest is {newest}. Run `make migrate`."


def _redis(_settings: Settings) -> tuple[bool, str]:
    try:
        info = queue.client().info("server")
    except (RedisError, OSError) as error:
        return (
            False,
            f"does not answer ({type(error).__name__}). Check PORTAL_REDIS_URL and that it runs.",
        )
    version = str(info.get("valkey_version") or info.get("redis_version"))
    new_enough = tuple(int(part) for part in version.split(".")[:2]) >= OLDEST_REDIS
    return (
        new_enough,
        f"version {version} answers." if new_enough else f"version {version} is too old; use 6.2 or newer.",
    )


def _ticker(_settings: Settings) -> tuple[bool, str]:
    seconds = status.last_beat_seconds("ticker", utcnow())
    if seconds is None or not _ticks():
        return False, "not running. Start `python worker.py --ticker`."
    return True, f"beat {seconds:.0f} s ago."


def _ticks() -> bool:
    return status.count_alive("ticker", utcnow()) > 0


def _workers(settings: Settings) -> tuple[bool, str]:
    alive = status.count_alive("worker", utcnow())
    if not alive:
        return False, "none is running. Start `python worker.py`."
    if alive != settings.workers:
        return (
            False,
            f"{alive} running, PORTAL_WORKERS says {settings.workers}. Make them equal: it divides the rate limit.",
        )
    return True, f"{alive} running."


def _importer(_settings: Settings) -> tuple[bool, str]:
    if not status.count_alive("importer", utcnow()):
        return False, "not running, so that segments stay as they are. Start `python worker.py --importer`."
    return True, "running."


def _sending(_settings: Settings) -> tuple[bool, str]:
    """What the three together come to: whoever is left of them decides what still happens."""
    bell, ticker, workers = _rings(), _ticks(), status.count_alive("worker", utcnow()) > 0
    if bell and workers:
        return (
            ticker,
            "works." if ticker else "works for new events; what failed is not tried again without the ticker.",
        )
    if ticker and not bell:
        return False, "works slowly: without Redis the ticker sends by itself."
    lacking = "a worker" if bell else "the ticker or Redis with a worker"
    return False, f"stands still: it needs {lacking}. Events are kept, and nothing is lost."


def _rings() -> bool:
    try:
        return bool(queue.client().ping())
    except (RedisError, OSError):
        return False


def _klaviyo_app(settings: Settings) -> tuple[bool, str]:
    if not settings.klaviyo_client_id or not settings.klaviyo_client_secret:
        return False, "KLAVIYO_CLIENT_ID or KLAVIYO_CLIENT_SECRET is not set; see docs/klaviyo-app.md."
    return True, f"redirect URI to register: {settings.public_url}/oauth/klaviyo/callback"


def _klaviyo(settings: Settings) -> tuple[bool, str]:
    host = urlsplit(settings.klaviyo_api_url).netloc
    answer = exchange("GET", settings.klaviyo_api_url, "/api/accounts")
    if answer.status is None:
        return False, f"{host} cannot be reached: {answer.failure}."
    return True, f"{host} answers in {answer.duration_ms} ms."


def _encryption_keys(_settings: Settings) -> tuple[bool, str]:
    unreadable = 0
    connections = db.session.scalars(select(Connection)).all()
    for connection in connections:
        try:
            _ = (connection.access_token, connection.refresh_token)
        except SealError:
            unreadable += 1
    if unreadable:
        return (
            False,
            f"{unreadable} stored tokens cannot be opened. Put the old key back behind the new one in PORTAL_ENCRYPTION_KEYS.",
        )
    return True, f"open the tokens of every connection ({len(connections)})."


def _apple_wallet(_settings: Settings) -> tuple[bool, str]:
    """The portal's own certificate; merchants see theirs under Settings > Wallet cards."""
    trouble, ends = wallet_setup.examine_portal_certificate()
    if trouble:
        return False, trouble
    if ends is None:
        return True, "no certificate of the portal's own; each merchant brings one."
    days = (ends - utcnow()).days
    return days > wallet_setup.WARN_DAYS[1], f"the certificate ends in {days} days; see docs/wallet.md."


def _google_wallet(_settings: Settings) -> tuple[bool, str]:
    trouble = wallet_setup.examine_portal_account()
    return not trouble, trouble or "the service account can be read, or each merchant brings one."


def _disk(settings: Settings) -> tuple[bool, str]:
    free = shutil.disk_usage(settings.data_dir).free
    return free > FREE_BYTES, f"{free >> 20:,} MB free in PORTAL_DATA_DIR."
