"""Push as a merchant does it in a browser: a card of one's own and a test push; then a webhook that a flow of Klaviyo's calls."""

from __future__ import annotations

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import select

from portal import beats
from portal.db import db
from portal.models import Customer, Merchant
from portal.services.customers import Identifiers
from tests import factories
from tests.factories import Shop
from tests.journeys import shop_owner
from tests.klaviyo_account import NORDIC, Sandbox
from tests.phone import Phone
from tests.portal.services import programmes
from tests.servers import Processes
from tests.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]

ADA, BO = "ada@example.com", "bo@example.com"
MESSAGE = "You are Silver now!"
A_WHILE = 30_000


@pytest.fixture
def at_work(processes: Processes) -> None:
    processes.worker()
    processes.ticker()


def test_a_card_of_one_s_own_is_scanned_and_a_test_push_is_followed_to_the_lock_screen(
    browser_page: Page, merchant: Shop, sandbox: Sandbox, at_work: None
) -> None:
    page = browser_page
    shop_owner.log_in(page, merchant)
    page.goto("/push/test")
    page.get_by_role("button", name="Get a card of my own").click()
    link = page.locator("#recipient-link").inner_text()
    iphone = Phone(sandbox.url)
    iphone.add(link)
    expect(page.locator("#push_tests-recipient")).to_contain_text("On a phone", timeout=A_WHILE)
    page.get_by_label("Message").fill("Fresh beans today")
    expect(page.locator(".lock-note").first).to_contain_text("Fresh beans today")
    page.get_by_role("button", name="Send test push").click()
    expect(page.get_by_role("heading", name="What became of it")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("Delivered", timeout=A_WHILE)
    expect(page.locator("#pushes-outcome")).to_contain_text("The iPhone has fetched the card and shows the message")
    expect(page.locator("#pushes-outcome")).to_contain_text("would notify the customer twice")
    assert [text.rstrip("\u200b\u200c") for text in iphone.notices()] == ["Fresh beans today"]


def test_a_webhook_that_is_copied_into_a_flow_puts_its_message_on_the_lock_screen(
    browser_page: Page, app: Flask, connected: Shop, sandbox: Sandbox, live_portal: str, at_work: None
) -> None:
    page = browser_page
    iphone = _know(app, connected, sandbox, live_portal)
    shop_owner.log_in(page, connected)
    _make_flow(page, sandbox, _copy_webhook(page))
    for email in (BO, ADA):
        _give_points(page, app, email)
    assert eventually(lambda: MESSAGE in [text.rstrip("\u200b\u200c") for text in iphone.notices()], 60)
    page.goto(f"{sandbox.url}/phones/iphone?screen=lock")
    expect(page.locator(".notice").filter(has_text=MESSAGE)).to_have_count(1)
    assert eventually(lambda: "Sent" in [each["outcome"] for each in sandbox.flow_steps() if each["email"] == BO], 60)
    page.goto("/push/webhook")
    expect(page.locator("main")).to_contain_text("Last called by Klaviyo")
    page.goto(f"/activity/trace?customer={ADA}")
    expect(page.locator(".verdict")).to_contain_text("the last push was delivered")
    expect(page.locator("main")).to_contain_text("Tier upgraded")
    page.goto(f"/activity/trace?customer={BO}")
    expect(page.locator(".verdict")).to_contain_text("The customer has no card on a phone")


def _know(app: Flask, shop: Shop, sandbox: Sandbox, live_portal: str) -> Phone:
    """Tiers, two customers of whom one has the card on her iPhone, and a Klaviyo that knows our metrics and her card."""
    with app.app_context():
        assert beats.send_examples(shop.id)
        programmes.set_tiers(shop.id, {"Bronze": 0, "Silver": 100})
        factories.know(shop.id, [Identifiers(email=email) for email in (ADA, BO)])
        token = db.session.scalars(select(Customer.link_token).where(Customer.email == ADA)).one()
        slug = db.session.get_one(Merchant, shop.id).slug
    iphone = Phone(sandbox.url)
    iphone.add(f"{live_portal}/{slug}/download?token={token}")

    def known() -> bool:
        found = sandbox.profiles(email=ADA) and sandbox.properties(email=ADA)
        return bool(found) and found.get("jericommerce_wallet_pass_status") == "installed"

    assert eventually(known, 60)
    return iphone


def _copy_webhook(page: Page) -> dict[str, str]:
    page.goto("/push/webhook")
    page.get_by_role("button", name="Make a key and fill it in").click()
    expect(page.locator("#hook-headers")).not_to_contain_text("YOUR_API_KEY")
    page.get_by_label("Message", exact=True).first.fill(MESSAGE)
    expect(page.locator("#hook-body")).to_contain_text(MESSAGE)
    return {name: page.locator(f"#hook-{name}").inner_text() for name in ("url", "headers", "body")}


def _make_flow(page: Page, sandbox: Sandbox, webhook: dict[str, str]) -> None:
    """As a marketer does on Klaviyo's pages: the webhook for whoever has a card, an email for the others."""
    page.goto(f"{sandbox.url}/flows/new?account={NORDIC}")
    page.get_by_label("Name", exact=True).fill("Welcome to Silver")
    page.get_by_label("Begins when").select_option(label="Tier upgraded")
    for name, text in webhook.items():
        page.locator(f"#{name}").fill(text)
    page.locator("#check").select_option("before")
    page.locator("#kind").select_option("profile")
    page.locator("#property").fill("jericommerce_wallet_pass_status")
    page.locator("#operator").select_option("equals")
    page.locator("#value").fill("installed")
    page.locator("#subject").fill("Your card is waiting")
    page.get_by_role("button", name="Create as a draft").click()
    page.locator("button[value=live]").click()
    expect(page.locator("main")).to_contain_text("live")


def _give_points(page: Page, app: Flask, email: str) -> None:
    with app.app_context():
        customer_id = db.session.scalars(select(Customer.id).where(Customer.email == email)).one()
    page.goto(f"/customers/{customer_id}")
    page.get_by_label("Points", exact=True).fill("150")
    page.get_by_label("Reason").first.fill("Welcome")
    page.get_by_role("button", name="Change points").click()
    expect(page.locator("#feedback")).to_contain_text("150")
