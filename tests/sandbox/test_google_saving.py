"""Cards are saved and removed on the stand-in's phone, and each is reported once by a callback that Google signed."""

from __future__ import annotations

import json
import time

from tests.sandbox.conftest import until
from tests.sandbox.google_phone import CARD_ID, CLASS_ID, ISSUER, Portal, Receiver, card, is_googles, programme

CARD = f"loyaltyObject/{CARD_ID}"


def test_a_save_link_shows_a_page_and_saves_on_a_tap(google: Portal) -> None:
    google.insert()
    link = f"{google.running.url}/gp/v/save/{google.save_token()}"
    page = google.running.session.get(link, timeout=20)
    assert "Coffee Club" in page.text
    assert google.api("GET", CARD).json()["hasUsers"] is False
    assert "It is in Google Wallet" in google.running.session.post(link, timeout=20).text
    assert google.api("GET", CARD).json()["hasUsers"] is True
    assert google.running.control("GET", "/google/cards")["held"] == [CARD_ID]


def test_a_save_link_with_a_fault_saves_nothing_and_says_why(google: Portal) -> None:
    google.insert()
    other = google.running.control("POST", "/google/service-accounts", {"name": "other"})
    cards = {"loyaltyObjects": [{"id": f"{ISSUER}.unknown", "classId": f"{ISSUER}.unknown"}]}
    for token, words in (
        (google.save_token(aud="somebody"), "its aud is not google"),
        (google.save_token(typ="JWT"), "its typ is not savetowallet"),
        (google.save_token(origins=None), "its origins"),
        (google.save_token(iat=int(time.time()) + 9_000), "its iat"),
        (google.save_token(payload={}), "it names no card"),
        (google.save_token(payload=cards), "cannot be made"),
        (google.save_token({**other, "private_key_id": google.account["private_key_id"]}), "Invalid JWT Signature"),
        (google.save_token(other, iss=other["client_email"]), "another issuer"),
        (google.save_token(iss="nobody@example.com"), "not signed by a service account"),
        ("rubbish", "three parts"),
    ):
        answer = google.running.session.post(f"{google.running.url}/gp/v/save/{token}", timeout=20)
        assert answer.status_code == 400
        assert words in answer.text
    assert google.api("GET", CARD).json()["hasUsers"] is False


def test_a_link_with_a_whole_card_makes_it(google: Portal) -> None:
    google.api("POST", "loyaltyClass", programme())
    token = google.save_token(payload={"loyaltyObjects": [card()]})
    assert google.running.control("POST", "/google/save", {"jwt": token})["saved"] == [CARD_ID]
    assert google.api("GET", CARD).json()["hasUsers"] is True


def test_saving_and_removing_are_reported_once_each_and_signed(google: Portal, receiver: Receiver) -> None:
    google.insert(callbackOptions={"url": receiver.url})
    for _ in range(2):
        google.running.control("POST", "/google/save", {"jwt": google.save_token()})
    until(lambda: receiver.events() == ["save"])
    for _ in range(2):
        google.running.control("POST", "/google/remove", {"object_id": CARD_ID})
    until(lambda: receiver.events() == ["save", "del"])
    assert google.api("GET", CARD).json()["hasUsers"] is False
    keys = google.running.session.get(google.running.url + "/gp/m/issuer/keys", timeout=20).json()
    assert all(is_googles(body, keys) for body in receiver.bodies)
    told = json.loads(receiver.bodies[0]["signedMessage"])
    assert (told["classId"], told["objectId"], told["count"]) == (CLASS_ID, CARD_ID, 1)
    listed = google.running.control("GET", "/google/callbacks")["callbacks"]
    until(lambda: [each["status"] for each in google.running.control("GET", "/google/callbacks")["callbacks"]])
    assert len({each["nonce"] for each in listed}) == 2


def test_callbacks_can_be_ordered_to_come_twice_forged_late_or_not_at_all(google: Portal, receiver: Receiver) -> None:
    google.insert(callbackOptions={"url": receiver.url})
    keys = google.running.session.get(google.running.url + "/gp/m/issuer/keys", timeout=20).json()
    for fault in ("duplicate", "forge", "expire", "lose"):
        wanted = {"match": {"path": "/google/callbacks"}, "fault": fault}
        google.running.control("POST", "/faults", wanted, expect=201)
    for _ in range(2):
        google.running.control("POST", "/google/save", {"jwt": google.save_token()})
        google.running.control("POST", "/google/remove", {"object_id": CARD_ID})
    until(lambda: len(receiver.bodies) == 4)
    first, second, forged, late = receiver.bodies
    assert first == second
    assert [is_googles(body, keys) for body in receiver.bodies] == [True, True, False, True]
    assert json.loads(late["signedMessage"])["expTimeMillis"] < time.time() * 1000
    assert json.loads(forged["signedMessage"])["eventType"] == "del"
    assert [each["fault"] for each in google.running.control("GET", "/google/callbacks")["callbacks"]] == [
        "duplicate", "duplicate", "forge", "expire", "lose",
    ]  # fmt: skip


def test_a_callback_that_was_not_taken_comes_again_also_after_a_restart(google: Portal) -> None:
    receiver = Receiver(503)
    google.insert(callbackOptions={"url": receiver.url})
    google.running.control("POST", "/google/save", {"jwt": google.save_token()})
    until(lambda: len(receiver.bodies) == 1)
    google.running.restart()
    until(lambda: len(receiver.bodies) == 2)
    receiver.stop()
    assert receiver.bodies[0] == receiver.bodies[1]
    assert google.card()["card"]["hasUsers"] is True
