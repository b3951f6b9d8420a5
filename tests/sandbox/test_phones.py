"""Phones against a small shop: they add its card, keep it up to date, show what a phone would, and complain where it is due."""

from __future__ import annotations

from typing import Any

import pytest

from tests.phone import Phone
from tests.sandbox.conftest import Running
from tests.sandbox.shop import Shop
from tests.waiting import eventually

GENERIC = "Store card changed"


@pytest.fixture
def iphone(running: Running) -> Phone:
    return Phone(running.url)


def test_a_card_is_added_shown_and_registered(iphone: Phone, shop: Shop) -> None:
    iphone.add(shop.issue())
    card = iphone.card()
    assert card["organization"] == "Nordic Coffee"
    assert card["fields"] == {
        "points": "120",
        "tier": "Silver",
        "message": "Hello",
        "note": "Quiet",
        "site": "Visit us",
    }
    assert card["barcode"]["message"] == "S1"
    assert card["registered"]
    told = iphone.order("GET")
    assert shop.registered == {(told["device"], "S1"): told["push_token"]}
    assert shop.agents[0].startswith("Mozilla/5.0 (iPhone;")
    assert shop.agents[-1].startswith("passd/")
    assert shop.logs == []


def test_a_card_that_breaks_the_rules_is_not_added_and_everything_wrong_is_told(iphone: Phone, shop: Shop) -> None:
    opened = iphone.open(shop.issue(teamIdentifier="OTHERTEAM1", backgroundColor="green"))
    assert opened["result"] == "nothing"
    assert len(opened["problems"]) == 2
    assert iphone.order("GET", "/cards")["cards"] == []
    assert shop.registered == {}


def test_a_message_is_on_the_lock_screen_once_it_changes(iphone: Phone, shop: Shop) -> None:
    iphone.add(shop.issue())
    assert iphone.notices() == []
    shop.change(message="Your reward is ready!")
    assert eventually(lambda: iphone.notices() == ["Your reward is ready!"])
    assert iphone.card()["fields"]["message"] == "Your reward is ready!"
    shop.change(message="Your reward is ready!")
    iphone.settled()
    assert iphone.notices() == ["Your reward is ready!"], "the same text again is no change"
    shop.change(points=140)
    iphone.settled()
    assert iphone.notices() == ["You have 140 points.", "Your reward is ready!"]
    assert shop.logs == []


def test_two_changes_at_once_show_the_generic_text_and_silent_ones_none(iphone: Phone, shop: Shop) -> None:
    iphone.add(shop.issue())
    shop.change(points=140, tier="Gold")
    assert eventually(lambda: iphone.notices() == [GENERIC])
    shop.change(note="Changed")
    iphone.settled()
    assert eventually(lambda: iphone.card()["fields"]["note"] == "Changed")
    assert iphone.notices() == [GENERIC]


def test_a_push_without_a_change_asks_and_leaves_it_at_that(iphone: Phone, shop: Shop) -> None:
    iphone.add(shop.issue())
    shop.change(message="One")
    assert eventually(lambda: iphone.notices() == ["One"])
    iphone.settled()
    fetched = [call for call in shop.calls if "/passes/" in call]
    assert shop.push() == [200]
    iphone.settled()
    assert eventually(lambda: "Was woken, asked what changed: nothing." in iphone.log())
    assert [call for call in shop.calls if "/passes/" in call] == fetched


def test_a_phone_that_was_offline_catches_up_with_one_push_for_many(iphone: Phone, shop: Shop) -> None:
    url = shop.issue()
    iphone.add(url)
    iphone.order("POST", "/offline", {"offline": True})
    for text in ("One", "Two", "Three"):
        shop.change(message=text)
    assert iphone.open(url)["problems"] == ["The phone is offline."]
    assert iphone.order("GET")["waiting"] == 1
    assert iphone.notices() == []
    iphone.order("POST", "/offline", {"offline": False})
    assert eventually(lambda: iphone.notices() == ["Three"])


