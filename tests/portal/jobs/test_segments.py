"""The import of a segment against the sandbox: whole sets, who joined and left, and every fault that may come in between."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

from portal.config import Settings
from portal.db import transaction, utcnow
from portal.jobs import segment_walk
from portal.jobs import segments as importer
from portal.models import ConnectionState, RunState
from portal.services import segment_parts, segment_runs
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.portal.jobs.segment_stage import SegmentStage

MEMBERS = "/api/segments/"


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """Klaviyo counts the members of a segment every four seconds at most; here nobody waits for that."""
    return replace(settings, klaviyo_pacing=False)


@pytest.fixture
def stage(app: Flask, sandbox: Sandbox, connected: Shop) -> SegmentStage:
    sandbox.set(limits=False)
    return SegmentStage(app, sandbox, connected)


def test_a_first_import_finds_everybody_and_counts_as_klaviyo_does(stage: SegmentStage) -> None:
    ids = stage.people(250)
    segment_id = stage.select("VIP Gold", profile_ids=ids)
    stage.import_now(segment_id)
    assert stage.members(segment_id) == set(ids)
    (run,) = stage.runs(segment_id)
    segment = stage.segment(segment_id)
    assert (run.state, run.members, run.joined, run.left, run.pages) == (RunState.COMPLETE, 250, 250, 0, 3)
    assert (segment.members, segment.profile_count, segment.generation) == (250, 250, 1)
    assert stage.changes(run) == {}, "nobody enters a segment by its being selected"


def test_the_next_run_tells_who_joined_and_who_left(stage: SegmentStage) -> None:
    ids = stage.people(8)
    segment_id = stage.select("VIP Gold", profile_ids=ids[:6])
    stage.import_now(segment_id)
    stage.sandbox.change_members(segment_id, profile_ids=ids[2:])
    stage.import_now(segment_id)
    run = stage.runs(segment_id)[-1]
    assert (run.joined, run.left) == (2, 2)
    assert stage.changes(run) == {ids[0]: "left", ids[1]: "left", ids[6]: "joined", ids[7]: "joined"}
    assert stage.members(segment_id) == set(ids[2:])
    stage.sandbox.change_members(segment_id, profile_ids=ids)
    stage.import_now(segment_id)
    assert stage.changes(stage.runs(segment_id)[-1]) == {ids[0]: "joined", ids[1]: "joined"}, (
        "who comes back joins again"
    )


def test_a_segment_that_empties_at_klaviyo_empties_here(stage: SegmentStage) -> None:
    segment_id = stage.select("VIP Gold", profile_ids=stage.people(5))
    stage.import_now(segment_id)
    stage.sandbox.change_members(segment_id, profile_ids=[])
    stage.import_now(segment_id)
    assert stage.members(segment_id) == set()
    assert stage.runs(segment_id)[-1].left == 5


def test_a_run_that_stops_half_way_is_not_seen_and_goes_on_there(
    stage: SegmentStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = stage.people(500)
    segment_id = stage.select("VIP Gold", profile_ids=ids[:100])
    stage.import_now(segment_id)
    stage.sandbox.change_members(segment_id, profile_ids=ids)
    stopping = threading.Event()
    _stop_after_first_save(monkeypatch, stopping)
    stage.import_now(segment_id, stopping)
    half = stage.runs(segment_id)[-1]
    assert half.state == RunState.RUNNING
    assert 0 < half.members < 500
    assert stage.members(segment_id) == set(ids[:100]), "readers see the last complete set"
    monkeypatch.undo()
    before = half.pages
    stage.import_now(segment_id)
    whole = stage.runs(segment_id)[-1]
    assert whole.id == half.id
    assert whole.pages == 5, f"the {before} pages that were read are not read again"
    assert stage.members(segment_id) == set(ids)


def _stop_after_first_save(monkeypatch: pytest.MonkeyPatch, stopping: threading.Event) -> None:
    """As a worker that is told to stop between two pages."""
    monkeypatch.setattr(segment_walk, "MOST_IN_ONE_SAVE", 1)
    monkeypatch.setattr(segment_walk, "MOST_WAITING", 0)
    save = segment_runs.save

    def and_stop(*arguments: object) -> None:
        save(*arguments)  # type: ignore[arg-type]
        stopping.set()

    monkeypatch.setattr(segment_runs, "save", and_stop)


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "status", "status": 503},
        {"fault": "status", "status": 429, "retry_after": 1},
        {"fault": "status", "status": 403},
        {"fault": "html_403"},
        {"fault": "reset"},
        {"fault": "garbage"},
    ],
    ids=lambda fault: f"{fault['fault']} {fault.get('status', '')}",
)
def test_trouble_in_the_middle_keeps_the_old_set_says_what_happened_and_heals(
    stage: SegmentStage, fault: dict[str, object]
) -> None:
    ids = stage.people(300)
    segment_id = stage.select("VIP Gold", profile_ids=ids[:200])
    stage.import_now(segment_id)
    stage.sandbox.change_members(segment_id, profile_ids=ids[50:])
    stage.sandbox.order(path=f"{MEMBERS}{segment_id}/profiles", method="GET", **fault)  # type: ignore[arg-type]
    stage.import_now(segment_id)
    segment = stage.segment(segment_id)
    assert stage.members(segment_id) == set(ids[:200])
    assert segment.problem is not None
    assert "The last complete set stays as it is." in segment.problem
    assert segment.due_at is not None
    assert segment.due_at < utcnow() + timedelta(minutes=11)
    stage.import_now(segment_id)
    assert stage.members(segment_id) == set(ids[50:])
    assert stage.segment(segment_id).problem is None
    assert stage.runs(segment_id)[-1].reason == segment.problem, "the history keeps what happened"


def test_a_cursor_that_has_expired_is_replaced_by_the_time_of_joining(stage: SegmentStage) -> None:
    ids = stage.people(450)
    segment_id = stage.select("VIP Gold", profile_ids=ids, joined_over_seconds=1000)
    stage.sandbox.order("expired_cursor", f"{MEMBERS}{segment_id}/profiles", method="GET")
    stage.import_now(segment_id)
    assert stage.members(segment_id) == set(ids)
    assert stage.runs(segment_id)[-1].reason == segment_walk.ODD_CURSOR


def test_a_page_that_comes_twice_counts_once(stage: SegmentStage) -> None:
    ids = stage.people(350)
    segment_id = stage.select("VIP Gold", profile_ids=ids)
    stage.sandbox.order("repeat_page", f"{MEMBERS}{segment_id}/profiles", method="GET", times=2)
    stage.import_now(segment_id)
    run = stage.runs(segment_id)[-1]
    assert (run.members, run.pages) == (350, 6)
    assert stage.members(segment_id) == set(ids)


def test_a_page_that_comes_again_and_again_is_given_up_and_tried_later(stage: SegmentStage) -> None:
    ids = stage.people(150)
    segment_id = stage.select("VIP Gold", profile_ids=ids)
    stage.sandbox.order("repeat_page", f"{MEMBERS}{segment_id}/profiles", method="GET", times=50)
    stage.import_now(segment_id)
    assert stage.segment(segment_id).problem is not None
    stage.sandbox.clear_faults()
    stage.import_now(segment_id)
    assert stage.members(segment_id) == set(ids)


def test_a_list_that_is_shorter_than_klaviyos_count_removes_nobody(
    stage: SegmentStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = stage.people(30)
    segment_id = stage.select("VIP Gold", profile_ids=ids)
    stage.import_now(segment_id)
    _lose(monkeypatch, ids[10:])
    stage.import_now(segment_id)
    assert stage.runs(segment_id)[-1].state == RunState.SHORT
    assert "Nobody was removed" in (stage.segment(segment_id).problem or "")
    assert stage.members(segment_id) == set(ids)
    monkeypatch.undo()
    stage.import_now(segment_id)
    last = stage.runs(segment_id)[-1]
    assert (last.state, last.careful) == (RunState.COMPLETE, True)
    assert stage.members(segment_id) == set(ids)


def test_what_klaviyo_lists_twice_alike_is_believed_although_it_counts_more(
    stage: SegmentStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = stage.people(30)
    segment_id = stage.select("VIP Gold", profile_ids=ids)
    _lose(monkeypatch, ids[10:])
    stage.import_now(segment_id)
    stage.import_now(segment_id)
    run = stage.runs(segment_id)[-1]
    assert run.state == RunState.COMPLETE
    assert "twice" in (run.reason or "")
    assert stage.members(segment_id) == set(ids[:10])


def _lose(monkeypatch: pytest.MonkeyPatch, ids: list[str]) -> None:
    """As a list of Klaviyo's that lacks somebody."""
    take_over = segment_runs.segment_members.take_over
    monkeypatch.setattr(
        segment_runs.segment_members,
        "take_over",
        lambda whose, profiles: take_over(whose, [each for each in profiles if each.id not in ids]),
    )


