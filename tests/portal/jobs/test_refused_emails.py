"""An email address that Klaviyo does not take: the profile goes by phone number, and what was refused by the corrected address."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.db import transaction
from portal.jobs import deliveries
from portal.models import DeliveryState
from portal.services import editing, outbox
from portal.services.profile_contract import PREFIX
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.portal.blueprints import pages
from tests.portal.jobs.loyal import change_customer, customer_of, give_points, know_many, settle_down, syncs, turn


@pytest.fixture
def shop(app: Flask, sandbox: Sandbox, connected: Shop) -> Shop:
    """Connected, with the first look at everybody behind it, and a Klaviyo that imports at once."""
    sandbox.set(import_step_seconds=0)
    turn(app, connected)
    return connected


@pytest.mark.parametrize("others", [0, 40])
def test_an_email_address_that_klaviyo_refuses_does_not_sink_the_profile(
    app: Flask, sandbox: Sandbox, shop: Shop, others: int
) -> None:
    give_points(app, shop, 7, phone="+4530123456")
    change_customer(app, shop, customer_of(app, shop, phone="+4530123456"), email="ada@@example")
    know_many(app, shop, others)
    settle_down(app, shop)
    assert sandbox.properties(phone_number="+4530123456")[f"{PREFIX}balance"] == 7
    (told,) = [row for row in syncs(app, shop) if row.problem]
    assert told.problem.startswith("Email address not valid for Klaviyo. Correct the customer's email address, then")
    give_points(app, shop, 5, phone="+4530123456")
    settle_down(app, shop)
    assert sandbox.properties(phone_number="+4530123456")[f"{PREFIX}balance"] == 12
    browser = factories.log_in(app.test_client(), shop.email)
    assert "up to date" in browser.get("/profiles/refused").text
    assert "Correct the address" in pages.hx_post(browser, "/profiles/refused").text
    with app.app_context(), transaction():
        editing.change(shop.id, told.customer_id, {"email": "ada@example.com"})
    settle_down(app, shop)
    assert not [row for row in syncs(app, shop) if row.problem], "a corrected address is trusted"


def test_an_event_that_was_refused_goes_to_the_corrected_address(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    give_points(app, shop, 7, email="ada@example.com")
    ada = customer_of(app, shop, email="ada@example.com")
    change_customer(app, shop, ada, email="ada@@example", klaviyo_profile_id=None)
    give_points(app, shop, 5, email="ada@@example")
    with app.app_context():
        deliveries.take_turn(shop.id)
    (dead,) = [row for row in factories.deliveries_of(app, shop) if row.state == DeliveryState.DEAD]
    with app.app_context():
        with transaction():
            editing.change(shop.id, ada.id, {"email": "eve@example.com"})
        with transaction():
            outbox.retry(shop.id, dead.id)
        deliveries.take_turn(shop.id)
    assert [event["email"] for event in sandbox.events()] == ["ada@example.com", "eve@example.com"]
