"""What stopped a message for one customer is said in a sentence, whatever it was, and the whole chain stands below it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.db import db, transaction, utcnow
from portal.models import (
    Assignment,
    Call,
    Campaign,
    CampaignStart,
    ConnectionState,
    Customer,
    Delivery,
    DeliveryState,
    Event,
    ProfileSync,
    Push,
    PushReason,
    PushRules,
    PushState,
    Unsent,
    Wallet,
)
from portal.services import push_sending, suppressing, wallet_health
from portal.services.push_reports import REASONS, REMEDIES
from portal.services.tracing import trace
from portal.web.words import PUSH_REASONS
from tests import factories
from tests.factories import Shop
from tests.portal.blueprints import pages
from tests.portal.services import push_cases

EMAIL = "ada@example.com"
Cause = Callable[[Shop, Customer], None]


def _rules(shop: Shop, _: Customer) -> None:
    db.session.add(PushRules(merchant_id=shop.id, paused=True, tells_klaviyo=False))


def _suppressed(shop: Shop, customer: Customer) -> None:
    suppressing.suppress(shop.id, customer.id, "Asked us", shop.email)


def _unreachable(_: Shop, customer: Customer) -> None:
    customer.email = customer.klaviyo_profile_id = None


def _refused_profile(shop: Shop, customer: Customer) -> None:
    _profile(shop, customer).problem = "Klaviyo says that the address is not valid."


def _held_profile(shop: Shop, customer: Customer) -> None:
    _profile(shop, customer).held = True


def _profile(shop: Shop, customer: Customer) -> ProfileSync:
    found = db.session.get(ProfileSync, customer.id)
    if found is None:
        found = ProfileSync(customer_id=customer.id, merchant_id=shop.id)
        db.session.add(found)
    return found


def _event(state: str) -> Cause:
    def change(_: Shop, customer: Customer) -> None:
        event = db.session.scalars(db.select(Event).where(Event.customer_id == customer.id)).one()
        delivery = db.session.get_one(Delivery, event.id)
        if state == "not_sent":
            db.session.delete(delivery)
            event.unsent = Unsent.TYPE_OFF
        elif state == "failed":
            delivery.state, delivery.reason = DeliveryState.DEAD, "Klaviyo did not like the time."
        elif state == "delivered":
            delivery.state = DeliveryState.DELIVERED

    return change


def _campaign(shop: Shop, customer: Customer) -> None:
    campaign = Campaign(
        id=7, merchant_id=shop.id, name="Autumn roast", message="Hi", start=CampaignStart.NOW, guard_percent=10,
        created_by=shop.email,
    )  # fmt: skip
    db.session.add(campaign)
    db.session.flush()
    told = {"campaign_id": 7, "customer_id": customer.id, "assigned_at": utcnow()}
    db.session.add(Assignment(**told, refused=PushReason.NO_INSTALLED_PASS))


def _without_card(shop: Shop, customer: Customer) -> None:
    _event("delivered")(shop, customer)
    customer.card_status = "not_installed"


CAUSES: list[tuple[Cause, str]] = [
    (_rules, "Pushes are paused for everybody"),
    (_suppressed, "This customer gets no pushes"),
    (_campaign, "The campaign Autumn roast reached the customer, but no push went out."),
    (_unreachable, "Klaviyo cannot be told of this customer"),
    (_refused_profile, "Klaviyo refused the customer's profile: Klaviyo says that the address is not valid."),
    (_held_profile, "another customer's too"),
    (_event("failed"), "Balance changed, did not reach Klaviyo, so no flow started with it. Klaviyo did not like"),
    (_event("not_sent"), "You chose not to send this kind of event"),
    (_event("waiting"), "still waits for Klaviyo; it goes out by itself"),
    (_without_card, "The customer has no card on a phone"),
    (_event("delivered"), "no push was asked for. Klaviyo has the last event"),
]


@pytest.fixture
def ada(app: Flask, client: FlaskClient, connected: Shop) -> int:
    """Somebody with a card, of whom one event was told."""
    assert factories.tell(client, connected, factories.event("order-1", EMAIL)).status_code == 202
    with app.app_context(), transaction():
        customer = db.session.scalars(db.select(Customer).where(Customer.email == EMAIL)).one()
        customer.on_ios, customer.card_status = True, "installed"
        return customer.id


def _verdict(app: Flask, customer_id: int) -> str:
    with app.app_context():
        return str(trace(db.session.get_one(Customer, customer_id)).verdict)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("cause", "said"), CAUSES, ids=[said[:30] for _, said in CAUSES])
def test_each_cause_before_a_push_is_said(app: Flask, connected: Shop, ada: int, cause: Cause, said: str) -> None:
    with app.app_context(), transaction():
        cause(connected, db.session.get_one(Customer, ada))
    assert said in _verdict(app, ada)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("state", "said"),
    [
        (ConnectionState.DISCONNECTED, "Klaviyo is not connected"),
        (ConnectionState.RECONNECT, "Klaviyo no longer accepts our access"),
    ],
)
def test_a_connection_that_is_gone_is_said(
    app: Flask, connected: Shop, ada: int, state: ConnectionState, said: str
) -> None:
    factories.change_connection(app, connected, state=state)
    assert said in _verdict(app, ada)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_while_klaviyo_rests_the_last_event_waits_for_that(app: Flask, connected: Shop, ada: int) -> None:
    later = utcnow() + timedelta(minutes=5)
    factories.change_connection(app, connected, paused_until=later, pause_reason="Klaviyo is busy")
    assert "still waits: Klaviyo is busy" in _verdict(app, ada)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("reason", list(PushReason))
def test_each_reason_of_a_push_is_said_with_what_to_do(
    app: Flask, connected: Shop, ada: int, reason: PushReason
) -> None:
    push_id = push_cases.push(app, connected, ada, "Hello")
    state = PushState.FAILED if reason in (PushReason.NOT_FETCHED, PushReason.REFUSED) else PushState.SKIPPED
    push_cases.settle(app, push_id, state, reason)
    said = _verdict(app, ada)
    assert said.startswith("The last push was not shown.")
    assert said.count(". ") >= 2, "what happened, and what to do"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_push_under_way_is_said_with_what_it_waits_for(app: Flask, connected: Shop, ada: int) -> None:
    push_id = push_cases.push(app, connected, ada, "Hello")
    assert "about to be written on the card" in _verdict(app, ada)
    with app.app_context(), transaction():
        db.session.get_one(Push, push_id).due_at = utcnow() + timedelta(hours=3)
    assert "waits for the end of your quiet hours" in _verdict(app, ada)
    with app.app_context(), transaction():
        db.session.get_one(Push, push_id).due_at = None
    assert "waits until its campaign goes on" in _verdict(app, ada)
    push_cases.put_on_phone(app, connected, ada)
    with app.app_context(), transaction():
        db.session.get_one(Push, push_id).due_at = utcnow()
        db.session.flush()
        push_sending.send_due(connected.id, utcnow())
    assert "The last push is on its way: the iPhone is about to be woken." in _verdict(app, ada)
    with app.app_context(), transaction():
        wallet_health.note_problem(connected.id, Wallet.APPLE, "Apple no longer accepts the certificate.", utcnow())
    assert "cannot reach the phone: Apple no longer accepts the certificate." in _verdict(app, ada)


def test_every_reason_has_a_name_a_sentence_and_a_remedy() -> None:
    assert set(PUSH_REASONS) == set(PushReason) == set(REASONS) == set(REMEDIES)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_push_that_was_delivered_has_been_stopped_by_nothing(app: Flask, connected: Shop, ada: int) -> None:
    push_cases.settle(app, push_cases.push(app, connected, ada, "Hello"), PushState.DELIVERED, None)
    with app.app_context(), transaction():
        _event("delivered")(connected, db.session.get_one(Customer, ada))
    assert "the last push was delivered" in _verdict(app, ada)


def test_the_whole_chain_stands_below_the_sentence(app: Flask, client: FlaskClient, connected: Shop, ada: int) -> None:
    push_cases.put_on_phone(app, connected, ada)
    push_cases.push(app, connected, ada, "Your reward is ready!")
    with app.app_context(), transaction():
        delivery = db.session.scalars(db.select(Delivery)).one()
        told = {"merchant_id": connected.id, "started_at": utcnow(), "duration_ms": 12}
        db.session.add(Call(id=5, **told, method="POST", path="/api/events", items=1, status=400, answer="Bad time"))
        delivery.calls, delivery.attempts, delivery.state = "5 ", 1, DeliveryState.DEAD
        _campaign(connected, db.session.get_one(Customer, ada))
    owner = factories.log_in(client, connected.email)
    page = unescape(owner.get(f"/activity/trace?customer={EMAIL}").text)
    for words in (
        "POST /api/events", "Bad time", "1 try, with request and answer", '"unique_id": "order-1"',
        "Autumn roast", "No card on a phone", "Your reward is ready!", "Taken by the portal", "iPhone",
    ):  # fmt: skip
        assert words in page, words


def test_one_box_finds_by_name_and_offers_those_who_fit(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    push_cases.customer(app, merchant, EMAIL, first_name="Ada")
    assert "Klaviyo is not connected" in owner.get("/activity/trace?customer=Ada").text
    push_cases.customer(app, merchant, "ada@example.org")
    assert "Several customers fit" in owner.get("/activity/trace?customer=ada@ex").text


def test_nobody_by_this_name_is_said_and_other_merchants_customers_are_nobody(app: Flask, merchant: Shop) -> None:
    push_cases.customer(app, merchant, EMAIL)
    stranger, _ = pages.log_in_stranger(app)
    assert "Nobody is called that" in stranger.get(f"/activity/trace?customer={EMAIL}").text
