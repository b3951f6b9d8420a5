"""A campaign's pushes on their way: held and given up with it, in step with what can go out, and what became of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.jobs import pushes as push_job
from portal.models import Campaign, CampaignState, Card, Customer, Merchant, Push, PushRules, PushTarget, Registration
from portal.services import assigning, campaign_openings, campaign_results, campaigns, card_links, cards
from portal.services.campaign_results import Outcome
from tests import factories
from tests.factories import ACTOR, Shop
from tests.klaviyo_account import HARBOR, Sandbox
from tests.portal.jobs.campaign_stage import CampaignStage
from tests.portal.services import card_cases


@pytest.fixture
def stage(app: Flask, connected: Shop) -> CampaignStage:
    return CampaignStage(app, connected)


def _do(stage: CampaignStage, deed: Callable[[int, int, str], Campaign], campaign_id: int) -> None:
    with stage.app.app_context(), transaction():
        deed(stage.shop.id, campaign_id, ACTOR)


def _quiet(stage: CampaignStage) -> None:
    """From nine in the evening until eight, by the shop's clock."""
    with stage.app.app_context(), transaction():
        rules = PushRules(merchant_id=stage.shop.id, paused=False, tells_klaviyo=False)
        rules.quiet_from, rules.quiet_until = 21 * 60, 8 * 60
        db.session.add(rules)


def _with_cards(stage: CampaignStage, number: int) -> list[int]:
    """Customers whose phones have the card as it is."""
    ids = stage.customers(number, on_ios=True)
    with stage.app.app_context():
        for customer_id in ids:
            with transaction():
                card = cards.card_of(db.session.get_one(Customer, customer_id))
            card_cases.on_phone(stage.app, card)
    return ids


def _states(stage: CampaignStage) -> Counter[str]:
    return Counter(push.reason or push.state for push in stage.pushes())


def _push(stage: CampaignStage) -> None:
    with stage.app.app_context():
        push_job.take_turn(stage.shop.id)


def test_pushes_that_wait_for_the_morning_are_held_by_a_pause_and_given_up_by_a_cancel(stage: CampaignStage) -> None:
    _quiet(stage)
    ids = _with_cards(stage, 3)
    with time_machine.travel("2031-01-10T22:00:00+01:00", tick=False) as clock:
        campaign_id = stage.save([stage.segment("VIP", ids)])
        stage.start(campaign_id)
        stage.work(campaign_id)
        stage.push(campaign_id)
        assert stage.state(campaign_id) is CampaignState.RUNNING, "it can be stopped as long as something waits"
        _do(stage, campaigns.pause, campaign_id)
        clock.shift(timedelta(hours=11))
        _push(stage)
        assert _states(stage) == {"waiting": 3}
        _do(stage, campaigns.resume, campaign_id)
        _do(stage, campaigns.cancel, campaign_id)
        _push(stage)
    assert _states(stage) == {"cancelled": 3}
    assert stage.state(campaign_id) is CampaignState.CANCELLED


def test_what_waited_for_the_morning_is_sent_then_and_ends_the_campaign(stage: CampaignStage) -> None:
    _quiet(stage)
    with time_machine.travel("2031-01-10T22:00:00+01:00", tick=False) as clock:
        campaign_id = stage.save([stage.segment("VIP", _with_cards(stage, 2))])
        stage.start(campaign_id)
        stage.work(campaign_id)
        _push(stage)
        clock.shift(timedelta(hours=11))
        stage.push(campaign_id)
    assert _states(stage) == {"sent": 2}
    assert stage.state(campaign_id) is CampaignState.FINISHED


def test_nobody_else_is_assigned_while_much_of_the_merchants_waits_to_go_out(
    stage: CampaignStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assigning, "AT_ONCE", 2)
    monkeypatch.setattr(assigning, "MOST_PUSHES", 4)
    ids = stage.customers(7, on_ios=True)
    campaign_id = stage.save([stage.segment("VIP", ids)])
    stage.start(campaign_id)
    for assigned, is_told in ((4, True), (7, False)):
        stage.work(campaign_id)
        assert len(stage.assigned(campaign_id)) == assigned
        assert (campaign_results.seconds_left(stage.campaign(campaign_id), utcnow()) is not None) is is_told
        _push(stage)
    stage.work(campaign_id)
    assert stage.state(campaign_id) is CampaignState.FINISHED


def test_one_merchants_line_does_not_hold_up_anothers_campaign(
    stage: CampaignStage, app: Flask, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assigning, "MOST_PUSHES", 3)
    harbor = factories.make_shop(app, "Harbor Books")
    factories.connect(app, sandbox, harbor, HARBOR)
    other = CampaignStage(app, harbor)
    assigned = []
    for shop, name, number in ((stage, "first", 5), (stage, "second", 1), (other, "theirs", 1)):
        campaign_id = shop.save([shop.segment(name, shop.customers(number, name, on_ios=True))])
        shop.start(campaign_id)
        shop.work(campaign_id)
        assigned.append(len(shop.assigned(campaign_id)))
    assert assigned == [5, 0, 1]