def test_a_segment_that_klaviyo_still_works_out_is_waited_for(stage: SegmentStage) -> None:
    ids = stage.people(3)
    segment_id = stage.select("VIP Gold", profile_ids=ids)
    stage.sandbox.change_segment(segment_id, is_processing=True)
    stage.import_now(segment_id)
    segment = stage.segment(segment_id)
    assert segment.is_processing
    assert "still working out" in (segment.problem or "")
    assert stage.runs(segment_id) == []
    stage.sandbox.change_segment(segment_id, is_processing=False)
    stage.import_now(segment_id)
    assert stage.members(segment_id) == set(ids)


def test_a_segment_that_is_deleted_during_a_run_is_said_to_be_gone_and_keeps_its_members(stage: SegmentStage) -> None:
    ids = stage.people(4)
    segment_id = stage.select("VIP Gold", profile_ids=ids)
    stage.import_now(segment_id)
    stage.sandbox.delete_segment(segment_id)
    stage.import_now(segment_id)
    segment = stage.segment(segment_id)
    assert segment.gone_at is not None
    assert "deleted" in (segment.problem or "")
    assert stage.members(segment_id) == set(ids)


def test_a_renamed_segment_and_one_that_is_frozen_are_shown_as_they_are(stage: SegmentStage) -> None:
    relative = {
        "condition_groups": [
            {
                "conditions": [
                    {
                        "type": "profile-property",
                        "property": "x",
                        "filter": {"type": "date", "operator": "in-the-last", "unit": "day", "quantity": 30},
                    }
                ]
            }
        ]
    }
    segment_id = stage.select("VIP Gold", profile_ids=stage.people(2), definition=relative)
    stage.sandbox.change_segment(segment_id, name="VIP Platinum", is_active=False)
    stage.import_now(segment_id)
    segment = stage.segment(segment_id)
    assert (segment.name, segment.is_active, segment.is_relative) == ("VIP Platinum", False, True)


