"""The main job in a real browser, with scripts and without: connect, switch on, send, watch."""

from __future__ import annotations

import re

import pytest
import requests
from flask import Flask
from playwright.sync_api import Page, expect

from portal.models import DeliveryState
from tests import factories
from tests.factories import Shop
from tests.journeys import shop_owner
from tests.klaviyo_account import Sandbox
from tests.servers import Processes
from tests.waiting import eventually

pytestmark = pytest.mark.browser
# What a page looks like does not depend on the database; the first journey is walked on both.
ON_ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(params=["scripts", "no scripts"])
def page(request: pytest.FixtureRequest) -> Page:
    """Every journey is walked twice: htmx only adds to what works without it."""
    name = "browser_page" if request.param == "scripts" else "page_without_scripts"
    found: Page = request.getfixturevalue(name)
    return found


def send(portal: str, shop: Shop, told: object) -> None:
    answer = requests.post(
        f"{portal}/v1/events", json=told, headers={"Authorization": f"Bearer {shop.api_key}"}, timeout=10
    )
    assert answer.status_code == 202, answer.text


def test_a_new_merchant_connects_switches_on_and_watches_an_event_arrive(
    page: Page, app: Flask, live_portal: str, merchant: Shop, sandbox: Sandbox, processes: Processes
) -> None:
    processes.worker()
    shop_owner.log_in(page, merchant)
    shop_owner.connect(page)
    expect(page.get_by_text("K9x2Lm").first).to_be_visible()

    shop_owner.switch_on(page, "Events")
    send(live_portal, merchant, factories.event("first"))
    eventually(lambda: sandbox.told_ids() == ["first"])
    eventually(lambda: [row.state for row in factories.deliveries_of(app, merchant)] == [DeliveryState.DELIVERED] * 2)
    page.goto(shop_owner.KLAVIYO)
    # The event, and before it that there is a new customer.
    expect(page.locator("#status-panel")).to_contain_text(re.compile(r"2\s*delivered today"))

    page.goto("/activity")
    page.get_by_role("link", name="Balance changed").click()
    expect(page.locator("main")).to_contain_text("Delivered")
    expect(page.locator("main")).to_contain_text("/api/events")
    expect(page.locator("main")).to_contain_text("202")


@ON_ONE_DATABASE
def test_declining_at_klaviyo_is_told_plainly_and_can_be_tried_again(
    page: Page, live_portal: str, merchant: Shop, sandbox: Sandbox
) -> None:
    shop_owner.log_in(page, merchant)
    shop_owner.go_to_klaviyo(page)
    shop_owner.ask_to_connect(page)
    page.get_by_role("button", name="Deny").click()
    expect(page.locator("main")).to_contain_text("You declined at Klaviyo, so nothing was connected")
    shop_owner.connect(page)


@ON_ONE_DATABASE
def test_switching_segments_on_lists_the_accounts_segments(
    page: Page, live_portal: str, connected: Shop, sandbox: Sandbox
) -> None:
    shop_owner.log_in(page, connected)
    page.goto(shop_owner.KLAVIYO)
    shop_owner.switch_on(page, "Segments")
    page.goto(f"{shop_owner.KLAVIYO}/segments")
    expect(page.get_by_role("row").nth(1)).to_be_visible()


@ON_ONE_DATABASE
def test_an_event_that_is_switched_off_is_recorded_and_not_sent(
    page: Page, live_portal: str, connected: Shop, sandbox: Sandbox, processes: Processes
) -> None:
    processes.worker()
    shop_owner.log_in(page, connected)
    page.goto(f"{shop_owner.KLAVIYO}/events")
    page.get_by_role("switch", name="Balance changed").click()
    expect(page.get_by_role("switch", name="Balance changed")).not_to_be_checked()
    send(
        live_portal,
        connected,
        {"events": [factories.event("off"), factories.event("on", type="checked_in", properties={})]},
    )
    eventually(lambda: sandbox.told_ids() == ["on"])
    page.goto("/activity?state=not_sent")
    expect(page.locator("main")).to_contain_text("Balance changed")


@ON_ONE_DATABASE
def test_losing_access_is_told_on_every_page_and_reconnecting_delivers_what_waited(
    page: Page, app: Flask, live_portal: str, connected: Shop, sandbox: Sandbox, processes: Processes
) -> None:
    processes.worker()
    shop_owner.log_in(page, connected)
    sandbox.uninstall()
    send(live_portal, connected, factories.event("waits"))
    eventually(lambda: not factories.connection_of(app, connected).is_connected)
    page.goto("/activity")
    expect(page.get_by_text("nothing is lost").first).to_be_visible()
    page.get_by_role("button", name="Reconnect").first.click()
    page.get_by_role("button", name="Allow").click()
    eventually(lambda: sandbox.told_ids() == ["waits"])


@ON_ONE_DATABASE
def test_disconnecting_says_what_will_happen_and_asks_once(
    page: Page, live_portal: str, connected: Shop, sandbox: Sandbox
) -> None:
    send(live_portal, connected, factories.event("waits"))
    shop_owner.log_in(page, connected)
    page.goto(shop_owner.KLAVIYO)
    page.get_by_role("link", name="Disconnect").first.click()
    expect(page.locator("main")).to_contain_text("72 hours")
    page.get_by_role("button", name="Disconnect Klaviyo").click()
    expect(page.get_by_role("button", name="Connect Klaviyo")).to_be_visible()
