"""Every page with axe, on a desk and on a phone, in light and in dark: no violation of WCAG 2.2 AA, and nothing wider than the screen."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser

from portal.services import directory
from tests import factories
from tests.factories import Shop
from tests.journeys import shop_owner
from tests.portal.jobs.campaign_stage import CampaignStage
from tests.portal.services import push_cases

pytestmark = pytest.mark.browser

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
PAGES = (
    "/",
    "/activity",
    "/activity?state=failed",
    "/customers",
    "/customers?q=nobody",
    "/customers/new",
    "/campaigns",
    "/campaigns/new",
    "/card",
    "/loyalty",
    "/loyalty/rewards",
    "/loyalty/rewards/new",
    "/loyalty/points",
    "/push",
    "/push?state=delivered",
    "/push/test",
    "/push/webhook",
    "/push/suppressed",
    "/push/settings",
    "/activity/trace",
    "/till",
    "/settings/integrations",
    shop_owner.KLAVIYO,
    f"{shop_owner.KLAVIYO}/events",
    f"{shop_owner.KLAVIYO}/segments",
    f"{shop_owner.KLAVIYO}/disconnect",
    "/settings/programme",
    "/settings/api-keys",
    "/settings/team",
    "/settings/audit-log",
    "/settings/password",
    "/docs",
    "/docs/events",
    "/no-such-page",
)
SCREENS = {"desk, light": (1280, 900, "light"), "phone, dark": (390, 844, "dark")}


def _own_pages(app: Flask, shop: Shop) -> tuple[str, ...]:
    """Of one customer, one campaign and one push."""
    with app.app_context():
        customer = directory.page(shop.id).customers[0]
    stage = CampaignStage(app, shop)
    campaign_id = stage.save([stage.segment("VIP Gold", [customer.id])])
    return (
        f"/campaigns/{campaign_id}",
        f"/campaigns/{campaign_id}/audience",
        f"/campaigns/{campaign_id}/customers",
        f"/campaigns/{campaign_id}/edit",
        f"/campaigns/{campaign_id}/start",
        f"/push/{push_cases.push(app, shop, customer.id, 'Hello')}",
        f"/push/test?customer={customer.public_id}",
        f"/activity/trace?customer={customer.public_id}",
        f"/customers/{customer.id}",
        f"/customers/{customer.id}/points",
        f"/till/{customer.id}",
    )


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("screen", SCREENS)
def test_every_page_can_be_used_by_everybody(
    browser: Browser, live_portal: str, app: Flask, client: FlaskClient, connected: Shop, screen: str
) -> None:
    factories.tell_all(client, connected, factories.events("row", 3))
    width, height, scheme = SCREENS[screen]
    context = browser.new_context(
        base_url=live_portal,
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console",
        lambda message: complaints.append(message.text) if "Content Security Policy" in message.text else None,
    )
    axe = Axe()
    found: dict[str, str] = {}
    own = _own_pages(app, connected)
    for path in ("/login", *PAGES, *own):
        if path == PAGES[0]:
            shop_owner.log_in(page, connected)
        page.goto(path)
        results = axe.run(page, options=RULES)
        if results.violations_count:
            found[path] = results.generate_report()
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} px wider than a screen of {width} px"
    context.close()
    assert not found, "\n".join(f"{path}: {report}" for path, report in found.items())
    assert not complaints
