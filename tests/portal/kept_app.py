"""Fixtures in place of the general ones: one application and database per test module, emptied after each test.

Making them anew for each of several hundred small tests would take minutes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest
from flask import Flask
from sqlalchemy import Table

from launch import ports
from portal import create_app
from portal.blueprints import limiting
from portal.blueprints.api import routes
from portal.config import Settings
from portal.db import Model, db
from portal.jobs import turns
from tests.conftest import CLIENT_ID, CLIENT_SECRET, TEMPLATE
from tests.servers import Postgres, RedisServer


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("database") / "portal.sqlite3"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = f"portal_{ports.find_free()}_{os.getpid()}"
    yield server.create(name, TEMPLATE)
    server.drop(name)


@pytest.fixture(scope="module")
def settings(
    database_url: str,
    redis_server: RedisServer,
    sandbox_port: int,
    portal_port: int,
    apple_settings: dict[str, str],
    google_settings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Settings:
    klaviyo = f"http://127.0.0.1:{sandbox_port}"
    own = Settings(public_url=f"http://127.0.0.1:{portal_port}", klaviyo_api_url=klaviyo, klaviyo_web_url=klaviyo)
    return replace(
        own,
        data_dir=tmp_path_factory.mktemp("var"),
        database_url=database_url,
        redis_url=redis_server.url,
        klaviyo_client_id=CLIENT_ID,
        klaviyo_client_secret=CLIENT_SECRET,
        **apple_settings,
        **google_settings,
    )


@pytest.fixture(scope="module")
def kept(settings: Settings) -> Iterator[Flask]:
    turns.pacer.cache_clear()  # it keeps the application's Redis
    app = create_app(settings)
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def app(kept: Flask, redis_server: RedisServer) -> Iterator[Flask]:
    yield kept
    redis_server.empty()
    routes._limiter.storage.reset()  # counts wrong keys per address, in this process
    limiting.forget()
    with kept.app_context(), db.engine.begin() as connection:
        for table in reversed(cast("list[Table]", Model.metadata.sorted_tables)):
            connection.execute(table.delete())
