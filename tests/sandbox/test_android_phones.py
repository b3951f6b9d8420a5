"""The Android phone against the stand-in for Google: it saves a card, shows it, and gives it back."""

from __future__ import annotations

import pytest

from tests.phone import Phone
from tests.sandbox import google_phone
from tests.sandbox.conftest import Running
from tests.sandbox.shop import Shop


@pytest.fixture
def android(running: Running) -> Phone:
    return Phone(running.url, "android")


@pytest.fixture
def portal(running: Running) -> google_phone.Portal:
    found = google_phone.Portal(running)
    found.insert(hexBackgroundColor="#22593f")
    return found


def test_an_android_phone_follows_the_smart_link_to_googles_and_saves_the_card(
    android: Phone, shop: Shop, portal: google_phone.Portal
) -> None:
    path = f"loyaltyObject/{google_phone.CARD_ID}"
    save_link = f"{android.url}/gp/v/save/{portal.save_token()}"
    shop.pages["/smart"] = (302, {"Location": save_link}, b"")
    assert android.open(f"{shop.url}/smart")["cards"] == [google_phone.CARD_ID]
    card = android.card(google_phone.CARD_ID)
    assert (card["organization"], card["logo_text"]) == ("Nordic Coffee", "Coffee Club")
    assert card["fields"] == {"loyaltyPoints": "120", "accountId": "NC-1"}
    assert portal.api("GET", path).json()["hasUsers"]
    assert android.order("POST", "/remove") == {"removed": google_phone.CARD_ID}
    assert not portal.api("GET", path).json()["hasUsers"]


def test_a_message_from_google_shows_googles_words_and_is_read_after_a_tap(
    android: Phone, portal: google_phone.Portal
) -> None:
    android.add(f"{android.url}/gp/v/save/{portal.save_token()}")
    assert portal.message(f"loyaltyObject/{google_phone.CARD_ID}", "m1").ok
    assert android.notices() == ["You have a new message. Tap to view it."]
    assert [each["body"] for each in android.card(google_phone.CARD_ID)["messages"]] == ["Hello m1"]
    android.order("DELETE", "/notifications")
    assert android.notices() == []


def test_a_forged_save_link_is_refused_in_words(android: Phone, portal: google_phone.Portal) -> None:
    opened = android.open(f"{android.url}/gp/v/save/{portal.save_token()[:-6]}AAAAAA")
    assert opened["result"] == "nothing"
    assert opened["problems"]


def test_an_android_phone_takes_no_apple_card(android: Phone, shop: Shop) -> None:
    assert "no app" in android.open(shop.issue())["problems"][0]
    assert shop.agents[0].startswith("Mozilla/5.0 (Linux; Android")