def test_a_token_that_expires_is_refreshed_and_one_that_is_revoked_waits_for_the_merchant(
    app: Flask, stage: SegmentStage
) -> None:
    ids = stage.people(150)
    segment_id = stage.select("VIP Gold", profile_ids=ids)
    stage.sandbox.expire_access()
    stage.import_now(segment_id)
    assert stage.members(segment_id) == set(ids)
    stage.sandbox.uninstall()
    stage.import_now(segment_id)
    assert factories.connection_of(app, stage.shop).state == ConnectionState.RECONNECT
    assert stage.members(segment_id) == set(ids)
    assert "Reconnect" in (stage.segment(segment_id).problem or "")
    with app.app_context():
        assert importer.import_due() == 0, "nothing is asked until the merchant has reconnected"
    factories.connect(app, stage.sandbox, stage.shop)
    stage.import_now(segment_id)
    assert stage.segment(segment_id).problem is None


def test_an_importer_that_lost_its_lease_writes_nothing(app: Flask, stage: SegmentStage) -> None:
    segment_id = stage.select("VIP Gold", profile_ids=stage.people(3))
    stage.make_due(segment_id)
    with app.app_context():
        (late,) = importer.claim_due()
        stage.make_due(segment_id)
        importer.import_due()
        with transaction(), pytest.raises(segment_runs.LostLeaseError):
            segment_runs.open_run(late, segment_parts.whole(), None, utcnow(), careful=False)
    assert len(stage.runs(segment_id)) == 1
    assert len(stage.members(segment_id)) == 3


def test_a_segment_that_is_no_longer_selected_is_left_alone(app: Flask, stage: SegmentStage) -> None:
    segment_id = stage.select("VIP Gold", profile_ids=stage.people(3))
    stage.choose(segment_id, selected=False)
    with app.app_context():
        assert importer.import_due() == 0


def test_a_large_segment_is_read_in_parts_beside_each_other_and_found_whole(
    stage: SegmentStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_parts, "DIVIDE_FROM", 500)
    ids = stage.people(1_500)
    segment_id = stage.select("Everybody", profile_ids=ids, joined_over_seconds=86_400)
    stage.import_now(segment_id)
    assert stage.members(segment_id) == set(ids)
    stage.sandbox.change_members(segment_id, "DELETE", profile_ids=ids[:15])
    stage.sandbox.change_members(segment_id, "POST", profile_ids=stage.people(15, "n"))
    stage.import_now(segment_id)
    run = stage.runs(segment_id)[-1]
    assert (run.state, run.members, run.joined, run.left) == (RunState.COMPLETE, 1_500, 15, 15)
