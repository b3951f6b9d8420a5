"""What a shop owner does in a browser, step by step, with the words that are on the buttons."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.factories import Shop

KLAVIYO = "/settings/integrations/klaviyo"


def log_in(page: Page, shop: Shop) -> None:
    page.goto("/login")
    page.get_by_label("Email").fill(shop.email)
    page.get_by_label("Password").fill(shop.password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def go_to_klaviyo(page: Page) -> None:
    """From the integrations page to Klaviyo's card: step one of the wizard."""
    page.goto("/settings/integrations")
    page.locator(f"main a[href='{KLAVIYO}']").first.click()


def ask_to_connect(page: Page) -> None:
    """As far as Klaviyo's own screen."""
    page.get_by_role("button", name="Connect Klaviyo").click()
    expect(page.get_by_role("button", name="Allow")).to_be_visible()


def connect(page: Page) -> None:
    go_to_klaviyo(page)
    ask_to_connect(page)
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_text("Connected to Nordic Coffee").first).to_be_visible()


def switch_on(page: Page, module: str) -> None:
    page.get_by_role("switch", name=module).click()
    expect(page.get_by_role("switch", name=module)).to_be_checked()
