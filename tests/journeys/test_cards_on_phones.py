"""A customer's link is opened on an iPhone and on an Android phone: points are seen there, and what happens there is told to Klaviyo."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.db import db, transaction
from portal.jobs import cards as card_jobs
from portal.jobs import deliveries
from portal.models import CardStatus, Customer, Merchant
from portal.services import cards
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.phone import ANDROID, Phone
from tests.waiting import eventually

EMAIL = "ada@example.com"


def _customer(app: Flask) -> Customer:
    with app.app_context():
        return db.session.scalars(select(Customer).where(Customer.email == EMAIL)).one()


def _link(app: Flask, live_portal: str) -> str:
    customer = _customer(app)
    with app.app_context():
        slug = db.session.get_one(Merchant, customer.merchant_id).slug
    return f"{live_portal}/{slug}/download?token={customer.link_token}"


def _add_points(client: FlaskClient, shop: Shop, event_id: str, points: int) -> None:
    told = factories.event(event_id, EMAIL, properties={"change": points})
    assert factories.tell(client, shop, told).status_code == 202


def _bring_up_to_date(app: Flask, shop: Shop, phone: Phone) -> None:
    """What a worker does, a moment later, and the phone that it wakes."""
    with app.app_context():
        eventually(lambda: shop.id in card_jobs.merchants_due())
        card_jobs.take_turn(shop.id)
    phone.settled()


def _told(app: Flask, shop: Shop, sandbox: Sandbox) -> list[tuple[str, str]]:
    """What Klaviyo was told of cards: the metric and the platform."""
    with app.app_context():
        deliveries.take_turn(shop.id)
    cards_only = [each for each in sandbox.events() if each["metric"].startswith(("Loyalty card", "Wallet pass"))]
    return [(each["metric"], each["properties"].get("platform")) for each in cards_only]


def test_a_card_goes_onto_both_phones_follows_the_points_and_its_removal_is_told(
    app: Flask, client: FlaskClient, connected: Shop, sandbox: Sandbox, live_portal: str
) -> None:
    _add_points(client, connected, "first", 120)
    iphone, android = Phone(sandbox.url), Phone(sandbox.url, ANDROID)
    iphone.add(_link(app, live_portal))
    android.add(_link(app, live_portal))
    assert (iphone.card()["fields"]["balance"], android.card()["fields"]["loyaltyPoints"]) == ("120", "120")
    eventually(lambda: _customer(app).on_android)
    assert (_customer(app).card_status, _customer(app).on_ios) == (CardStatus.INSTALLED, True)

    _add_points(client, connected, "second", 30)
    _bring_up_to_date(app, connected, iphone)
    assert (iphone.card()["fields"]["balance"], android.card()["fields"]["loyaltyPoints"]) == ("150", "150")
    assert iphone.notices() == ["You now have 150 points."]

    with app.app_context(), transaction():
        said = cards.Said(_customer(app).id, "Your reward is ready!", "https://shop.example/rewards")
        cards.show_messages(connected.id, [said])
    _bring_up_to_date(app, connected, iphone)
    assert iphone.notices()[0].startswith("Your reward is ready!")

    iphone.order("POST", "/remove")
    iphone.settled()
    android.order("POST", "/remove")
    eventually(lambda: _customer(app).card_status == CardStatus.UNINSTALLED)
    assert sorted(_told(app, connected, sandbox)) == sorted(
        (metric, platform)
        for metric in ("Loyalty card installed", "Loyalty card uninstalled", "Wallet pass requested")
        for platform in ("ios", "android")
    )
    assert "encountered error" not in " ".join(iphone.log())
