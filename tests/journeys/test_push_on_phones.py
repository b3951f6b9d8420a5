"""A push appears once on the iPhone and once on the Android phone, whatever dies; what became of it is known and told to Klaviyo."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.jobs import pushes as push_jobs
from portal.models import CardMessage, Event, PushTarget, Wallet
from portal.services import push_google, push_outcomes
from tests.factories import Shop
from tests.journeys.pushed import ask, see, shown, work
from tests.phone import Phone


def _look(app: Flask, shop: Shop) -> None:
    """At once, without waiting for the next look to be due."""
    with app.app_context():
        with transaction():
            for target in db.session.scalars(select(PushTarget).where(PushTarget.wallet == Wallet.APPLE)):
                target.due_at = target.due_at and utcnow()
        push_jobs.take_turn(shop.id)


def test_a_push_is_on_both_phones_once_and_klaviyo_hears_of_it(
    app: Flask, client: FlaskClient, connected: Shop, phones: tuple[Phone, Phone]
) -> None:
    iphone, android = phones
    push_id = ask(client, connected, "Your reward is ready!", url="https://yourstore.com/rewards")
    assert ask(client, connected, "Your reward is ready!", url="https://yourstore.com/rewards") == push_id
    for _ in range(2):
        work(app, connected)
        iphone.settled()
        _look(app, connected)
    assert shown(iphone) == ["Your reward is ready!"]
    assert len(android.notices()) == 1
    (message,) = android.card()["messages"]
    assert message["body"].startswith("Your reward is ready!\n")
    seen = see(client, connected, push_id)
    assert seen["state"] == "delivered"
    assert [(each["channel"], each["state"]) for each in seen["devices"]] == [
        ("apple", "delivered"),
        ("google", "delivered"),
    ]
    with app.app_context():
        told = db.session.scalars(select(Event).where(Event.type == "push_outcome")).all()
        assert [(event.unsent, '"outcome":"delivered"' in event.properties) for event in told] == [(None, True)]


def test_google_is_told_once_though_the_worker_dies_before_it_is_written_down(
    app: Flask, client: FlaskClient, connected: Shop, phones: tuple[Phone, Phone]
) -> None:
    _, android = phones
    push_id = ask(client, connected, "Hello")
    with app.app_context():
        with transaction():
            assert push_jobs.push_sending.send_due(connected.id, utcnow()) == 1
        for _ in range(2):  # claimed and sent, never settled; then its lease runs out
            with transaction():
                for target in db.session.scalars(select(PushTarget)):
                    target.due_at = utcnow()
            with transaction():
                errands = push_google.claim(connected.id, utcnow())
            replies = [push_google.send(errand) for errand in errands]
        with transaction():
            for errand, (reply, message) in zip(errands, replies, strict=True):
                push_google.settle(errand, reply, message, utcnow())
        assert len(db.session.scalars(select(CardMessage)).all()) == 1
    assert len(android.notices()) == 1
    assert len(android.card()["messages"]) == 1
    assert see(client, connected, push_id)["state"] == "delivered"


def test_the_fourth_push_of_a_day_is_silent_on_android_without_google_refusing_it(
    app: Flask, client: FlaskClient, connected: Shop, phones: tuple[Phone, Phone]
) -> None:
    _, android = phones
    pushed = [ask(client, connected, f"Number {number}") for number in range(4)]
    work(app, connected)
    assert len(android.notices()) == 3
    assert len(android.card()["messages"]) == 4
    with app.app_context():
        query = select(PushTarget).where(PushTarget.wallet == Wallet.GOOGLE).order_by(PushTarget.push_id)
        targets = db.session.scalars(query).all()
        assert [target.notifies for target in targets] == [True, True, True, False]
        assert targets[-1].answer == push_google.SILENT
    assert see(client, connected, pushed[-1])["state"] == "delivered"


def test_a_phone_that_never_fetches_fails_after_three_days(
    app: Flask, client: FlaskClient, connected: Shop, phones: tuple[Phone, Phone]
) -> None:
    push_id = ask(client, connected, "Hello")
    with app.app_context():
        push_jobs.take_turn(connected.id)
        with transaction():
            for target in db.session.scalars(select(PushTarget).where(PushTarget.wallet == Wallet.APPLE)):
                target.sent_at, target.due_at = utcnow() - push_outcomes.GIVEN_UP_AFTER * 2, utcnow()
        push_jobs.take_turn(connected.id)
        states = {target.wallet: target.state for target in db.session.scalars(select(PushTarget))}
    assert states == {"apple": "failed", "google": "delivered"}
    assert see(client, connected, push_id)["state"] == "delivered"
