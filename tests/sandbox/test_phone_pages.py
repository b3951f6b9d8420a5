"""The pages of the phones, as a person without scripts uses them."""

from __future__ import annotations

import re

import requests

from tests.sandbox import google_phone
from tests.sandbox.conftest import Running
from tests.sandbox.shop import Shop
from tests.waiting import eventually


def _get(running: Running, path: str) -> requests.Response:
    page = running.session.get(running.url + path, timeout=20)
    assert page.status_code == 200
    return page


def _post(running: Running, path: str, **form: str) -> requests.Response:
    return running.session.post(running.url + path, data=form, timeout=20)


def _add(running: Running, shop: Shop) -> str:
    """The card's page."""
    page = _post(running, "/phones/iphone/open", url=shop.issue())
    assert page.history[0].status_code == 303
    return page.text


def test_every_page_is_plain_html_that_the_policy_allows(running: Running, shop: Shop) -> None:
    _add(running, shop)
    portal = google_phone.Portal(running)
    portal.insert()
    running.control("POST", "/google/save", {"jwt": portal.save_token()})
    for phone in ("iphone", "android"):
        for path in ("/phones", *(f"/phones/{phone}?screen={name}" for name in ("lock", "wallet", "card", "back"))):
            page = _get(running, path)
            assert "stands in for Klaviyo" in page.text
            assert page.text.count("<h1") == 1
            assert not re.search(r"<script|style=|<style|onclick", page.text)
            assert "style-src 'self'" in page.headers["Content-Security-Policy"]


def test_a_card_is_added_and_shown_in_its_colours(running: Running, shop: Shop) -> None:
    page = _add(running, shop)
    assert "<svg" in page
    assert ">120<" in page
    colours = _get(running, "/phones/iphone/colours.css")
    assert colours.headers["Content-Type"].startswith("text/css")
    assert ".pass-0 { background: rgb(34, 89, 63);" in colours.text
    assert _get(running, "/phones/iphone/cards/1/icon.png").headers["Content-Type"] == "image/png"
    assert running.session.get(f"{running.url}/phones/iphone/cards/1/pass.json", timeout=20).status_code == 404


def test_what_is_wrong_with_a_card_is_told_beside_the_link(running: Running, shop: Shop) -> None:
    url = shop.issue(backgroundColor="green")
    page = _post(running, "/phones/iphone/open", url=url).text
    assert "backgroundColor must be rgb(r, g, b)" in page
    assert f'value="{url}"' in page


def test_a_notification_the_switches_and_removal_work_by_forms(running: Running, shop: Shop) -> None:
    _add(running, shop)
    assert eventually(lambda: shop.registered)
    shop.change(message="<b>Ready</b>")
    assert eventually(lambda: "&lt;b&gt;Ready&lt;/b&gt;" in _get(running, "/phones/iphone").text)
    _post(running, "/phones/iphone/clear")
    assert "No notifications" in _get(running, "/phones/iphone").text
    page = _post(running, "/phones/iphone/cards/1/switch", switch="automatic_updates", on="no")
    assert 'aria-pressed="false"' in page.text
    assert eventually(lambda: not shop.registered)
    assert "No cards yet" in _post(running, "/phones/iphone/cards/1/remove").text


def test_links_of_a_card_open_in_a_new_tab_and_dangerous_ones_are_no_links(running: Running, shop: Shop) -> None:
    bad = {"key": "bad", "value": "x", "attributedValue": '<a href="javascript:alert(1)">Win</a>'}
    url = shop.issue()
    document = shop.document("S1")
    shop.cards["S1"].more = {
        "storeCard": {**document["storeCard"], "backFields": [*document["storeCard"]["backFields"], bad]}
    }
    _post(running, "/phones/iphone/open", url=url)
    page = _get(running, "/phones/iphone?screen=back").text
    assert re.search(r'<a href="[^"]+/go\?a=1&amp;b=2" target="_blank" rel="noopener">Visit us</a>', page)
    assert "Win" in page
    assert "javascript:" not in page


def test_phones_are_made_lost_and_taken_offline(running: Running) -> None:
    page = _post(running, "/phones", kind="android")
    assert "<h1>Android phone 2</h1>" in page.text
    assert "Go online" in _post(running, "/phones/iphone/offline", offline="yes").text
    _post(running, "/phones/android/lose")
    assert running.session.get(f"{running.url}/phones/android", timeout=20).status_code == 404


def test_a_form_of_another_site_is_refused(running: Running) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    for path in ("/phones/iphone/lose", "/_sandbox/phones/iphone/offline"):
        assert running.session.post(running.url + path, headers=headers, timeout=20).status_code == 403
    assert running.session.get(f"{running.url}/phones", headers=headers, timeout=20).status_code == 200
