"""Shop staff at the till: a card's number is typed and points are given, with scripts and without."""

from __future__ import annotations

import pytest
from flask import Flask
from playwright.sync_api import Browser, expect

from tests import browsing
from tests.factories import Shop
from tests.journeys import shop_owner
from tests.portal.services import programmes

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("scripts", [True, False])
def test_points_are_given_to_whoever_shows_the_card(
    browser: Browser, live_portal: str, app: Flask, merchant: Shop, scripts: bool
) -> None:
    with app.app_context():
        customer = programmes.customer_with(merchant.id, 10, first_name="Ada")
    with browsing.page(browser, live_portal, scripts=scripts) as page:
        shop_owner.log_in(page, merchant)
        page.goto("/till")
        page.get_by_label("Card number").fill(customer.card_number)
        page.get_by_role("button", name="Find", exact=True).click()
        expect(page.get_by_text("The card is scanned.")).to_be_visible()
        page.get_by_label("Amount paid").fill("24.90")
        page.get_by_role("button", name="Add points").click()
        expect(page.get_by_text("24 points added.")).to_be_visible()
