"""An importer that dies between two pages: the old set stays until another importer has read the rest."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.models import RunState
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.portal.jobs.segment_stage import SegmentStage
from tests.servers import Processes
from tests.waiting import eventually


@pytest.mark.settings(lease_seconds=2)
def test_an_importer_that_is_killed_between_two_pages_loses_no_page_and_shows_no_half_set(
    app: Flask, connected: Shop, sandbox: Sandbox, processes: Processes
) -> None:
    stage = SegmentStage(app, sandbox, connected)
    ids = stage.people(1_500)
    segment_id = stage.select("VIP Gold", profile_ids=ids[:100])
    victim = processes.importer()
    eventually(lambda: stage.members(segment_id) == set(ids[:100]), 20)
    sandbox.change_members(segment_id, profile_ids=ids[50:])
    sandbox.set(latency_ms={f"/api/segments/{segment_id}/profiles": 400})
    stage.make_due(segment_id)
    eventually(lambda: stage.runs(segment_id)[-1].pages in range(2, 12), 20)
    processes.kill(victim)
    half = stage.runs(segment_id)[-1]
    assert half.state == RunState.RUNNING
    assert stage.members(segment_id) == set(ids[:100]), "nothing of a half run is seen"
    sandbox.set(latency_ms={})
    processes.importer()
    eventually(lambda: stage.members(segment_id) == set(ids[50:]), 60)
    whole = stage.runs(segment_id)[-1]
    assert (whole.id, whole.state) == (half.id, RunState.COMPLETE)
    assert (whole.joined, whole.left) == (1_400, 50)
    assert whole.pages == 15, "pages that were written down are not read again"