# --- what became of it ---------------------------------------------------------------------------


def _fetch(stage: CampaignStage, customer_id: int) -> None:
    """The customer's phone has the newest card."""
    with stage.app.app_context(), transaction():
        card = db.session.scalars(select(Card).where(Card.customer_id == customer_id)).one()
        mine = select(Registration).where(Registration.card_id == card.id)
        db.session.scalars(mine).one().fetched_version = card.version
        for target in db.session.scalars(select(PushTarget)):
            target.due_at = utcnow()


def _link(stage: CampaignStage, customer_id: int) -> str:
    """Where the link of the customer's message is followed, as a path."""
    with stage.app.app_context():
        customer = db.session.get_one(Customer, customer_id)
        push_id = db.session.scalars(select(Push.id).where(Push.customer_id == customer_id)).one()
        target = db.session.scalars(select(PushTarget).where(PushTarget.push_id == push_id)).one()
        url = card_links.message(db.session.get_one(Merchant, stage.shop.id), customer, target.message_id)
        return url.partition("/")[2].partition("/")[2].partition("/")[2]


def _counts(stage: CampaignStage, campaign_id: int) -> dict[Outcome, int]:
    """All that are not zero; the list behind each number has so many rows."""
    with stage.app.app_context():
        campaign = stage.campaign(campaign_id)
        counts = campaign_results.results(campaign).counts
        for outcome, number in counts.items():
            assert len(campaign_results.page(campaign, outcome)[0]) == number, outcome
        return {outcome: number for outcome, number in counts.items() if number}


def test_each_customer_is_followed_from_assigned_to_opened_with_a_list_behind_each_number(
    stage: CampaignStage, client: FlaskClient
) -> None:
    phones, without = _with_cards(stage, 3), stage.customers(1, "n")
    campaign_id = stage.save([stage.segment("VIP", [*phones, *without])], url="https://yourstore.com/autumn")
    stage.start(campaign_id)
    stage.work(campaign_id)
    assert _counts(stage, campaign_id) == {"assigned": 4, "waiting": 3, "not_sent": 1}
    stage.push(campaign_id)
    assert _counts(stage, campaign_id) == {"assigned": 4, "sent": 3, "on_its_way": 3, "not_sent": 1}
    card_cases.publish(stage.app, stage.shop)
    _fetch(stage, phones[0])
    _push(stage)
    assert _counts(stage, campaign_id) == {"assigned": 4, "sent": 3, "fetched": 1, "on_its_way": 2, "not_sent": 1}
    client.get(_link(stage, phones[0]), headers={"User-Agent": "WhatsApp/2.24 A"})
    assert "opened" not in _counts(stage, campaign_id), "a preview is nobody"
    for _ in range(2):
        assert client.get(_link(stage, phones[0])).status_code == 302
    assert _counts(stage, campaign_id)["opened"] == 1
    with stage.app.app_context():
        (fate,) = campaign_results.of_customer(db.session.get_one(Customer, phones[0]))
    assert (fate.outcome, fate.assignment.opened_by, fate.campaign.id) == ("opened", "link", campaign_id)


def test_opening_the_card_counts_for_the_last_campaign_of_that_day_and_its_link_counts_more(
    stage: CampaignStage, client: FlaskClient
) -> None:
    (customer_id,) = _with_cards(stage, 1)
    vip = stage.segment("VIP", [customer_id])
    first, second = (stage.save([vip], name=name, url="https://yourstore.com/a") for name in ("First", "Second"))
    for campaign_id in (first, second):
        stage.start(campaign_id)
        stage.work(campaign_id)
        stage.push(campaign_id)
    with stage.app.app_context(), transaction():
        campaign_openings.note_card(customer_id, utcnow() + timedelta(hours=25))
    assert _openings(stage, customer_id) == {"First": None, "Second": None}
    with stage.app.app_context(), transaction():
        campaign_openings.note_card(customer_id, utcnow())
    assert _openings(stage, customer_id) == {"First": None, "Second": "card"}
    with stage.app.app_context():
        message_id = db.session.scalars(select(PushTarget.message_id).order_by(PushTarget.message_id.desc())).first()
        with transaction():
            campaign_openings.note_link(message_id or 0, utcnow())
    assert _openings(stage, customer_id) == {"First": None, "Second": "link"}


def _openings(stage: CampaignStage, customer_id: int) -> dict[str, str | None]:
    with stage.app.app_context():
        fates = campaign_results.of_customer(db.session.get_one(Customer, customer_id))
        return {fate.campaign.name: fate.assignment.opened_by for fate in fates}
