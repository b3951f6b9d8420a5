"""From a Klaviyo segment to a lock screen and into Klaviyo's timelines, as a merchant does it in a browser, with all processes at work."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import select

from portal.db import db
from portal.models import Customer, Merchant
from portal.services.customers import Identifiers
from tests import factories
from tests.factories import Shop
from tests.journeys import shop_owner
from tests.klaviyo_account import Sandbox
from tests.phone import Phone
from tests.portal.jobs.segment_stage import SegmentStage
from tests.servers import Processes
from tests.waiting import eventually

pytestmark = pytest.mark.browser

LINK = "https://yourstore.com/autumn"


def _people(app: Flask, shop: Shop, sandbox: Sandbox) -> list[str]:
    """Five profiles at Klaviyo, of whom the first four are customers; the profiles' ids."""
    with app.app_context():
        factories.know(shop.id, [Identifiers(email=f"m{number}@example.com") for number in range(4)])
    return sandbox.plant([{"email": f"m{number}@example.com"} for number in range(5)])


def _card_link(app: Flask, shop: Shop, live_portal: str, email: str) -> str:
    with app.app_context():
        slug = db.session.get_one(Merchant, shop.id).slug
        token = db.session.scalars(select(Customer.link_token).where(Customer.email == email)).one()
        return f"{live_portal}/{slug}/download?token={token}"


def _select(page: Page, name: str) -> None:
    """In the wizard, and follow the first import until it is complete."""
    page.goto(f"{shop_owner.KLAVIYO}/segments")
    page.get_by_role("switch", name=name).click()
    expect(page.get_by_role("switch", name=name)).to_be_checked()


def _open_segment(page: Page, name: str, members: int) -> None:
    def complete() -> bool:
        page.goto("/segments")
        row = page.get_by_role("row").filter(has_text=name)
        return row.get_by_role("cell", name=str(members), exact=True).count() > 0

    assert eventually(complete, 20, every=0.5)
    page.get_by_role("link", name=name).first.click()


def _write(page: Page) -> None:
    """A campaign for the segment that is open."""
    page.get_by_role("link", name="New campaign").click()
    page.get_by_label("Name", exact=True).fill("Autumn roast")
    page.get_by_label("Message").fill("Hi {first_name|there}, the autumn roast is here")
    page.get_by_label("Link", exact=True).fill(LINK)
    page.get_by_role("button", name="Save and look at the audience").click()
    expect(page.locator("main")).to_contain_text(re.compile(r"3 customers\s+are in the audience now"))
    expect(page.locator(".lock-note")).to_contain_text("Hi there, the autumn roast is here")


def _assigned(page: Page, sandbox: Sandbox, profile_id: str) -> bool:
    """Whether Klaviyo's own page shows it in the profile's timeline."""
    page.goto(f"{sandbox.url}/profiles/{profile_id}")
    return page.locator(".timeline li").filter(has_text="Campaign assigned").count() == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_segment_is_selected_watched_sent_a_campaign_and_klaviyo_shows_who_was_assigned(
    browser_page: Page, app: Flask, live_portal: str, merchant: Shop, sandbox: Sandbox, processes: Processes
) -> None:
    page = browser_page
    for start in (processes.worker, processes.ticker, processes.importer):
        start()
    profiles, iphone = _people(app, merchant, sandbox), Phone(sandbox.url)
    iphone.add(_card_link(app, merchant, live_portal, "m1@example.com"))
    segment_id = sandbox.plant_segment("Autumn lovers", profile_ids=profiles[:3])

    shop_owner.log_in(page, merchant)
    shop_owner.connect(page)
    shop_owner.switch_on(page, "Events")
    shop_owner.switch_on(page, "Segments")
    _select(page, "Autumn lovers")
    _open_segment(page, "Autumn lovers", 3)

    sandbox.change_members(segment_id, profile_ids=profiles[1:])
    SegmentStage(app, sandbox, merchant).make_due(segment_id)
    _open_segment(page, "Autumn lovers", 4)
    newest = page.get_by_role("table", name="Imports").get_by_role("row").nth(1)
    expect(newest).to_contain_text("Complete")
    expect(newest.locator("[data-label=Joined]")).to_have_text("2")
    expect(newest.locator("[data-label=Left]")).to_have_text("1")
    reach = page.locator(".reach")
    expect(reach).to_contain_text("1 are not customers yet")
    expect(reach).to_contain_text("2 never had the card on a phone")

    _write(page)
    page.get_by_role("link", name="Send it").click()
    page.get_by_role("button", name="Send it now to 3 customers").click()
    expect(page.locator("#campaigns-results")).to_contain_text("Finished", timeout=20_000)
    assert eventually(lambda: iphone.notices(), 20)
    assert [text.rstrip("\u200b\u200c") for text in iphone.notices()] == ["Hi there, the autumn roast is here"]
    expect(page.locator("#campaigns-results")).to_contain_text(re.compile(r"Fetched by the phone\s*1"), timeout=20_000)

    assert eventually(lambda: all(_assigned(page, sandbox, profile) for profile in profiles[1:4]), 20, every=0.5)
    assert not any(_assigned(page, sandbox, profile) for profile in (profiles[0], profiles[4]))
