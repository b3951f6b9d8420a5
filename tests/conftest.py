"""Fixtures: an application over SQLite and over PostgreSQL, real servers, and a guard that lets nothing off this machine.

What is not available here is skipped with its reason, or fails where PORTAL_TESTS_REQUIRE_ALL=1.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import flask_migrate
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from playwright.sync_api import Browser, Page

from launch import ports
from portal import cli, create_app
from portal.config import Settings
from portal.db import db, forget_last_id
from portal.jobs import turns
from sandbox.apple import authority
from sandbox.apple.authority import Authority
from sandbox.config import Config
from sandbox.google import identity
from tests import browsing, factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.servers import Postgres, Processes, RedisServer, SandboxServer, find_pg_ctl

ROOT = Path(__file__).resolve().parent.parent
CLIENT_ID, CLIENT_SECRET = "test-client", "test-client-secret"
TEMPLATE = "portal_template"

# No test is about the machine's speed, and a busy one is slow at the first example.
hypothesis_settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("untimed")


def unavailable(what: str) -> NoReturn:
    """Skip, or fail where everything has to be there."""
    if os.environ.get("PORTAL_TESTS_REQUIRE_ALL") == "1":
        pytest.fail(f"{what} is not available, and PORTAL_TESTS_REQUIRE_ALL=1 says that it must be")
    pytest.skip(f"{what} is not available here")


@pytest.fixture(scope="session", autouse=True)
def nothing_leaves_this_machine() -> Iterator[None]:
    """A forgotten address must fail a test, not reach the outside world."""
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex"):
        patch.setattr(socket.socket, name, _only_here(getattr(socket.socket, name)))
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def ids_follow_the_clock() -> Iterator[None]:
    """Ids never fall, so that a test that travels ahead would leave the others with ids of its time."""
    yield
    forget_last_id()


def _only_here(connect: Any) -> Any:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tried to reach {address[0]}")
        return connect(self, address)

    return guarded


# --- servers, one of each for the whole run ------------------------------------------------------


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    if find_pg_ctl() is None:
        unavailable("PostgreSQL")
    server = Postgres().start()
    _migrate(Settings(database_url=server.create(TEMPLATE)))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite3"
    _migrate(Settings(database_url=f"sqlite:///{path}"))
    with sqlite3.connect(path) as connection:  # one file to copy, without its log
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


def _migrate(settings: Settings) -> None:
    app = create_app(settings)
    cli.allow_migrations(app)
    with app.app_context():
        flask_migrate.upgrade(str(ROOT / "migrations"))
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(scope="session")
def portal_port() -> int:
    return ports.find_free()


@pytest.fixture(scope="session")
def sandbox_port() -> int:
    return ports.find_free()


@pytest.fixture(scope="session")
def apns_port() -> int:
    return ports.find_free()


@pytest.fixture(scope="session")
def sandbox_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture(scope="session")
def apple_authority(sandbox_folder: Path) -> Authority:
    """The certificates of the sandbox's Apple: what it signs is trusted by its phones and its push service."""
    return authority.at_home(sandbox_folder / "sandbox" / "apple")


@pytest.fixture(scope="session")
def apple_settings(apple_authority: Authority, apns_port: int) -> dict[str, str]:
    """Those of the portal's settings that belong to it."""
    return {
        "apple_pass_certificate": apple_authority.pass_file.read_text(),
        "apple_intermediate": apple_authority.intermediate_file.read_text(),
        "apple_push_url": f"https://127.0.0.1:{apns_port}",
        "apple_push_ca": apple_authority.root_file.read_text(),
    }


@pytest.fixture(scope="session")
def google_settings(sandbox_folder: Path, sandbox_port: int) -> dict[str, str]:
    """Those of the portal's settings that belong to the sandbox's Google."""
    url = f"http://127.0.0.1:{sandbox_port}"
    google = Config(data_dir=sandbox_folder / "sandbox", url=url)
    return {
        "google_service_account": json.dumps(identity.service_account(google)),
        "google_issuer_id": google.google_issuer_id,
        "google_token_url": url + identity.TOKEN_PATH,
        "google_api_url": f"{url}/walletobjects/v1",
        "google_save_url": f"{url}/gp/v/save",
        "google_keys_url": f"{url}/gp/m/issuer/keys",
    }


