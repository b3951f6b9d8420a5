"""Each of the 18 events is caused by what really causes it, in a browser, on a phone, at the till or by a program, and is in Klaviyo.

Every process is a real one. What Klaviyo then has is compared whole: the metrics, every property, in the order of what happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.models import Customer, Merchant, TierBasis
from portal.services import designing
from tests import browsing
from tests.factories import ACTOR, Shop
from tests.journeys import shop_owner
from tests.klaviyo_account import Sandbox
from tests.phone import Phone
from tests.portal.jobs.segment_stage import SegmentStage
from tests.portal.services import programmes
from tests.servers import Processes
from tests.waiting import eventually

pytestmark = pytest.mark.browser
ADA = "ada@example.com"
MENU = "https://nordiccoffee.example/menu"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 Version/26.0 Mobile/15E148 Safari/604.1"
SHOP = {"location": "Nørrebro"}
TILL = {**SHOP, "device": "Till 2"}
COFFEE = {"reward_id": "coffee", "reward_name": "Coffee", "cost": 80}


def _common(balance: float, source: str, card: str = "installed") -> dict[str, Any]:
    """What every event tells: Silver is from 100 points on and Gold from 500; a coffee costs 80, and beans 600."""
    silver, coffee = balance >= 100, balance >= 80
    return {
        "balance": balance,
        "tier": "Silver" if silver else "Bronze",
        "next_tier": "Gold" if silver else "Silver",
        "points_to_next_tier": (500 if silver else 100) - balance,
        "next_reward": "Beans" if coffee else "Coffee",
        "points_to_next_reward": (600 if coffee else 80) - balance,
        "rewards_available": int(coffee),
        "wallet_pass_status": card,
        "source": source,
    }


def _moved(change: float, balance: float, reason: str) -> dict[str, Any]:
    told = {"direction": "increase" if change > 0 else "decrease", "change": abs(change), "reason": reason}
    return {**told, "balance": balance, "previous_balance": balance - change}


class Stage:
    """A shop whose owner uses the portal, whose staff the till, whose program the API, and whose customer has an iPhone."""

    def __init__(self, app: Flask, shop: Shop, sandbox: Sandbox, portal: str, page: Page) -> None:
        self.app, self.shop, self.sandbox, self.portal, self.page = app, shop, sandbox, portal, page
        self.phone = Phone(sandbox.url)
        self.wanted: list[tuple[str, dict[str, Any]]] = []

    @property
    def ada(self) -> Customer:
        with self.app.app_context():
            return db.session.scalars(select(Customer).where(Customer.email == ADA)).one()

    @property
    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """What Klaviyo has, in the order in which it came."""
        return [(event["metric"], event["properties"]) for event in self.sandbox.events()]

    def link(self, what: str) -> str:
        with self.app.app_context():
            slug = db.session.get_one(Merchant, self.shop.id).slug
        return f"{self.portal}/{slug}/{what}?token={self.ada.link_token}"

    def follows(self, balance: float, source: str, *told: tuple[str, dict[str, Any]], card: str = "installed") -> None:
        """What Klaviyo has to be told of next, and soon has."""
        self.wanted += [(metric, {**_common(balance, source, card), **own}) for metric, own in told]
        eventually(lambda: len(self.told) >= len(self.wanted) or None, 15)
        assert self.told[: len(self.wanted)] == self.wanted

    def press(self, button: str, said: str) -> None:
        self.page.get_by_role("button", name=button, exact=True).click()
        expect(self.page.get_by_text(said).first).to_be_visible()

    def tell(self, event_type: str, **properties: object) -> None:
        told = {"id": event_type, "type": event_type, "customer": {"email": ADA}, "properties": properties}
        key = {"Authorization": f"Bearer {self.shop.api_key}"}
        answer = requests.post(f"{self.portal}/v1/events", json=told, headers=key, timeout=10)
        assert answer.json()["results"][0]["status"] == "accepted", answer.text


@pytest.fixture
def stage(
    app: Flask, connected: Shop, sandbox: Sandbox, live_portal: str, browser: Browser, processes: Processes
) -> Iterator[Stage]:
    with app.app_context():
        with transaction():
            db.session.get_one(Merchant, connected.id).timezone = _where_it_is_noon()
        tiers = {"Bronze": 0, "Silver": 100, "Gold": 500}
        programmes.set_tiers(connected.id, tiers, basis=TierBasis.BALANCE)
        programmes.add_reward(connected.id, "coffee", 80)
        programmes.add_reward(connected.id, "beans", 600)
    processes.worker()
    with browsing.page(browser, live_portal) as page:
        shop_owner.log_in(page, connected)
        yield Stage(app, connected, sandbox, live_portal, page)


def _where_it_is_noon() -> str:
    """Birthdays are told from the morning on: this test must not depend on when it runs."""
    return f"Etc/GMT{utcnow().hour - 12:+d}"


def test_each_of_the_18_events_is_caused_and_is_in_klaviyo(
    stage: Stage, browser: Browser, processes: Processes
) -> None:
    _joins_on_a_birthday(stage, processes)
    _gets_the_card(stage)
    _buys_and_redeems_in_the_shop(stage)
    _is_served_by_the_owner_and_by_programs(stage)
    _opens_the_card_and_follows_a_link(stage, browser)
    _enters_a_campaign(stage, processes)
    _removes_the_card(stage)
    assert stage.told == stage.wanted, "nothing was told twice, and nothing else"
    assert len({metric for metric, _ in stage.wanted}) == 18
    eventually(lambda: _profile(stage) == _common_on_the_profile(stage) or None, 15)


def _joins_on_a_birthday(stage: Stage, processes: Processes) -> None:
    with stage.app.app_context():
        today = utcnow().astimezone(ZoneInfo(db.session.get_one(Merchant, stage.shop.id).timezone))
    stage.page.goto("/customers/new")
    stage.page.get_by_label("Email address").fill(ADA)
    stage.page.get_by_label("Birthday, day").select_option(str(today.day))
    stage.page.get_by_label("Birthday, month").select_option(str(today.month))
    stage.press("Add the customer", "is a customer now")
    stage.follows(0, "portal", ("Customer created", {}), card="not_installed")
    processes.ticker()
    stage.follows(0, "portal", ("Customer birthday", {}), card="not_installed")


def _gets_the_card(stage: Stage) -> None:
    stage.phone.add(stage.link("download"))
    stage.follows(0, "wallet", ("Wallet pass requested", {"platform": "ios"}), card="not_installed")
    stage.follows(0, "wallet", ("Loyalty card installed", {"platform": "ios"}))


def _buys_and_redeems_in_the_shop(stage: Stage) -> None:
    page = stage.page
    page.goto("/till")
    page.get_by_label("Shop").fill(TILL["location"])
    page.get_by_label("Till", exact=True).fill(TILL["device"])
    stage.press("Remember", "This device remembers where it is.")
    page.get_by_label("Card number").fill(stage.ada.card_number)
    stage.press("Find", "The card is scanned.")
    stage.follows(0, "till", ("Customer scanned on POS", TILL))
    page.get_by_label("Amount paid").fill("150")
    stage.press("Add points", "150 points added.")
    bought = ("Balance changed", _moved(150, 150, "Purchase in store"))
    stage.follows(150, "till", bought, ("Tier upgraded", {"tier": "Silver", "previous_tier": "Bronze"}))
    stage.press(f"Check in at {TILL['location']}", "is checked in.")
    stage.follows(150, "till", ("Check-in at location", SHOP))
    page.get_by_label("Reward", exact=True).select_option(label="Coffee: 80 points")
    stage.press("Redeem", "Coffee is redeemed. Hand it over.")
    redeemed = ("Reward redeemed (in-store)", {**COFFEE, **SHOP})
    paid = ("Balance changed", _moved(-80, 70, "Reward: Coffee"))
    stage.follows(70, "till", redeemed, paid, ("Tier downgraded", {"tier": "Bronze", "previous_tier": "Silver"}))


def _is_served_by_the_owner_and_by_programs(stage: Stage) -> None:
    page = stage.page
    page.goto(f"/customers/{stage.ada.id}")
    page.get_by_label("How it was verified").fill("identity card")
    stage.press("Verify", "is verified")
    stage.follows(70, "portal", ("Account verified", {"method": "identity card"}))
    stage.tell("referral_completed", referred_customer_id="10422", points_awarded=25)
    referred = ("Referral completed", {"referred_customer_id": "10422", "points_awarded": 25})
    stage.follows(95, "api", referred, ("Balance changed", _moved(25, 95, "Referral")))
    stage.tell("customer_tapped", **TILL)
    stage.follows(95, "api", ("Customer tapped", TILL))
    page.reload()
    page.get_by_label("Reward", exact=True).select_option(label="Coffee: 80 points")
    page.get_by_label("Where", exact=True).select_option("Online")
    page.get_by_label("Code handed out, if any").fill("BREW-7Q2K")
    stage.press("Redeem", "The reward is redeemed.")
    redeemed = ("Reward redeemed (online)", {**COFFEE, "code": "BREW-7Q2K"})
    stage.follows(15, "portal", redeemed, ("Balance changed", _moved(-80, 15, "Reward: Coffee")))


def _opens_the_card_and_follows_a_link(stage: Stage, browser: Browser) -> None:
    with stage.app.app_context(), transaction():
        present = designing.newest(stage.shop.id)
        draft = replace(designing.draft_of(present), links=(("Menu", MENU),))
        designing.save(stage.shop.id, draft, present.number, ACTOR)
    with browsing.page(browser, stage.portal, user_agent=IPHONE) as page:
        page.route(f"{MENU}**", lambda route: route.fulfill(body="The menu"))
        page.goto(stage.link("card"))
        stage.follows(15, "wallet", ("Loyalty card opened", {"platform": "ios"}))
        page.get_by_role("link", name="Menu").click()
        expect(page.get_by_text("The menu")).to_be_visible()
    stage.follows(15, "wallet", ("Loyalty card clicked", {"link_url": MENU, "link_label": "Menu"}))


def _enters_a_campaign(stage: Stage, processes: Processes) -> None:
    SegmentStage(stage.app, stage.sandbox, stage.shop).select("VIP Gold", emails=[ADA])
    processes.importer()
    page = stage.page
    eventually(lambda: page.goto("/campaigns/new") and page.get_by_text("VIP Gold (1)").count(), 15)
    page.get_by_label("Name").fill("Autumn roast")
    page.get_by_label("VIP Gold (1)").first.check()
    page.get_by_label("Message").fill("The autumn roast is here.")
    stage.press("Save and look at the audience", "Autumn roast is saved as a draft.")
    campaign_id = f"cmp_{page.url.rpartition('/')[2]}"
    page.get_by_role("link", name="Send it").click()
    stage.press("Send it now to 1 customer", "What became of it")
    assigned = {"campaign_id": campaign_id, "campaign_name": "Autumn roast", "segment_name": "VIP Gold"}
    stage.follows(15, "campaign", ("Campaign assigned", assigned))


def _removes_the_card(stage: Stage) -> None:
    stage.phone.order("POST", "/remove")
    stage.follows(15, "wallet", ("Loyalty card uninstalled", {"platform": "ios"}), card="uninstalled")


def _profile(stage: Stage) -> dict[str, Any]:
    prefix = "jericommerce_"
    properties = stage.sandbox.properties(email=ADA)
    return {name.removeprefix(prefix): value for name, value in properties.items() if name.startswith(prefix)}


def _common_on_the_profile(stage: Stage) -> dict[str, Any]:
    """Beside what events tell; the signals that only a profile has are those of the till, the card and the calendar."""
    told = _common(15, "", "uninstalled")
    del told["source"]
    ada = stage.ada
    assert ada.tier_entered_at is not None
    assert ada.last_pos_scan_at is not None
    today = ada.tier_entered_at.astimezone(ZoneInfo(_where_it_is_noon())).date().isoformat()
    return told | {
        "download_wallet_pass_url": stage.link("download"),
        "tier_entered_at": today,
        "member_since": today,
        "next_reward_cost": 80,
        "pos_scans": 1,
        "last_pos_scan_at": ada.last_pos_scan_at.isoformat(timespec="seconds"),
    }
