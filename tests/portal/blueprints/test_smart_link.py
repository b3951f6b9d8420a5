"""The smart link on every kind of device, the card as a page, and links that lead only to where the merchant meant."""

from __future__ import annotations

import json

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal.db import db, new_id, transaction
from portal.errors import ConflictError
from portal.models import Card, CardLink, Customer, Event, Merchant
from portal.services import accounts, editing
from portal.web.visitors import visitor
from tests import factories
from tests.factories import Shop
from tests.portal.services import card_cases

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 Version/18.6 Mobile/15E148 Safari/604.1"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15"
DESKTOP = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
ANDROID = "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36"
INSTAGRAM = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Instagram 400.0"
WHATSAPP = "WhatsApp/2.24 A"


class Link:
    """A customer's link in some browser."""

    def __init__(self, client: FlaskClient, slug: str, token: str) -> None:
        self.client, self.slug, self.token = client, slug, token

    def open(self, agent: str, what: str = "download", method: str = "GET", **query: str) -> TestResponse:
        return self.client.open(
            f"/{self.slug}/{what}",
            method=method,
            query_string={"token": self.token, **query},
            headers={"User-Agent": agent},
        )


@pytest.fixture
def link(app: Flask, client: FlaskClient, merchant: Shop) -> Link:
    customer_id = card_cases.customer(app, merchant)
    with app.app_context():
        customer = db.session.get_one(Customer, customer_id)
        return Link(client, db.session.get_one(Merchant, merchant.id).slug, customer.link_token)


def _told(app: Flask) -> list[tuple[str, dict[str, str]]]:
    with app.app_context():
        rows = db.session.execute(select(Event.type, Event.properties).order_by(Event.id))
        return [(row.type, json.loads(row.properties)) for row in rows]


def test_an_iphone_gets_the_signed_card(app: Flask, link: Link) -> None:
    answer = link.open(IPHONE)
    assert (answer.status_code, answer.mimetype) == (200, "application/vnd.apple.pkpass")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{link.slug}.pkpass"'
    assert (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert _told(app) == [("pass_requested", {"platform": "ios"})]


def test_opening_it_twice_in_a_row_is_one_request_for_one_card(app: Flask, link: Link) -> None:
    for _ in range(2):
        link.open(DESKTOP, platform="apple")
    assert _told(app) == [("pass_requested", {"platform": "ios"})]
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Card)) == 1


@pytest.mark.parametrize("agent", [DESKTOP, MAC])
def test_a_computer_shows_a_code_and_both_buttons(link: Link, agent: str) -> None:
    page = link.open(agent).text
    assert "<svg" in page
    assert "platform=ios" in page
    assert "platform=android" in page


def test_a_browser_inside_an_app_gets_a_page_that_helps(link: Link) -> None:
    answer = link.open(INSTAGRAM)
    assert answer.mimetype == "text/html"
    assert "Open in Safari" in answer.text
    assert link.open(INSTAGRAM, platform="ios").mimetype == "application/vnd.apple.pkpass"


@pytest.mark.parametrize(("agent", "method"), [(WHATSAPP, "GET"), ("", "GET"), (IPHONE, "HEAD"), (ANDROID, "HEAD")])
@pytest.mark.parametrize("platform", ["", "ios", "android"])
def test_who_only_looks_is_given_nothing_and_counted_nowhere(
    app: Flask, link: Link, agent: str, method: str, platform: str
) -> None:
    answer = link.open(agent, method=method, platform=platform)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert _told(app) == []
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Card)) == 0


@pytest.mark.parametrize("token", ["", "no-such-token", "x" * 500, "æ", "\x00"])
@pytest.mark.parametrize("what", ["download", "card", "card/links/1", "card/messages/1"])
def test_a_token_that_is_nobodys_gets_a_clear_page(link: Link, token: str, what: str) -> None:
    link.token = token
    answer = link.open(IPHONE, what)
    assert answer.status_code == 404
    assert "This link is no longer valid" in answer.text


def test_a_link_that_was_withdrawn_is_no_longer_valid(app: Flask, merchant: Shop, link: Link) -> None:
    card = card_cases.card(app, merchant)
    with app.app_context(), transaction():
        editing.renew_link(merchant.id, card.customer_id)
    assert link.open(IPHONE).status_code == 404
    card_cases.publish(app, merchant)
    assert card_cases.reload(app, card).version > card.version


def test_a_link_works_under_its_own_programme_only(app: Flask, link: Link) -> None:
    other = factories.make_shop(app, "Other")
    with app.app_context():
        link.slug = db.session.get_one(Merchant, other.id).slug
    assert link.open(IPHONE).status_code == 404