@pytest.fixture(scope="session")
def sandbox_server(
    sandbox_port: int, apns_port: int, portal_port: int, sandbox_folder: Path
) -> Iterator[SandboxServer]:
    public_url = f"http://127.0.0.1:{portal_port}"
    variables = {
        "SANDBOX_APNS_PORT": str(apns_port),
        "SANDBOX_CLIENT_ID": CLIENT_ID,
        "SANDBOX_CLIENT_SECRET": CLIENT_SECRET,
        "SANDBOX_REDIRECT_URI": f"{public_url}/oauth/klaviyo/callback",
        "SANDBOX_INSTALL_URL": f"{public_url}/oauth/klaviyo/install",
    }
    server = SandboxServer(sandbox_folder, sandbox_port, variables).start()
    yield server
    server.stop()


# --- one test's portal ---------------------------------------------------------------------------


@pytest.fixture
def sandbox(sandbox_server: SandboxServer) -> Sandbox:
    """Klaviyo's stand-in as at its first start, with its limits on and nothing held back."""
    account = Sandbox(sandbox_server.url)
    account.reset()
    return account


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated, empty database; every test that uses it runs on both kinds."""
    if request.param == "sqlite":
        path = tmp_path / "portal.sqlite3"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = f"portal_{ports.find_free()}_{os.getpid()}"
    yield server.create(name, TEMPLATE)
    server.drop(name)


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """An empty Redis. A test that mistreats its Redis overrides this with one of its own."""
    redis_server.empty()
    return redis_server.url


@pytest.fixture
def settings(
    request: pytest.FixtureRequest,
    database_url: str,
    redis_url: str,
    sandbox_port: int,
    portal_port: int,
    apple_settings: dict[str, str],
    google_settings: dict[str, str],
    tmp_path: Path,
) -> Settings:
    """One test's settings; `@pytest.mark.settings(lease_seconds=3)` changes some of them."""
    klaviyo = f"http://127.0.0.1:{sandbox_port}"
    marker = request.node.get_closest_marker("settings")
    usual = Settings(
        public_url=f"http://127.0.0.1:{portal_port}",
        data_dir=tmp_path / "var",
        database_url=database_url,
        redis_url=redis_url,
        klaviyo_client_id=CLIENT_ID,
        klaviyo_client_secret=CLIENT_SECRET,
        klaviyo_api_url=klaviyo,
        klaviyo_web_url=klaviyo,
        **apple_settings,
        **google_settings,
    )
    return replace(usual, **marker.kwargs) if marker else usual


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    turns.pacer.cache_clear()  # it keeps the first application's Redis
    app = create_app(settings)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def merchant(app: Flask) -> Shop:
    """A merchant with an owner and an API key, and nothing connected."""
    return factories.make_shop(app)


@pytest.fixture
def api_key(merchant: Shop) -> str:
    return merchant.api_key


@pytest.fixture
def owner(client: FlaskClient, merchant: Shop) -> FlaskClient:
    """A browser in which the merchant's owner has logged in."""
    return factories.log_in(client, merchant.email)


@pytest.fixture
def connected(app: Flask, sandbox: Sandbox, merchant: Shop) -> Shop:
    """The merchant, connected to the sandbox's Nordic Coffee, with Events switched on."""
    factories.connect(app, sandbox, merchant)
    factories.switch(app, merchant)
    return merchant


@pytest.fixture
def processes(app: Flask, settings: Settings, tmp_path: Path) -> Iterator[Processes]:
    """Starts workers, tickers and web servers on this test's settings. A traceback in a log of theirs fails the test."""
    started = Processes(settings, tmp_path / "logs")
    yield started
    started.stop()
    assert not (crashes := started.crashes()), crashes


# --- a browser -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if browsing.find_chromium() is None:
        unavailable("Chromium")
    with browsing.chromium() as running:
        yield running


@pytest.fixture
def live_portal(processes: Processes, portal_port: int) -> str:
    """The portal on a real web server, at the address that the sandbox sends people back to."""
    return processes.web(portal_port)


@pytest.fixture
def browser_page(browser: Browser, live_portal: str) -> Iterator[Page]:
    with browsing.page(browser, live_portal) as page:
        yield page


@pytest.fixture
def page_without_scripts(browser: Browser, live_portal: str) -> Iterator[Page]:
    with browsing.page(browser, live_portal, scripts=False) as page:
        yield page
