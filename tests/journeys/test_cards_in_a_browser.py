"""Somebody with two phones in a browser: the card goes onto both, follows the till, and Klaviyo hears that it was removed.

The portal's own processes do all of the work; nothing is called by the test but pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from portal.db import db
from portal.models import Customer, Merchant
from tests import browsing
from tests.factories import Shop
from tests.journeys import shop_owner
from tests.klaviyo_account import Sandbox
from tests.portal.services import programmes
from tests.servers import Processes
from tests.waiting import eventually

pytestmark = pytest.mark.browser
IPHONE, ANDROID = "iphone", "android"


@pytest.fixture
def hands(browser: Browser, sandbox: Sandbox) -> Iterator[Page]:
    """The page of the sandbox's phones."""
    with browsing.page(browser, sandbox.url) as page:
        yield page


@pytest.fixture
def link(app: Flask, connected: Shop) -> str:
    with app.app_context():
        customer = programmes.customer_with(connected.id, 120, first_name="Ada", email="ada@example.com")
        merchant = db.session.get_one(Merchant, connected.id)
        return f"/{merchant.slug}/download?token={customer.link_token}"


def _open(hands: Page, phone: str, url: str) -> None:
    hands.goto(f"/phones/{phone}")
    hands.get_by_label("Open a link on this phone").fill(url)
    hands.get_by_role("button", name="Open", exact=True).click()


def _shows(hands: Page, phone: str, points: str) -> bool:
    """The phone's page reloads on request only."""
    hands.goto(f"/phones/{phone}?screen=card")
    return hands.locator("article.pass .field", has_text="Points").get_by_text(points, exact=True).is_visible()


def _give_points(till: Page, number: str, amount: str) -> None:
    till.goto("/till")
    till.get_by_label("Card number").fill(number)
    till.get_by_role("button", name="Find", exact=True).click()
    till.get_by_label("Amount paid").fill(amount)
    till.get_by_role("button", name="Add points").click()


def _remove(hands: Page, phone: str) -> None:
    hands.goto(f"/phones/{phone}?screen=back")
    hands.get_by_role("button", name="Remove card").click()
    expect(hands.get_by_text("No cards yet")).to_be_visible()


def _told(sandbox: Sandbox) -> list[tuple[str, str]]:
    """What Klaviyo knows of the card: metric and platform."""
    found = [each for each in sandbox.events() if each["metric"].startswith("Loyalty card")]
    return sorted((each["metric"], each["properties"]["platform"]) for each in found)


def test_a_card_on_two_phones_follows_the_till_until_it_is_removed(
    app: Flask,
    connected: Shop,
    sandbox: Sandbox,
    processes: Processes,
    browser_page: Page,
    hands: Page,
    live_portal: str,
    link: str,
) -> None:
    processes.worker()
    processes.ticker()
    for phone in (IPHONE, ANDROID):
        _open(hands, phone, live_portal + link)
        eventually(partial(_shows, hands, phone, "120"))
    installed = [("Loyalty card installed", ANDROID), ("Loyalty card installed", "ios")]
    eventually(lambda: _told(sandbox) == installed)

    with app.app_context():
        number = db.session.scalars(select(Customer)).one().card_number
    shop_owner.log_in(browser_page, connected)
    _give_points(browser_page, number, "24.90")
    expect(browser_page.get_by_text("24 points added.")).to_be_visible()
    for phone in (IPHONE, ANDROID):
        eventually(partial(_shows, hands, phone, "144"))
    hands.goto(f"/phones/{IPHONE}?screen=lock")
    expect(hands.locator(".notice")).to_contain_text("You now have 144 points.")

    for phone in (IPHONE, ANDROID):
        _remove(hands, phone)
    removed = [("Loyalty card uninstalled", ANDROID), ("Loyalty card uninstalled", "ios")]
    eventually(lambda: _told(sandbox) == sorted([*installed, *removed]))
