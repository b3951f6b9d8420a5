"""Campaigns at work: each customer is assigned, told of and pushed to once, whoever works on it, and only while nothing is odd."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.errors import ConflictError, InvalidError, NotFoundError
from portal.jobs import campaigns as job
from portal.models import Campaign, CampaignStart, CampaignState, PushRules, Segment
from portal.services import assigning, audiences, campaign_results, campaigns
from tests import factories
from tests.factories import ACTOR, Shop
from tests.portal.jobs.campaign_stage import CampaignStage


@pytest.fixture
def stage(app: Flask, connected: Shop) -> CampaignStage:
    return CampaignStage(app, connected)


def test_everybody_in_the_audience_is_assigned_told_of_and_pushed_to_once(stage: CampaignStage) -> None:
    with_card, without = stage.customers(3, on_ios=True), stage.customers(2, "n")
    campaign_id = stage.save([stage.segment("VIP", [*with_card, *without])])
    stage.start(campaign_id)
    stage.work(campaign_id)
    assert stage.assigned(campaign_id) == sorted([*with_card, *without])
    assert stage.told() == 5
    assert stage.state(campaign_id) is CampaignState.RUNNING, "the pushes are still to be sent"
    shown = [push for push in stage.pushes() if push.state == "waiting"]
    assert sorted(push.customer_id for push in shown) == sorted(with_card)
    assert {push.message for push in shown} == {"Hi there, you have 0 points"}
    with stage.app.app_context():
        found = campaign_results.results(stage.campaign(campaign_id))
    counts = {outcome: number for outcome, number in found.counts.items() if number}
    assert counts == {"assigned": 5, "waiting": 3, "not_sent": 2}
    assert (found.not_sent, found.failed) == ({"no_installed_pass": 2}, {})


def test_two_workers_at_once_assign_nobody_twice(stage: CampaignStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assigning, "AT_ONCE", 7)
    ids = stage.customers(40, on_ios=True)
    campaign_id = stage.save([stage.segment("VIP", ids)])
    stage.start(campaign_id)
    workers = [threading.Thread(target=stage.work, args=(campaign_id,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert stage.assigned(campaign_id) == sorted(ids)
    assert stage.told() == 40
    assert sorted(push.customer_id for push in stage.pushes()) == sorted(ids)
    assert stage.campaign(campaign_id).assigned == 40


def test_a_worker_that_died_is_followed_by_one_that_goes_on(
    stage: CampaignStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assigning, "AT_ONCE", 4)
    ids = stage.customers(10)
    campaign_id = stage.save([stage.segment("VIP", ids)])
    stage.start(campaign_id)
    with stage.app.app_context(), transaction():
        assert assigning.assign_some(campaign_id, utcnow())
    assert len(stage.assigned(campaign_id)) == 4
    with time_machine.travel(utcnow() + timedelta(minutes=1)), stage.app.app_context():
        job.ring_for_due()
        stage.work(campaign_id)
    assert stage.assigned(campaign_id) == sorted(ids)
    assert stage.told() == 10


def test_whoever_is_to_be_left_out_or_does_not_fit_the_rule_gets_nothing(stage: CampaignStage) -> None:
    ids = stage.customers(5)
    vip, lost = stage.segment("VIP", ids), stage.segment("Lost", ids[:2])
    campaign_id = stage.save([vip], exclude=[lost])
    stage.start(campaign_id)
    stage.work(campaign_id)
    assert stage.assigned(campaign_id) == ids[2:]
    with stage.app.app_context():
        ruled = stage.campaign(stage.save([vip], card_status="installed"))
        assert audiences.count(ruled) == 0


def test_on_entering_assigns_those_who_join_from_then_on(stage: CampaignStage) -> None:
    ids = stage.customers(6)
    vip = stage.segment("VIP", ids[:3])
    campaign_id = stage.save([vip], start=CampaignStart.ON_ENTERING)
    stage.start(campaign_id)
    stage.work(campaign_id)
    assert stage.assigned(campaign_id) == []
    stage.join(vip, ids[4:])
    stage.work(campaign_id)
    stage.join(vip, ids[3:4])
    stage.work(campaign_id)
    assert stage.assigned(campaign_id) == ids[3:]
    assert stage.told() == 3
    assert stage.state(campaign_id) is CampaignState.RUNNING


@pytest.mark.parametrize(("joined", "state"), [(2, "finished"), (9, "needs_person")])
def test_a_scheduled_send_waits_for_a_person_when_the_audience_jumps(
    stage: CampaignStage, joined: int, state: str
) -> None:
    ids = stage.customers(20)
    vip = stage.segment("VIP", ids[:10])
    campaign_id = stage.save([vip], start=CampaignStart.AT, start_at=utcnow() + timedelta(hours=1))
    stage.start(campaign_id)
    assert stage.state(campaign_id) is CampaignState.SCHEDULED
    stage.work(campaign_id)
    assert stage.assigned(campaign_id) == [], "it is not time yet"
    stage.join(vip, ids[10 : 10 + joined])
    with time_machine.travel(utcnow() + timedelta(hours=2)):
        stage.work(campaign_id)
    assert stage.state(campaign_id) == state
    if state == "finished":
        return
    assert stage.assigned(campaign_id) == []
    reason = stage.campaign(campaign_id).reason or ""
    assert "from 10 to 19" in reason
    assert "Nothing was sent" in reason
    stage.start(campaign_id)
    stage.work(campaign_id)
    assert len(stage.assigned(campaign_id)) == 19


def test_a_schedule_whose_segment_is_no_longer_selected_sends_nothing(stage: CampaignStage) -> None:
    vip = stage.segment("VIP", stage.customers(2))
    campaign_id = stage.save([vip], start=CampaignStart.AT, start_at=utcnow() + timedelta(hours=1))
    stage.start(campaign_id)
    with stage.app.app_context(), transaction():
        db.session.scalars(select(Segment).where(Segment.id == vip)).one().selected_at = None
    with time_machine.travel(utcnow() + timedelta(hours=2)):
        stage.work(campaign_id)
    assert stage.state(campaign_id) is CampaignState.NEEDS_PERSON
    assert "no longer selected" in (stage.campaign(campaign_id).reason or "")
    with pytest.raises(ConflictError, match="no longer selected"):
        stage.start(campaign_id)


def test_a_campaign_to_nobody_is_not_started(stage: CampaignStage) -> None:
    campaign_id = stage.save([stage.segment("VIP", [])])
    with pytest.raises(ConflictError, match="Nobody is in the audience"):
        stage.start(campaign_id)


def test_paused_and_cancelled_campaigns_assign_nobody_else(
    stage: CampaignStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assigning, "AT_ONCE", 2)
    ids = stage.customers(6)
    campaign_id = stage.save([stage.segment("VIP", ids)])
    stage.start(campaign_id)
    _step(stage, campaign_id)
    _do(stage, campaigns.pause, campaign_id)
    _step(stage, campaign_id)
    assert len(stage.assigned(campaign_id)) == 2
    _do(stage, campaigns.resume, campaign_id)
    _step(stage, campaign_id)
    _do(stage, campaigns.cancel, campaign_id)
    stage.work(campaign_id)
    assert stage.state(campaign_id) is CampaignState.CANCELLED
    assert len(stage.assigned(campaign_id)) == 4


def _step(stage: CampaignStage, campaign_id: int) -> None:
    with stage.app.app_context(), transaction():
        assigning.assign_some(campaign_id, utcnow())


def _do(stage: CampaignStage, deed: Callable[[int, int, str], Campaign], campaign_id: int) -> None:
    with stage.app.app_context(), transaction():
        deed(stage.shop.id, campaign_id, ACTOR)


def test_where_all_pushes_are_paused_the_campaign_is_and_goes_on_later(stage: CampaignStage) -> None:
    campaign_id = stage.save([stage.segment("VIP", stage.customers(2, on_ios=True))])
    stage.start(campaign_id)
    with stage.app.app_context(), transaction():
        db.session.add(PushRules(merchant_id=stage.shop.id, paused=True))
    stage.work(campaign_id)
    assert stage.state(campaign_id) is CampaignState.PAUSED
    assert stage.assigned(campaign_id) == []
    assert "Resume them" in (stage.campaign(campaign_id).reason or "")
    with stage.app.app_context(), transaction():
        db.session.get_one(PushRules, stage.shop.id).paused = False
        campaigns.resume(stage.shop.id, campaign_id, ACTOR)
    stage.work(campaign_id)
    assert len(stage.assigned(campaign_id)) == 2


def test_a_foreign_campaign_and_a_foreign_segment_do_not_exist(stage: CampaignStage, app: Flask) -> None:
    vip = stage.segment("VIP", stage.customers(1))
    campaign_id = stage.save([vip])
    other = factories.make_shop(app, "Harbor Books")
    with app.app_context(), transaction():
        with pytest.raises(NotFoundError):
            campaigns.find(other.id, campaign_id)
        with pytest.raises(InvalidError, match="gone"):
            campaigns.save(other.id, None, stage.plan([vip]), ACTOR)
