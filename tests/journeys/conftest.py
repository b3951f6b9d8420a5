"""What journeys of pushes begin with."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.factories import Shop
from tests.journeys import pushed
from tests.klaviyo_account import Sandbox
from tests.phone import Phone


@pytest.fixture
def phones(app: Flask, connected: Shop, sandbox: Sandbox, live_portal: str) -> tuple[Phone, Phone]:
    """The card of one customer on an iPhone and on an Android phone; Klaviyo is told what becomes of pushes."""
    return pushed.put_on_phones(app, connected, sandbox, live_portal)