def test_a_link_outlives_the_programmes_short_name(app: Flask, merchant: Shop, link: Link) -> None:
    other = factories.make_shop(app, "Harbor Bakery")
    for name in ("coffee-house", "coffee-club"):
        _rename(app, merchant, name)
    assert link.open(DESKTOP, "card").status_code == 200
    assert Link(link.client, "coffee-house", link.token).open(IPHONE).mimetype == "application/vnd.apple.pkpass"
    with pytest.raises(ConflictError):
        _rename(app, other, "coffee-house")
    _rename(app, merchant, link.slug)
    assert link.open(DESKTOP).status_code == 200


def _rename(app: Flask, shop: Shop, slug: str) -> None:
    with app.app_context(), transaction():
        accounts.update_programme(shop.id, shop.name, "Club", slug, "UTC")


def test_nothing_public_sets_a_cookie(link: Link) -> None:
    for what in ("download", "card"):
        assert "Set-Cookie" not in link.open(DESKTOP, what).headers


# --- the page and its links ----------------------------------------------------------------------


def test_the_card_page_shows_points_and_news_and_is_an_opening(
    app: Flask, client: FlaskClient, merchant: Shop, link: Link
) -> None:
    card = card_cases.card(app, merchant)
    factories.tell(client, merchant, factories.event("points", properties={"change": 1234}))
    card_cases.publish(app, merchant)
    card_cases.say(app, card, "Come in <b>today</b>", "https://shop.example/today")
    card_cases.publish(app, merchant)
    page = link.open(IPHONE, "card").text
    assert "1,234" in page
    assert "Come in &lt;b&gt;today&lt;/b&gt;" in page
    assert "ada@example.com" not in page
    link.open(IPHONE, "card")
    assert _told(app)[1:] == [("card_opened", {"platform": "ios"})]


def _link_of(app: Flask, shop: Shop) -> int:
    with app.app_context(), transaction():
        made = CardLink(id=new_id(), merchant_id=shop.id, label="Menu", url="https://shop.example/menu")
        db.session.add(made)
        return made.id


def test_a_link_is_counted_and_leads_where_the_merchant_meant(app: Flask, merchant: Shop, link: Link) -> None:
    link_id = _link_of(app, merchant)
    answer = link.open(IPHONE, f"card/links/{link_id}", url="https://evil.example", next="//evil.example")
    assert (answer.status_code, answer.headers["Location"]) == (302, "https://shop.example/menu")
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert _told(app) == [("card_clicked", {"link_url": "https://shop.example/menu", "link_label": "Menu"})]


def test_another_merchants_link_leads_nowhere(app: Flask, link: Link) -> None:
    theirs = _link_of(app, factories.make_shop(app, "Other"))
    assert link.open(IPHONE, f"card/links/{theirs}").status_code == 404


def test_a_message_of_another_customer_leads_nowhere(app: Flask, merchant: Shop, link: Link) -> None:
    mine = card_cases.say(app, card_cases.card(app, merchant), "Yours", "https://shop.example/yours")
    theirs = card_cases.say(app, card_cases.card(app, merchant, "bob@example.com"), "His", "https://shop.example/his")
    assert link.open(IPHONE, f"card/messages/{mine}").headers["Location"] == "https://shop.example/yours"
    assert link.open(IPHONE, f"card/messages/{theirs}").status_code == 404


# --- who asks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "platform", "in_app", "is_bot"),
    [
        (IPHONE, "ios", False, False),
        (ANDROID, "android", False, False),
        (MAC, "", False, False),
        (DESKTOP, "", False, False),
        (INSTAGRAM, "ios", True, False),
        (ANDROID.replace("Pixel 9", "Pixel 9; wv"), "android", True, False),
        ("facebookexternalhit/1.1", "", False, True),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "", False, True),
        ("Slackbot-LinkExpanding 1.0", "", False, True),
        ("TelegramBot (like TwitterBot)", "", False, True),
        ("", "", False, True),
    ],
)
def test_a_browser_is_known_by_its_name(agent: str, platform: str, in_app: bool, is_bot: bool) -> None:
    found = visitor(agent)
    assert (found.platform, found.in_app, found.is_bot) == (platform, in_app, is_bot)


def test_a_programme_cannot_hide_the_portals_own_addresses() -> None:
    assert {"passes", "card-pictures", "google-wallet"} <= accounts.RESERVED_SLUGS
