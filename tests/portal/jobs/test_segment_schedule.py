"""When segments are imported: in turns between merchants, every ten minutes, and at once where somebody asks for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

from portal import beats
from portal.config import Settings
from portal.db import transaction, utcnow
from portal.jobs import segments as importer
from portal.services import segment_schedule, segments
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.portal.jobs.segment_stage import SegmentStage


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """Klaviyo counts the members of a segment every four seconds at most; here nobody waits for that."""
    return replace(settings, klaviyo_pacing=False)


@pytest.fixture
def stage(app: Flask, sandbox: Sandbox, connected: Shop) -> SegmentStage:
    sandbox.set(limits=False)
    return SegmentStage(app, sandbox, connected)


def test_merchants_take_turns_and_one_takes_no_more_than_its_share(app: Flask, stage: SegmentStage) -> None:
    for number in range(6):
        stage.sandbox.plant_segment(f"Segment {number}")
    with app.app_context():
        beats.refresh_segments(stage.shop.id)
        rows = [row for row in segments.list_known(stage.shop.id) if row.name.startswith("Segment ")]
        with transaction():
            for row in rows:
                segments.select_segment(stage.shop.id, row.id, True, "test")
        with transaction():
            claims = segment_schedule.claim(utcnow(), 60, {}, importer.OF_ONE_MERCHANT, importer.AT_ONCE)
        assert len(claims) == importer.OF_ONE_MERCHANT
        with transaction():
            assert segment_schedule.claim(utcnow(), 60, {stage.shop.id: 4}, importer.OF_ONE_MERCHANT, 4) == []


def test_sync_now_is_due_at_once_and_pressed_again_it_is_the_same(app: Flask, stage: SegmentStage) -> None:
    segment_id = stage.select("VIP Gold", profile_ids=stage.people(1))
    stage.import_now(segment_id)
    with app.app_context():
        with transaction():
            assert segment_schedule.sync_now(stage.shop.id, utcnow()).fresh == 1, "it was read a moment ago"
        later = utcnow() + timedelta(minutes=2)
        with transaction():
            assert segment_schedule.sync_now(stage.shop.id, later).started == 1
        with transaction():
            (claim,) = segment_schedule.claim(later, 60, {}, 4, 8)
        with transaction():
            assert segment_schedule.sync_now(stage.shop.id, later).under_way == 1
        assert claim.klaviyo_segment_id == segment_id


def test_the_next_run_is_due_within_ten_minutes_of_the_beginning_of_the_last(stage: SegmentStage) -> None:
    segment_id = stage.select("VIP Gold", profile_ids=stage.people(1))
    began = utcnow()
    stage.import_now(segment_id)
    due_at = stage.segment(segment_id).due_at
    assert due_at is not None
    assert began + timedelta(minutes=8) < due_at < began + timedelta(minutes=10, seconds=10)
