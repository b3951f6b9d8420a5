"""The stand-in for Google Wallet: tokens, classes and cards, messages and quota, saving and removing, signed callbacks."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import time_machine

from sandbox.google import identity, vocabulary
from tests.sandbox.conftest import Running, until
from tests.sandbox.google_phone import CARD_ID, CLASS_ID, ISSUER, Portal, Receiver, card, is_googles, programme

CARD, CLASS = f"loyaltyObject/{CARD_ID}", f"loyaltyClass/{CLASS_ID}"


@pytest.fixture(scope="module")
def account() -> dict[str, Any]:
    """One for all sandboxes: making its key takes a while."""
    return identity.make_account("http://127.0.0.1:8100", "portal")


def _portal(running: Running, account: dict[str, Any]) -> Portal:
    (running.config.google_dir / "service-account.json").write_text(json.dumps(account))
    return Portal(running)


@pytest.fixture
def portal(klaviyo: Running, account: dict[str, Any]) -> Portal:
    return _portal(klaviyo, account)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.stop()


def _reason(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


# --- tokens ----------------------------------------------------------------------------------------


def test_an_assertion_of_the_service_account_gets_a_token_that_opens_the_api(portal: Portal) -> None:
    answer = portal.ask_for_token().json()
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3599)
    assert _reason(portal.api("GET", CLASS)) == (404, "classNotFound")


def test_an_assertion_with_a_fault_gets_no_token_and_the_reason(portal: Portal) -> None:
    now, stranger = int(time.time()), {**portal.account, "private_key_id": "another"}
    refused = [
        portal.assertion(iss="nobody@example.com"),
        portal.assertion(aud="https://oauth2.googleapis.com/token"),
        portal.assertion(scope="https://www.googleapis.com/auth/drive"),
        portal.assertion(iat=now - 7200, exp=now - 3600),
        portal.assertion(iat=now + 7200, exp=now + 9000),
        portal.assertion(exp=now + 90_000),
        portal.assertion(stranger),
        portal.assertion()[:-8] + "AAAAAAAA",
        "not.a.token",
        "nothing",
    ]
    for assertion in refused:
        answer = portal.ask_for_token(assertion)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant"), assertion


def test_tokens_end_and_keys_can_be_taken_away(portal: Portal) -> None:
    assert portal.api("POST", "loyaltyClass", programme()).ok
    assert portal.running.control("POST", "/google/expire-tokens")["expired"] == 1
    assert _reason(portal.api("GET", CLASS)) == (401, "authError")
    portal.running.control("POST", "/google/disable", {"email": portal.account["client_email"]})
    assert portal.ask_for_token().json()["error_description"] == "Invalid grant: account not found"


def test_a_service_account_that_was_not_invited_may_do_nothing(portal: Portal) -> None:
    portal.insert()
    stranger = Portal(portal.running, portal.running.control("POST", "/google/service-accounts", {"name": "other"}))
    for answer in (
        stranger.api("GET", CARD),
        stranger.api("PATCH", CARD, {}),
        stranger.api("POST", "loyaltyClass", programme()),
        stranger.api("GET", "loyaltyObject", params={"classId": CLASS_ID}),
        stranger.message(CARD, "m"),
    ):
        assert _reason(answer) == (403, "permissionDenied")
    body = {"name": "second", "issuers": ["4400"]}
    second = Portal(portal.running, portal.running.control("POST", "/google/service-accounts", body))
    assert second.api("POST", "loyaltyClass", programme(id="4400.club")).ok


# --- classes and cards -----------------------------------------------------------------------------


def test_a_class_and_a_card_are_stored_once_and_shown_with_what_google_adds(portal: Portal) -> None:
    assert _reason(portal.api("POST", "loyaltyObject", card())) == (404, "classNotFound")
    assert portal.api("POST", "loyaltyClass", programme()).json()["reviewStatus"] == "APPROVED"
    assert portal.api("POST", "loyaltyObject", card()).ok
    assert _reason(portal.api("POST", "loyaltyObject", card())) == (409, "existingResource")
    found = portal.api("GET", CARD).json()
    assert (found["kind"], found["hasUsers"], found["accountId"]) == ("walletobjects#loyaltyObject", False, "NC-1")
    assert found["classReference"]["programName"] == "Coffee Club"


def test_a_patch_merges_objects_replaces_lists_and_takes_away_with_null(portal: Portal) -> None:
    portal.insert(hexBackgroundColor="#112233")
    modules = [{"id": "a", "header": "A", "body": "1"}, {"id": "b", "header": "B", "body": "2"}]
    portal.api("PATCH", CARD, {"textModulesData": modules, "accountName": "Ada"})
    changed = portal.api(
        "PATCH",
        CARD,
        {"textModulesData": modules[:1], "accountName": None, "loyaltyPoints": {"balance": {"int": 130}}},
    ).json()
    assert changed["textModulesData"] == modules[:1]
    assert "accountName" not in changed
    assert changed["loyaltyPoints"] == {"label": "Points", "balance": {"int": 130}}
    assert "hexBackgroundColor" not in portal.api("PUT", CLASS, programme()).json()


WRONG: tuple[tuple[str, dict[str, Any]], ...] = (
    ("loyaltyClass", {"color": "red"}),
    ("loyaltyClass", {"hexBackgroundColor": "red"}),
    ("loyaltyClass", {"reviewStatus": "APPROVED"}),
    ("loyaltyClass", {"programLogo": {}}),
    ("loyaltyClass", {"programLogo": {"sourceUri": {"uri": "logo.png"}}}),
    ("loyaltyClass", {"issuerName": ""}),
    ("loyaltyClass", {"callbackOptions": {"url": "http://shop.example/"}}),
    ("loyaltyClass", {"id": f"{ISSUER}.a b"}),
    ("loyaltyClass", {"merchantLocations": [{"latitude": 1, "longitude": 2}] * 11}),
    ("loyaltyClass", {"enableSmartTap": "yes"}),
    ("loyaltyObject", {"state": "active"}),
    ("loyaltyObject", {"rewardsTier": "Gold"}),
    ("loyaltyObject", {"loyaltyPoints": {"balance": {"int": 1, "string": "1"}}}),
    ("loyaltyObject", {"loyaltyPoints": {"balance": {}}}),
    ("loyaltyObject", {"loyaltyPoints": {"balance": {"int": 1.5}}}),
    ("loyaltyObject", {"loyaltyPoints": {"balance": {"int": 2**31}}}),
    ("loyaltyObject", {"barcode": {"type": "QR", "value": "1"}}),
    ("loyaltyObject", {"textModulesData": {"id": "a"}}),
    ("loyaltyObject", {"messages": [{"body": str(number)} for number in range(11)]}),
    ("loyaltyObject", {"accountName": "\ud800"}),
    ("loyaltyObject", {"state": None}),
)


def test_what_google_would_refuse_is_refused(portal: Portal) -> None:
    portal.api("POST", "loyaltyClass", programme())
    for kind, wrong in WRONG:
        usual = programme(id=f"{ISSUER}.new") if kind == "loyaltyClass" else card()
        assert _reason(portal.api("POST", kind, {**usual, **wrong})) == (400, "badRequest"), wrong


def test_the_cards_of_a_class_are_listed_in_pages(portal: Portal) -> None:
    portal.insert()
    for number in range(2, 5):
        portal.api("POST", "loyaltyObject", card(id=f"{ISSUER}.card-{number}"))
    found, token = [], ""
    while True:
        params = {"classId": CLASS_ID, "maxResults": "3", **({"token": token} if token else {})}
        page = portal.api("GET", "loyaltyObject", params=params).json()
        found += [(each["id"], each["hasUsers"]) for each in page["resources"]]
        if not (token := page["pagination"].get("nextPageToken", "")):
            break
    assert found == [(f"{ISSUER}.card-{number}", False) for number in range(1, 5)]
    assert len(portal.api("GET", "loyaltyClass", params={"issuerId": ISSUER}).json()["resources"]) == 1


def test_the_twenty_first_request_of_a_second_is_refused(
    start_sandbox: Callable[..., Running], account: dict[str, Any]
) -> None:
    portal = _portal(start_sandbox(limits=True), account)
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        assert [portal.api("GET", CLASS).status_code for _ in range(22)] == [404] * 20 + [429] * 2
        clock.shift(1)
        assert portal.api("GET", CLASS).status_code == 404


# --- messages --------------------------------------------------------------------------------------


def test_three_messages_notify_within_a_day_and_the_fourth_is_refused_but_may_be_silent(portal: Portal) -> None:
    portal.insert()
    answers = [portal.message(CARD, f"m{number}") for number in range(4)]
    assert [each.status_code for each in answers] == [200, 200, 200, 403]
    assert _reason(answers[3]) == (403, "quotaExceeded")
    assert answers[3].json()["error"]["message"].startswith(f"Quota exceeded for issuer {ISSUER} when adding TEXT_AND")
    assert portal.message(CARD, "m4", "TEXT").ok
    assert [each["id"] for each in portal.card()["messages"]] == ["m0", "m1", "m2", "m4"]
    assert len(portal.card()["notifications"]) == 3
    portal.running.control("PUT", "/settings", {"clock_offset_seconds": 86_401})
    assert portal.message(CARD, "m5").ok


def test_a_message_to_a_class_reaches_whoever_holds_a_card_of_it(portal: Portal) -> None:
    portal.insert()
    portal.api("POST", "loyaltyObject", card(id=f"{ISSUER}.card-2"))
    portal.running.control("POST", "/google/save", {"jwt": portal.save_token()})
    assert portal.message(CLASS, "all").json()["resource"]["messages"][0]["id"] == "all"
    assert [each["message"] for each in portal.card()["notifications"]] == ["all"]
    assert portal.card()["messages"][0]["body"] == "Hello all"
    assert portal.running.control("GET", f"/google/cards/{ISSUER}.card-2")["notifications"] == []


def test_a_new_balance_notifies_where_that_was_asked_for(portal: Portal) -> None:
    portal.insert()
    points = {"label": "Points", "balance": {"int": 130}}
    portal.api("PATCH", CARD, {"loyaltyPoints": points})
    portal.api("PATCH", CARD, {"accountName": "Ada", "notifyPreference": "NOTIFY_ON_UPDATE"})
    assert portal.card()["notifications"] == []
    points["balance"] = {"int": 140}
    changed = portal.api("PATCH", CARD, {"loyaltyPoints": points, "notifyPreference": "NOTIFY_ON_UPDATE"}).json()
    assert "notifyPreference" not in changed
    assert [each["text"] for each in portal.card()["notifications"]] == ["Points: 140"]


def test_a_message_out_of_shape_is_refused(portal: Portal) -> None:
    portal.insert()
    messages: tuple[Any, ...] = (
        None, [], {}, {"header": "x"}, {"body": "x", "message_type": "TEXT"}, {"body": "x", "messageType": "LOUD"},
    )  # fmt: skip
    for wrong in messages:
        assert _reason(portal.api("POST", f"{CARD}/addMessage", {"message": wrong})) == (400, "badRequest"), wrong


def test_a_card_bears_ten_messages(portal: Portal) -> None:
    portal.insert()
    answers = [portal.message(CARD, f"m{number}", "TEXT").status_code for number in range(11)]
    assert answers == [200] * 10 + [400]


# --- saving, removing, callbacks -------------------------------------------------------------------


def test_a_save_link_shows_a_page_and_saves_on_a_tap(portal: Portal) -> None:
    portal.insert()
    link = f"{portal.running.url}/gp/v/save/{portal.save_token()}"
    page = portal.running.session.get(link, timeout=20)
    assert "Coffee Club" in page.text
    assert portal.api("GET", CARD).json()["hasUsers"] is False
    assert "It is in Google Wallet" in portal.running.session.post(link, timeout=20).text
    assert portal.api("GET", CARD).json()["hasUsers"] is True
    assert portal.running.control("GET", "/google/cards")["held"] == [CARD_ID]


def test_a_save_link_with_a_fault_saves_nothing_and_says_why(portal: Portal) -> None:
    portal.insert()
    other = portal.running.control("POST", "/google/service-accounts", {"name": "other"})
    cards = {"loyaltyObjects": [{"id": f"{ISSUER}.unknown", "classId": f"{ISSUER}.unknown"}]}
    for token, words in (
        (portal.save_token(aud="somebody"), "its aud is not google"),
        (portal.save_token(typ="JWT"), "its typ is not savetowallet"),
        (portal.save_token(origins=None), "its origins"),
        (portal.save_token(iat=int(time.time()) + 9_000), "its iat"),
        (portal.save_token(payload={}), "it names no card"),
        (portal.save_token(payload=cards), "cannot be made"),
        (portal.save_token({**other, "private_key_id": portal.account["private_key_id"]}), "Invalid JWT Signature"),
        (portal.save_token(other, iss=other["client_email"]), "another issuer"),
        (portal.save_token(iss="nobody@example.com"), "not signed by a service account"),
        ("rubbish", "three parts"),
    ):
        answer = portal.running.session.post(f"{portal.running.url}/gp/v/save/{token}", timeout=20)
        assert answer.status_code == 400
        assert words in answer.text
    assert portal.api("GET", CARD).json()["hasUsers"] is False


def test_a_link_with_a_whole_card_makes_it(portal: Portal) -> None:
    portal.api("POST", "loyaltyClass", programme())
    token = portal.save_token(payload={"loyaltyObjects": [card()]})
    assert portal.running.control("POST", "/google/save", {"jwt": token})["saved"] == [CARD_ID]
    assert portal.api("GET", CARD).json()["hasUsers"] is True


def test_saving_and_removing_are_reported_once_each_and_signed(portal: Portal, receiver: Receiver) -> None:
    portal.insert(callbackOptions={"url": receiver.url})
    for _ in range(2):
        portal.running.control("POST", "/google/save", {"jwt": portal.save_token()})
    until(lambda: receiver.events() == ["save"])
    for _ in range(2):
        portal.running.control("POST", "/google/remove", {"object_id": CARD_ID})
    until(lambda: receiver.events() == ["save", "del"])
    assert portal.api("GET", CARD).json()["hasUsers"] is False
    keys = portal.running.session.get(portal.running.url + "/gp/m/issuer/keys", timeout=20).json()
    assert all(is_googles(body, keys) for body in receiver.bodies)
    told = json.loads(receiver.bodies[0]["signedMessage"])
    assert (told["classId"], told["objectId"], told["count"]) == (CLASS_ID, CARD_ID, 1)
    listed = portal.running.control("GET", "/google/callbacks")["callbacks"]
    until(lambda: [each["status"] for each in portal.running.control("GET", "/google/callbacks")["callbacks"]])
    assert len({each["nonce"] for each in listed}) == 2


def test_callbacks_can_be_ordered_to_come_twice_forged_late_or_not_at_all(portal: Portal, receiver: Receiver) -> None:
    portal.insert(callbackOptions={"url": receiver.url})
    keys = portal.running.session.get(portal.running.url + "/gp/m/issuer/keys", timeout=20).json()
    for fault in ("duplicate", "forge", "expire", "lose"):
        wanted = {"match": {"path": "/google/callbacks"}, "fault": fault}
        portal.running.control("POST", "/faults", wanted, expect=201)
    for _ in range(2):
        portal.running.control("POST", "/google/save", {"jwt": portal.save_token()})
        portal.running.control("POST", "/google/remove", {"object_id": CARD_ID})
    until(lambda: len(receiver.bodies) == 4)
    first, second, forged, late = receiver.bodies
    assert first == second
    assert [is_googles(body, keys) for body in receiver.bodies] == [True, True, False, True]
    assert json.loads(late["signedMessage"])["expTimeMillis"] < time.time() * 1000
    assert json.loads(forged["signedMessage"])["eventType"] == "del"
    assert [each["fault"] for each in portal.running.control("GET", "/google/callbacks")["callbacks"]] == [
        "duplicate", "duplicate", "forge", "expire", "lose",
    ]  # fmt: skip


def test_a_callback_that_was_not_taken_comes_again_also_after_a_restart(portal: Portal) -> None:
    receiver = Receiver(503)
    portal.insert(callbackOptions={"url": receiver.url})
    portal.running.control("POST", "/google/save", {"jwt": portal.save_token()})
    until(lambda: len(receiver.bodies) == 1)
    portal.running.restart()
    until(lambda: len(receiver.bodies) == 2)
    receiver.stop()
    assert receiver.bodies[0] == receiver.bodies[1]
    assert portal.card()["card"]["hasUsers"] is True


# --- faults, reset, vocabulary ---------------------------------------------------------------------


def test_faults_hit_google_by_its_paths_and_are_worded_as_google_does(portal: Portal) -> None:
    portal.insert()
    for wanted in (
        {"match": {"path": "/walletobjects/"}, "fault": "status", "status": 503},
        {"match": {"path": "/walletobjects/"}, "fault": "status", "status": 403, "reason": "quotaExceeded"},
        {"match": {"path": "/google/token"}, "fault": "status", "status": 500},
        {"fault": "status", "status": 500},  # for any path: that is one of Klaviyo's
    ):
        portal.running.control("POST", "/faults", wanted, expect=201)
    assert _reason(portal.api("GET", CARD)) == (503, "backendError")
    assert _reason(portal.api("GET", CARD)) == (403, "quotaExceeded")
    assert portal.ask_for_token().json() == {"error": "internal_failure"}
    assert portal.api("GET", CARD).ok
    assert len(portal.running.control("GET", "/faults")["faults"]) == 1
    odd = {"match": {"path": "/google/callbacks"}, "fault": "status"}
    answer = portal.running.session.post(portal.running.url + "/_sandbox/faults", json=odd, timeout=20)
    assert answer.json()["error"] == (
        "under /google/callbacks fault must be one of duplicate, forge, expire, lose, not status"
    )
    counted = portal.running.control("GET", "/google/requests")["requests"]
    assert {(each["path"], each["status"]) for each in counted} >= {("/google/token", 500)}


def test_an_answer_that_is_lost_after_the_message_was_added_leaves_the_message(portal: Portal) -> None:
    portal.insert()
    wanted = {"match": {"path": "/walletobjects/", "method": "POST"}, "fault": "reset", "accept": True}
    portal.running.control("POST", "/faults", wanted, expect=201)
    with pytest.raises(requests.ConnectionError):
        portal.message(CARD, "m1")
    assert [each["id"] for each in portal.api("GET", CARD).json()["messages"]] == ["m1"]


def test_a_reset_empties_the_wallet_and_keeps_the_keys(portal: Portal) -> None:
    portal.insert()
    portal.running.control("POST", "/reset", {})
    assert portal.running.control("GET", "/google/service-account") == portal.account
    again = Portal(portal.running)
    assert again.api("GET", CLASS).status_code == 404


def test_the_vocabulary_is_the_vendors_own() -> None:
    """`GOOGLE_DISCOVERY` names Google's discovery document, which is not part of this repository."""
    named = os.environ.get("GOOGLE_DISCOVERY", "")
    if not Path(named).is_file():
        reason = "GOOGLE_DISCOVERY does not name Google's discovery document"
        if os.environ.get("PORTAL_TESTS_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    schemas = json.loads(Path(named).read_text())["schemas"]
    for name, members in vocabulary.members().items():
        assert members == {member: _kind(each) for member, each in schemas[name]["properties"].items()}, name
    for place, words in vocabulary.words().items():
        name, _, member = place.partition(".")
        assert words == _words(schemas[name]["properties"][member]), place
    mentioned = {kind.strip("[]") for members in vocabulary.members().values() for kind in members.values()}
    assert mentioned & set(schemas) <= set(vocabulary.members())


def _kind(member: dict[str, Any]) -> str:
    if "$ref" in member:
        return str(member["$ref"])
    if member["type"] == "array":
        return f"[{_kind(member['items'])}]"
    return str(member.get("format") if member.get("format") in ("int32", "int64", "double") else member["type"])


def _words(member: dict[str, Any]) -> set[str]:
    known = member if "enum" in member else member["items"]
    deprecated = known.get("enumDeprecated") or [False] * len(known["enum"])
    spelled = zip(known["enum"], deprecated, strict=True)
    return {word for word, old in spelled if not old and not word.endswith("_UNSPECIFIED")}
