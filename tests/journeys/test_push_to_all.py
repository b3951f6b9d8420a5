"""A campaign to everybody who has the card at Google is one message there; to fewer it is one to each; a worker's death doubles none."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.jobs import pushes as push_jobs
from portal.models import Customer, Merchant, PushTarget, Wallet
from portal.services import push_to_all
from tests.factories import Shop
from tests.journeys.pushed import let_time_pass
from tests.klaviyo_account import Sandbox
from tests.phone import ANDROID, Phone
from tests.portal.jobs.campaign_stage import CampaignStage
from tests.waiting import eventually


@pytest.fixture
def stage(app: Flask, connected: Shop, monkeypatch: pytest.MonkeyPatch) -> CampaignStage:
    monkeypatch.setattr(push_to_all, "WORTH", 2)
    return CampaignStage(app, connected)


@pytest.fixture
def androids(app: Flask, stage: CampaignStage, sandbox: Sandbox, live_portal: str) -> dict[int, Phone]:
    """Two customers, each with the card on a phone of their own."""
    both = Phone(sandbox.url, ANDROID), Phone.one_more(sandbox.url, ANDROID)
    phones = dict(zip(stage.customers(2), both, strict=True))
    with app.app_context():
        slug = db.session.get_one(Merchant, stage.shop.id).slug
        tokens = {each: db.session.get_one(Customer, each).link_token for each in phones}
    for customer_id, phone in phones.items():
        phone.add(f"{live_portal}/{slug}/download?token={tokens[customer_id]}")
    eventually(lambda: all(_on_android(app, customer_id) for customer_id in phones))
    return phones


def _on_android(app: Flask, customer_id: int) -> bool:
    with app.app_context():
        return db.session.get_one(Customer, customer_id).on_android


def _campaign(stage: CampaignStage, name: str, customer_ids: list[int], message: str) -> None:
    campaign_id = stage.save([stage.segment(name, customer_ids)], message=message)
    stage.start(campaign_id)
    stage.work(campaign_id)


def _messages(phone: Phone, message: str) -> int:
    return [each["body"] for each in phone.card()["messages"]].count(message)


def _own(sandbox: Sandbox, phone: Phone) -> list[str]:
    """The messages that are the card's and not the programme's."""
    card: dict[str, Any] = sandbox.google("GET", f"cards/{phone.card()['serial']}")["card"]
    return [each["body"] for each in card.get("messages", [])]


def test_everybody_is_one_message_and_fewer_are_one_each(
    app: Flask, stage: CampaignStage, sandbox: Sandbox, androids: dict[int, Phone]
) -> None:
    everybody = list(androids)
    before = {each: len(phone.notices()) for each, phone in androids.items()}
    _campaign(stage, "all", everybody, "Hello everybody")
    _campaign(stage, "one", everybody[:1], "Hello you")
    with app.app_context():
        push_jobs.take_turn(stage.shop.id)
        states = db.session.scalars(select(PushTarget.state)).all()
    assert list(states) == ["delivered"] * 3
    assert [_messages(phone, "Hello everybody") for phone in androids.values()] == [1, 1]
    assert [_messages(phone, "Hello you") for phone in androids.values()] == [1, 0]
    assert [len(phone.notices()) - before[each] for each, phone in androids.items()] == [2, 1]
    assert [_own(sandbox, phone) for phone in androids.values()] == [["Hello you"], []]


def test_a_worker_that_dies_after_the_call_and_a_refusal_double_and_lose_nothing(
    app: Flask, stage: CampaignStage, sandbox: Sandbox, androids: dict[int, Phone]
) -> None:
    _campaign(stage, "all", list(androids), "Hello everybody")
    with app.app_context():
        with transaction():
            push_jobs.push_sending.send_due(stage.shop.id, utcnow())
        with transaction():
            errand = push_to_all.claim(stage.shop.id, utcnow())
        assert errand is not None
        push_to_all.send(errand)  # and it dies
    let_time_pass(app)
    with app.app_context():
        push_jobs.take_turn(stage.shop.id)
        query = select(PushTarget.state).where(PushTarget.wallet == Wallet.GOOGLE)
        assert db.session.scalars(query).all() == ["delivered"] * 2
    assert [_messages(phone, "Hello everybody") for phone in androids.values()] == [1, 1]
    assert [_own(sandbox, phone) for phone in androids.values()] == [[], []]

    sandbox.order("status", "/walletobjects/v1/loyaltyClass/", status=403, reason="quotaExceeded")
    _campaign(stage, "again", list(androids), "Hello again")
    with app.app_context():
        push_jobs.take_turn(stage.shop.id)
    assert [_messages(phone, "Hello again") for phone in androids.values()] == [1, 1]
    assert [_own(sandbox, phone) for phone in androids.values()] == [["Hello again"]] * 2
