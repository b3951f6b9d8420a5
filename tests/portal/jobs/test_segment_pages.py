"""The pages about a segment: how far its members can be reached, who they are, and how its imports went."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.config import Settings
from portal.services.customers import Identifiers
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.portal.jobs.segment_stage import SegmentStage


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return replace(settings, klaviyo_pacing=False)


def test_a_segment_is_shown_with_its_reach_its_members_and_its_runs(
    app: Flask, sandbox: Sandbox, connected: Shop, client: FlaskClient
) -> None:
    sandbox.set(limits=False)
    stage = SegmentStage(app, sandbox, connected)
    ids = sandbox.plant([{"email": "ada@example.com"}, {"email": "+formula@example.com"}])
    segment_id = stage.select("VIP Gold", profile_ids=ids)
    stage.import_now(segment_id)
    with app.app_context():
        factories.know(connected.id, [Identifiers(email="ada@example.com")])
    stage.import_now(segment_id)
    browser = factories.log_in(client, connected.email)
    assert "VIP Gold" in browser.get("/segments").text
    url = f"/segments/{stage.segment(segment_id).id}"
    page = browser.get(url).text
    assert "ada@example.com" in page
    assert "Complete" in page
    assert "1 never had the card on a phone" in page
    assert "ada@example.com" not in browser.get(f"{url}?stage=unmatched").text
    assert "formula" not in browser.get(f"{url}?q=Ada@example.com").text
    assert "'+formula@example.com" in browser.get(f"{url}/members.csv").text
    stranger = factories.make_shop(app, "Harbor Tea")
    assert factories.log_in(app.test_client(), stranger.email).get(url).status_code == 404
