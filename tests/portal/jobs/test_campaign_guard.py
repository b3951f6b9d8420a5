"""When many join at once, or an audience is no longer what was looked at: nothing is sent before a person has decided."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from portal.db import transaction
from portal.errors import ConflictError
from portal.models import Campaign, CampaignStart, CampaignState
from portal.services import campaign_guard, campaigns
from tests.factories import ACTOR, Shop
from tests.portal.jobs.campaign_stage import CampaignStage


@pytest.fixture
def stage(app: Flask, connected: Shop) -> CampaignStage:
    return CampaignStage(app, connected)


def _do(stage: CampaignStage, deed: Callable[[int, int, str], Campaign], campaign_id: int) -> None:
    with stage.app.app_context(), transaction():
        deed(stage.shop.id, campaign_id, ACTOR)


def _entering(stage: CampaignStage, segment_id: int) -> int:
    campaign_id = stage.save([segment_id], start=CampaignStart.ON_ENTERING)
    stage.start(campaign_id)
    return campaign_id


@pytest.mark.parametrize(("decision", "in_the_end"), [(campaigns.start, 22), (campaigns.leave_out, 2)])
def test_many_who_join_at_one_import_wait_for_a_person_who_lets_them_in_or_leaves_them_out(
    stage: CampaignStage, decision: Callable[[int, int, str], Campaign], in_the_end: int
) -> None:
    ids = stage.customers(62)
    vip = stage.segment("VIP", ids[:40])
    campaign_id = _entering(stage, vip)
    stage.join(vip, ids[40:60])
    stage.work(campaign_id)
    stage.work(campaign_id)
    assert stage.state(campaign_id) is CampaignState.NEEDS_PERSON
    assert stage.assigned(campaign_id) == []
    reason = stage.campaign(campaign_id).reason or ""
    assert "20 customers joined “VIP” at one import, more than 30 % of the 40" in reason
    assert "Nothing was sent to them" in reason
    stage.join(vip, ids[60:])
    _do(stage, decision, campaign_id)
    stage.work(campaign_id)
    assert stage.state(campaign_id) is CampaignState.RUNNING
    assert stage.assigned(campaign_id) == ids[-in_the_end:]


def test_a_few_who_join_never_wait_and_steady_growth_does_not_add_up(stage: CampaignStage) -> None:
    ids = stage.customers(50)
    vip = stage.segment("VIP", [])
    campaign_id = _entering(stage, vip)
    for start, end in ((0, 10), (10, 20), (20, 30), (30, 39), (39, 50)):
        stage.join(vip, ids[start:end])
        stage.work(campaign_id)
    assert stage.assigned(campaign_id) == ids
    assert stage.state(campaign_id) is CampaignState.RUNNING


def test_an_audience_that_collapsed_waits_too_although_hardly_anybody_joined(stage: CampaignStage) -> None:
    ids = stage.customers(31)
    vip, lost = stage.segment("VIP", ids[:30]), stage.segment("Lost", [])
    campaign_id = stage.save([vip], exclude=[lost], start=CampaignStart.ON_ENTERING)
    stage.start(campaign_id)
    stage.join(lost, ids[:20])
    stage.join(vip, ids[30:])
    stage.work(campaign_id)
    assert stage.state(campaign_id) is CampaignState.NEEDS_PERSON
    assert "shrunk from 30 to 11" in (stage.campaign(campaign_id).reason or "")


def test_an_audience_that_jumps_while_a_person_looks_at_it_is_not_sent_to(stage: CampaignStage) -> None:
    ids = stage.customers(10)
    vip = stage.segment("VIP", ids[:5])
    campaign_id = stage.save([vip])
    stage.join(vip, ids[5:])
    with stage.app.app_context(), transaction(), pytest.raises(ConflictError, match="from 5 to 10"):
        campaigns.start(stage.shop.id, campaign_id, ACTOR, seen=5)
    assert stage.state(campaign_id) is CampaignState.DRAFT
    with stage.app.app_context(), transaction():
        campaigns.start(stage.shop.id, campaign_id, ACTOR, seen=10)
    stage.work(campaign_id)
    assert stage.assigned(campaign_id) == ids


@pytest.mark.parametrize(
    ("before", "present", "odd"), [(100, 130, False), (100, 131, True), (100, 69, True), (0, 0, False), (0, 1, True)]
)
def test_the_share_counts_in_both_directions(before: int, present: int, odd: bool) -> None:
    assert campaign_guard.is_odd(before, present, 30) is odd
