"""Workers that are killed in the middle of a campaign, and schedules that run twice: everybody is assigned, told of and pushed to once."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal.db import db, transaction, utcnow
from portal.models import Assignment, Campaign, CampaignStart, CampaignState, CardMessage, Customer, Push
from portal.services import cards
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.portal.jobs.campaign_stage import CampaignStage
from tests.portal.services import card_cases
from tests.servers import Processes
from tests.waiting import eventually

ALL, WITH_CARD = 1_200, 20


def _put_on_phones(app: Flask, customer_ids: list[int]) -> None:
    with app.app_context():
        for customer_id in customer_ids:
            with transaction():
                customer = db.session.get_one(Customer, customer_id)
                customer.on_ios = True
                card = cards.card_of(customer)
            card_cases.on_phone(app, card)


def _come_due(app: Flask) -> None:
    """Time is moved, not slept: what a dead worker held comes due again."""
    with app.app_context(), transaction():
        moved = {"due_at": utcnow(), "start_at": utcnow() - timedelta(minutes=1)}
        db.session.execute(update(Campaign).where(Campaign.due_at.is_not(None)).values(**moved))


def _count(app: Flask, model: type[Assignment] | type[Push] | type[CardMessage]) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def _told(sandbox: Sandbox) -> Counter[str]:
    """How often Klaviyo has each."""
    return Counter(event["email"] for event in sandbox.events() if event["metric"] == "Campaign assigned")


@pytest.mark.settings(lease_seconds=2)
def test_workers_killed_in_the_middle_and_two_schedules_assign_tell_and_push_once(
    app: Flask, connected: Shop, sandbox: Sandbox, processes: Processes
) -> None:
    sandbox.set(limits=False)
    stage = CampaignStage(app, connected)
    ids = stage.customers(ALL)
    _put_on_phones(app, ids[-WITH_CARD:])
    vip = stage.segment("VIP", ids)
    campaign_id = stage.save([vip], start=CampaignStart.AT, start_at=utcnow() + timedelta(hours=1))
    stage.start(campaign_id)
    _come_due(app)
    processes.ticker()
    processes.ticker()
    workers = [processes.worker(), processes.worker()]
    for assigned in (1, ALL // 2):
        eventually(lambda: _count(app, Assignment) >= assigned)  # noqa: B023
        for victim in workers:
            processes.kill(victim)
        assert _count(app, Assignment) < ALL, "they were killed in the middle"
        workers = [processes.worker(), processes.worker()]
        _come_due(app)

    def finished() -> bool:
        return stage.state(campaign_id) is CampaignState.FINISHED

    eventually(finished, 120, every=0.2)
    assert stage.assigned(campaign_id) == sorted(ids)
    assert stage.campaign(campaign_id).assigned == ALL
    assert (stage.told(), _count(app, CardMessage)) == (ALL, WITH_CARD)
    assert len([push for push in stage.pushes() if push.sent_at]) == WITH_CARD
    assert eventually(lambda: len(_told(sandbox)) == ALL, 120, every=0.5)
    assert set(_told(sandbox).values()) == {1}
