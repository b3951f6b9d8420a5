"""Cards: one for each customer, a version for each change, and one kind of news in a version."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from portal.db import db, transaction, utcnow
from portal.jobs import cards as card_jobs
from portal.models import CardMessage, Customer, Device, Registration
from portal.services import card_versions, cards, designing, waking
from portal.services.apple_cards import balance_field
from portal.services.card_face import notifying_text
from portal.services.card_versions import HOLD
from tests import factories
from tests.factories import Shop
from tests.portal.services import card_cases


def _points(client: FlaskClient, shop: Shop, change: float, event_id: str) -> None:
    told = factories.event(event_id, properties={"change": change})
    assert factories.tell(client, shop, told).status_code == 202


def _fetch(app: Flask, card_id: int) -> None:
    """The phone fetches what is new."""
    with app.app_context(), transaction():
        registration = db.session.scalars(select(Registration).where(Registration.card_id == card_id)).one()
        card = cards.find(registration.merchant_id, _customer_of(card_id))
        assert card is not None
        registration.fetched_version = card.version


def _customer_of(card_id: int) -> int:
    query = select(Customer.id).join_from(Registration, Customer, Registration.card_id == card_id).limit(1)
    found = db.session.scalar(query)
    assert found is not None
    return found


def test_a_customer_has_one_card_however_often_it_is_asked_for(app: Flask, merchant: Shop) -> None:
    first = card_cases.card(app, merchant)
    again = card_cases.card(app, merchant)
    other = card_cases.card(app, merchant, "bob@example.com")
    assert first.id == again.id
    assert first.serial != other.serial
    assert first.token != other.token
    assert len(first.token or "") == 32
    assert 0 < first.version < other.version


def test_a_change_of_points_is_a_new_version_that_shows_them(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    card = card_cases.card(app, merchant)
    card_cases.on_phone(app, card)
    _points(client, merchant, 12.5, "one")
    assert card_cases.publish(app, merchant) == 1
    after = card_cases.reload(app, card)
    assert after.face["balance"] == 12.5
    assert after.version > card.version
    assert after.modified_at > card.modified_at
    assert after.due_at is None
    with app.app_context():
        assert db.session.scalars(select(Device.due_at)).one() is not None


def test_several_changes_at_once_are_one_version(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    card = card_cases.card(app, merchant)
    for number in range(3):
        _points(client, merchant, 10, f"event-{number}")
    card_cases.publish(app, merchant)
    after = card_cases.reload(app, card)
    assert (after.face["balance"], after.version) == (30, card.version + 1)


def test_phones_show_points_of_long_ago_and_do_not_notify_of_them(
    app: Flask, client: FlaskClient, merchant: Shop
) -> None:
    card, now = card_cases.card(app, merchant), utcnow() + card_cases.LATER
    past = factories.event("past", properties={"change": 7}, occurred_at=(utcnow() - timedelta(days=400)).isoformat())
    assert factories.tell(client, merchant, past).status_code == 202
    card_cases.publish(app, merchant, now)
    quiet = card_cases.reload(app, card)
    assert quiet.face["balance"] == 7
    _points(client, merchant, 1, "today")
    card_cases.publish(app, merchant, now)
    after = card_cases.reload(app, card)
    assert after.version == quiet.version + 1
    with app.app_context():
        design = designing.newest(merchant.id)
        assert balance_field(design, quiet.face).change_message is None
        assert balance_field(design, after.face).change_message


def test_phones_do_not_notify_of_long_ago_a_second_time_of_the_points_of_today(
    app: Flask, client: FlaskClient, merchant: Shop
) -> None:
    card, later = card_cases.card(app, merchant), utcnow() + timedelta(minutes=2)
    _points(client, merchant, 1, "today")
    card_cases.publish(app, merchant, later)
    shown = card_cases.reload(app, card)
    past = factories.event("past", properties={"change": 7}, occurred_at=(utcnow() - timedelta(days=400)).isoformat())
    assert factories.tell(client, merchant, past).status_code == 202
    card_cases.publish(app, merchant, later + timedelta(minutes=2))
    after = card_cases.reload(app, card)
    assert (shown.face["balance"], after.face["balance"]) == (1, 8)
    with app.app_context():
        design = designing.newest(merchant.id)
        assert balance_field(design, shown.face).change_message
        assert balance_field(design, after.face).change_message is None


def test_what_changes_nothing_on_the_card_makes_no_version(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    card = card_cases.card(app, merchant)
    with app.app_context(), transaction():
        cards.touch(merchant.id, [card.customer_id])
    assert card_cases.publish(app, merchant) == 1
    assert card_cases.reload(app, card).version == card.version
    assert card_cases.publish(app, merchant) == 0


def test_versions_of_the_same_second_are_a_second_apart(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    card, now = card_cases.card(app, merchant), utcnow() + card_cases.LATER
    times = [card.modified_at]
    for number in range(3):
        _points(client, merchant, 1, f"event-{number}")
        card_cases.publish(app, merchant, now)
        times.append(card_cases.reload(app, card).modified_at)
    assert times == sorted(set(times))
    assert all(each.microsecond == 0 for each in times)


def test_the_version_of_a_clock_that_was_set_back_is_later_all_the_same(
    app: Flask, client: FlaskClient, merchant: Shop
) -> None:
    card = card_cases.card(app, merchant)
    card_cases.say(app, card, "Hello")
    with app.app_context(), transaction():
        held = cards.find(merchant.id, card.customer_id)
        assert held is not None
        held.due_at = utcnow() - timedelta(days=2)
    card_cases.publish(app, merchant, utcnow() - timedelta(days=1))
    after = card_cases.reload(app, card)
    assert after.version > card.version
    assert after.modified_at > card.modified_at


def test_a_message_is_shown_in_a_version_of_its_own(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    card = card_cases.card(app, merchant)
    card_cases.on_phone(app, card)
    _points(client, merchant, 10, "points")
    message_id = card_cases.say(app, card, "Your reward is ready!", "https://shop.example/rewards")

    now = utcnow() + card_cases.LATER
    card_cases.publish(app, merchant, now)
    with_points = card_cases.reload(app, card)
    assert (with_points.face["balance"], "message" in with_points.face) == (10, False)

    # The phone has not fetched the points: the message waits, for a while.
    card_cases.publish(app, merchant, now + timedelta(seconds=1))
    assert card_cases.reload(app, card).version == with_points.version
    _fetch(app, card.id)
    card_cases.publish(app, merchant, now + HOLD)
    with_message = card_cases.reload(app, card)
    assert with_message.face["message"]["text"] == "Your reward is ready!"
    assert with_message.face["balance"] == 10
    with app.app_context():
        message = db.session.get(CardMessage, message_id)
        assert message is not None
        assert message.version == with_message.version


def test_a_message_comes_before_cards_that_are_looked_at_because_a_rule_has_changed(app: Flask, merchant: Shop) -> None:
    many = [card_cases.card(app, merchant, f"c{number}@example.com") for number in range(3)]
    for card in many:
        card_cases.on_phone(app, card)
    with app.app_context(), transaction():
        db.session.execute(update(Customer).where(Customer.id != many[2].customer_id).values(first_name="Ada"))
        cards.touch_all(merchant.id)
    card_cases.say(app, many[2], "Hello")
    with app.app_context():
        with transaction():
            assert card_versions.publish(merchant.id, utcnow(), limit=1) == 1
        assert [card_cases.reload(app, card).version > card.version for card in many] == [False, False, True]


def test_a_phone_with_a_message_is_woken_before_the_others(
    app: Flask, merchant: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [card_cases.card(app, merchant, f"c{number}@example.com") for number in range(3)]
    phones = [card_cases.on_phone(app, card) for card in many]
    with app.app_context():
        with transaction():
            db.session.execute(update(Customer).where(Customer.id != many[2].customer_id).values(first_name="Ada"))
            cards.touch_all(merchant.id)
        monkeypatch.setattr(card_versions, "AT_ONCE", 1)
        assert card_jobs._make_versions(merchant.id, time.monotonic() + 60) is False
        card_cases.say(app, many[2], "Hello")
        assert card_jobs._make_versions(merchant.id, time.monotonic() + 60) is True, "it is woken first"
        with transaction():
            (wake,) = waking.claim(merchant.id, "pass.com.example.loyalty", utcnow(), 1)
    assert wake.device_id == phones[2]


def test_a_phone_that_stays_away_holds_nothing_up_for_long(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    card, now = card_cases.card(app, merchant), utcnow() + card_cases.LATER
    card_cases.on_phone(app, card)
    card_cases.say(app, card, "First")
    card_cases.say(app, card, "Second")
    card_cases.publish(app, merchant, now)
    assert card_cases.reload(app, card).face["message"]["text"] == "First"
    card_cases.publish(app, merchant, now + HOLD + timedelta(seconds=1))
    assert card_cases.reload(app, card).face["message"]["text"] == "Second"


def test_the_same_message_again_is_another_text_to_a_phone(app: Flask, merchant: Shop) -> None:
    card, now = card_cases.card(app, merchant), utcnow() + card_cases.LATER
    texts: list[Any] = []
    for _ in range(3):
        card_cases.say(app, card, "Come in")
        card_cases.publish(app, merchant, now)
        texts.append(notifying_text(card_cases.reload(app, card).face["message"]))
    assert len(set(texts)) == 3
    assert {text.rstrip("\u200b\u200c") for text in texts} == {"Come in"}


def test_a_customer_without_a_card_cannot_be_told_anything(app: Flask, merchant: Shop) -> None:
    customer_id = card_cases.customer(app, merchant)
    with app.app_context(), transaction():
        assert cards.show_messages(merchant.id, [cards.Said(customer_id, "Hello")]) == [None]


def test_another_merchants_card_says_nothing_for_us(app: Flask, merchant: Shop) -> None:
    theirs = card_cases.card(app, factories.make_shop(app, "Other"))
    with app.app_context(), transaction():
        assert cards.show_messages(merchant.id, [cards.Said(theirs.customer_id, "Hello")]) == [None]


def test_a_new_design_looks_at_every_card_that_is_on_a_phone(app: Flask, merchant: Shop) -> None:
    installed, other = card_cases.card(app, merchant), card_cases.card(app, merchant, "bob@example.com")
    card_cases.on_phone(app, installed)
    with app.app_context(), transaction():
        cards.touch_all(merchant.id)
    assert card_cases.reload(app, installed).due_at is not None
    assert card_cases.reload(app, other).due_at is None


def test_messages_are_forgotten_once_they_are_old_but_never_the_last_that_a_card_shows(
    app: Flask, merchant: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "FORGET_AT_ONCE", 1)
    card, now = card_cases.card(app, merchant), utcnow()
    said = [card_cases.say(app, card, text) for text in ("One", "Two", "Three", "Four")]
    for minutes in (1, 2, 3):
        card_cases.publish(app, merchant, now + timedelta(minutes=minutes))
    with app.app_context():
        with transaction():
            assert cards.forget_messages(now + timedelta(days=89)) == 0
        with time_machine.travel(now + timedelta(days=91)):
            card_jobs.forget_messages()
        assert list(db.session.scalars(select(CardMessage.id).order_by(CardMessage.id))) == said[2:]
        waiting = db.session.get_one(CardMessage, said[3])
        assert waiting.version is None