def test_removing_a_card_unregisters_it_and_a_later_push_does_nothing(iphone: Phone, shop: Shop) -> None:
    iphone.add(shop.issue())
    token = iphone.order("GET")["push_token"]
    assert iphone.order("POST", "/remove") == {"removed": "S1"}
    iphone.settled()
    assert shop.registered == {}
    shop.registered["kept", "S1"] = token
    assert shop.push() == [200]
    iphone.settled()
    assert [call.partition(" ")[0] for call in shop.calls if "/devices/" in call] == ["POST", "DELETE"]


def test_a_phone_that_is_lost_says_nothing_and_apple_says_it_for_it(
    iphone: Phone, shop: Shop, running: Running
) -> None:
    iphone.add(shop.issue())
    iphone.order("DELETE")
    assert shop.push() == [410]
    assert len(shop.registered) == 1
    assert [each["id"] for each in running.control("GET", "/phones")["phones"]] == ["android"]


def test_a_new_push_token_replaces_the_old_one_at_the_shop(iphone: Phone, shop: Shop) -> None:
    iphone.add(shop.issue())
    (before,) = shop.registered.values()
    iphone.order("POST", "/new-token")
    assert eventually(lambda: list(shop.registered.values()) != [before])
    shop.change(message="Still here")
    assert eventually(lambda: iphone.notices() == ["Still here"])
    shop.registered = dict.fromkeys(shop.registered, before)
    assert shop.push() == [410]


def test_the_switches_on_the_back_stop_updates_and_notifications(iphone: Phone, shop: Shop) -> None:
    iphone.add(shop.issue())
    iphone.order("POST", "/switches", {"allow_notifications": False})
    shop.change(message="Unseen")
    assert eventually(lambda: iphone.card()["fields"]["message"] == "Unseen")
    assert iphone.notices() == []
    iphone.order("POST", "/switches", {"allow_notifications": True, "automatic_updates": False})
    iphone.settled()
    assert shop.registered == {}
    shop.change(message="Missed")
    assert iphone.card()["fields"]["message"] == "Unseen"
    iphone.order("POST", "/switches", {"automatic_updates": True})
    iphone.settled()
    assert len(shop.registered) == 1
    assert iphone.order("POST", "/refresh")["fields"]["message"] == "Missed"


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"numeric_tag": True}, "lastUpdated is not a string"),
        ({"stranger": "S9"}, "Update requested for unregistered serial number 'S9'"),
    ],
)
def test_a_shop_that_answers_oddly_reads_about_it_in_its_log(
    wrong: dict[str, Any], complaint: str, iphone: Phone, shop: Shop
) -> None:
    iphone.add(shop.issue())
    vars(shop.wrong).update(wrong)
    shop.change(message="Hi")
    assert eventually(lambda: any(complaint in line for line in shop.logs))
    iphone.settled()
    assert iphone.notices() == ([] if "numeric_tag" in wrong else ["Hi"])


def test_a_tag_that_stands_still_and_a_card_sent_for_nothing_are_complained_of(iphone: Phone, shop: Shop) -> None:
    iphone.add(shop.issue())
    shop.change(message="One")
    assert eventually(lambda: iphone.notices() == ["One"])
    shop.wrong.same_tag = shop.wrong.ignores_since = True
    shop.change(message="Two")
    assert eventually(lambda: iphone.notices() == ["Two", "One"])
    iphone.settled()
    assert "request included 1 serial numbers but the lastUpdated tag remained the same" in shop.logs[0]
    iphone.order("POST", "/refresh")
    assert "Server ignored the 'if-modified-since' header" in shop.logs[-1]
    assert "with web service url http://127.0.0.1:" in shop.logs[-1]


def test_an_update_that_a_phone_does_not_take_leaves_the_card_as_it_was(iphone: Phone, shop: Shop) -> None:
    iphone.add(shop.issue())
    shop.cards["S1"].more = {"authenticationToken": "another-token-of-the-shop"}
    shop.change(message="Hi")
    assert eventually(lambda: any("authenticationToken is not the one" in line for line in shop.logs))
    assert iphone.card()["fields"]["message"] == "Hello"
    assert iphone.notices() == []


