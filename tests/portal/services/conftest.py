"""An application context with one merchant, connected without a round trip to Klaviyo."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.portal.kept_app import app, database_url, kept, settings
from tests.portal.services import stage

__all__ = ["app", "database_url", "kept", "settings"]


@pytest.fixture
def lone(app: Flask) -> Iterator[int]:
    """A merchant who has not connected Klaviyo."""
    with app.app_context():
        yield stage.make_merchant()


@pytest.fixture
def shop(lone: int) -> int:
    """A merchant who has, with Events switched on."""
    stage.connect(lone)
    stage.switch_on(lone)
    return lone