def test_what_failed_is_tried_again_and_what_was_refused_is_not(iphone: Phone, shop: Shop) -> None:
    shop.wrong.status, shop.wrong.times = 503, 1
    iphone.add(shop.issue())
    assert len(shop.registered) == 1
    assert "Unexpected response code 503" in shop.logs[0]
    shop.wrong.status, shop.wrong.times = 401, 1
    shop.change(message="Hi")
    assert eventually(lambda: any("Authentication failure" in line for line in shop.logs))
    iphone.settled()
    assert iphone.notices() == []


def test_a_card_without_a_web_service_is_never_updated(iphone: Phone, shop: Shop) -> None:
    iphone.add(shop.issue(webServiceURL=None, authenticationToken=None))
    assert shop.registered == {}


def test_links_lead_where_redirects_do_and_a_page_is_told_by_its_title(iphone: Phone, shop: Shop) -> None:
    shop.pages["/smart"] = (302, {"Location": shop.issue()}, b"")
    shop.pages["/page"] = (404, {"Content-Type": "text/html"}, b"<title>Gone &amp; away</title>")
    shop.pages["/round"] = (302, {"Location": "/round"}, b"")
    assert iphone.open(f"{shop.url}/smart")["cards"] == ["S1"]
    page = iphone.open(f"{shop.url}/page")
    assert (page["result"], page["status"], page["title"]) == ("page", 404, "Gone & away")
    assert "without end" in iphone.open(f"{shop.url}/round")["problems"][0]
    assert "no web address" in iphone.open("javascript:alert(1)")["problems"][0]
    assert "cannot be opened" in iphone.open("http://127.0.0.1:1/")["problems"][0]


def test_a_link_on_the_back_is_followed_once(iphone: Phone, shop: Shop) -> None:
    iphone.add(shop.issue())
    shop.pages["/go"] = (302, {"Location": "https://shop.example/"}, b"")
    followed = iphone.order("POST", "/follow", {"link": "Visit us"})
    assert (followed["status"], followed["url"]) == (302, "https://shop.example/")
    assert "GET /go" in shop.calls
    iphone.order("POST", "/follow", {"link": "Nowhere"}, expect=404)


def test_phones_and_what_they_have_to_do_survive_a_restart(iphone: Phone, shop: Shop, running: Running) -> None:
    iphone.add(shop.issue())
    iphone.order("POST", "/offline", {"offline": True})
    shop.change(message="Later")
    running.restart()
    iphone = Phone(running.url)
    assert iphone.order("GET")["waiting"] == 1
    iphone.order("POST", "/offline", {"offline": False})
    assert eventually(lambda: iphone.notices() == ["Later"])


def test_a_reset_takes_all_cards_and_further_phones_away(iphone: Phone, shop: Shop, running: Running) -> None:
    iphone.add(shop.issue())
    running.control("POST", "/phones", {"kind": "ios", "name": "Second"}, expect=201)
    running.control("POST", "/reset")
    told = running.control("GET", "/phones")["phones"]
    assert [(each["id"], each["cards"]) for each in told] == [("iphone", []), ("android", [])]


def test_two_phones_with_one_card_are_both_told(iphone: Phone, shop: Shop, running: Running) -> None:
    second = Phone(running.url, running.control("POST", "/phones", {"kind": "ios"})["id"])
    url = shop.issue()
    iphone.add(url)
    second.add(url)
    shop.change(message="Both")
    assert eventually(lambda: iphone.notices() == second.notices() == ["Both"])


@pytest.mark.parametrize(
    ("what", "body", "status"),
    [
        ("/open", {"url": ""}, 400),
        ("/open", {"link": "x"}, 400),
        ("/remove", {}, 400),
        ("/remove", {"card": "S9"}, 404),
        ("/offline", {"offline": "yes"}, 400),
    ],
)
def test_orders_that_make_no_sense_are_refused(what: str, body: dict[str, Any], status: int, iphone: Phone) -> None:
    assert iphone.order("POST", what, body, expect=status)["error"]


def test_an_order_for_a_phone_that_is_not_there_is_not_found(running: Running) -> None:
    Phone(running.url, "nobody").order("GET", expect=404)
    running.control("POST", "/phones", {"kind": "fax"}, expect=400)
