"""The stand-in for Google Wallet: tokens, classes and cards, messages and their quota, faults."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import time_machine

from sandbox.google import vocabulary
from tests.sandbox.conftest import Running
from tests.sandbox.google_phone import CARD_ID, CLASS_ID, ISSUER, Portal, card, programme

CARD, CLASS = f"loyaltyObject/{CARD_ID}", f"loyaltyClass/{CLASS_ID}"


def _reason(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


# --- tokens ----------------------------------------------------------------------------------------


def test_an_assertion_of_the_service_account_gets_a_token_that_opens_the_api(google: Portal) -> None:
    answer = google.ask_for_token().json()
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3599)
    assert _reason(google.api("GET", CLASS)) == (404, "classNotFound")


def test_an_assertion_with_a_fault_gets_no_token_and_the_reason(google: Portal) -> None:
    now, stranger = int(time.time()), {**google.account, "private_key_id": "another"}
    refused = [
        google.assertion(iss="nobody@example.com"),
        google.assertion(aud="https://oauth2.googleapis.com/token"),
        google.assertion(scope="https://www.googleapis.com/auth/drive"),
        google.assertion(iat=now - 7200, exp=now - 3600),
        google.assertion(iat=now + 7200, exp=now + 9000),
        google.assertion(exp=now + 90_000),
        google.assertion(stranger),
        google.assertion()[:-8] + "AAAAAAAA",
        "not.a.token",
        "nothing",
    ]
    for assertion in refused:
        answer = google.ask_for_token(assertion)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant"), assertion


def test_tokens_end_and_keys_can_be_taken_away(google: Portal) -> None:
    assert google.api("POST", "loyaltyClass", programme()).ok
    assert google.running.control("POST", "/google/expire-tokens")["expired"] == 1
    assert _reason(google.api("GET", CLASS)) == (401, "authError")
    google.running.control("POST", "/google/disable", {"email": google.account["client_email"]})
    assert google.ask_for_token().json()["error_description"] == "Invalid grant: account not found"


def test_a_service_account_that_was_not_invited_may_do_nothing(google: Portal) -> None:
    google.insert()
    stranger = Portal(google.running, google.running.control("POST", "/google/service-accounts", {"name": "other"}))
    for answer in (
        stranger.api("GET", CARD),
        stranger.api("PATCH", CARD, {}),
        stranger.api("POST", "loyaltyClass", programme()),
        stranger.api("GET", "loyaltyObject", params={"classId": CLASS_ID}),
        stranger.message(CARD, "m"),
    ):
        assert _reason(answer) == (403, "permissionDenied")
    body = {"name": "second", "issuers": ["4400"]}
    second = Portal(google.running, google.running.control("POST", "/google/service-accounts", body))
    assert second.api("POST", "loyaltyClass", programme(id="4400.club")).ok


# --- classes and cards -----------------------------------------------------------------------------


def test_a_class_and_a_card_are_stored_once_and_shown_with_what_google_adds(google: Portal) -> None:
    assert _reason(google.api("POST", "loyaltyObject", card())) == (404, "classNotFound")
    assert google.api("POST", "loyaltyClass", programme()).json()["reviewStatus"] == "APPROVED"
    assert google.api("POST", "loyaltyObject", card()).ok
    assert _reason(google.api("POST", "loyaltyObject", card())) == (409, "existingResource")
    found = google.api("GET", CARD).json()
    assert (found["kind"], found["hasUsers"], found["accountId"]) == ("walletobjects#loyaltyObject", False, "NC-1")
    assert found["classReference"]["programName"] == "Coffee Club"


def test_a_patch_merges_objects_replaces_lists_and_takes_away_with_null(google: Portal) -> None:
    google.insert(hexBackgroundColor="#112233")
    modules = [{"id": "a", "header": "A", "body": "1"}, {"id": "b", "header": "B", "body": "2"}]
    google.api("PATCH", CARD, {"textModulesData": modules, "accountName": "Ada"})
    changed = google.api(
        "PATCH",
        CARD,
        {"textModulesData": modules[:1], "accountName": None, "loyaltyPoints": {"balance": {"int": 130}}},
    ).json()
    assert changed["textModulesData"] == modules[:1]
    assert "accountName" not in changed
    assert changed["loyaltyPoints"] == {"label": "Points", "balance": {"int": 130}}
    assert "hexBackgroundColor" not in google.api("PUT", CLASS, programme()).json()


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


def test_what_google_would_refuse_is_refused(google: Portal) -> None:
    google.api("POST", "loyaltyClass", programme())
    for kind, wrong in WRONG:
        usual = programme(id=f"{ISSUER}.new") if kind == "loyaltyClass" else card()
        assert _reason(google.api("POST", kind, {**usual, **wrong})) == (400, "badRequest"), wrong


def test_the_cards_of_a_class_are_listed_in_pages(google: Portal) -> None:
    google.insert()
    for number in range(2, 5):
        google.api("POST", "loyaltyObject", card(id=f"{ISSUER}.card-{number}"))
    found, token = [], ""
    while True:
        params = {"classId": CLASS_ID, "maxResults": "3", **({"token": token} if token else {})}
        page = google.api("GET", "loyaltyObject", params=params).json()
        found += [(each["id"], each["hasUsers"]) for each in page["resources"]]
        if not (token := page["pagination"].get("nextPageToken", "")):
            break
    assert found == [(f"{ISSUER}.card-{number}", False) for number in range(1, 5)]
    assert len(google.api("GET", "loyaltyClass", params={"issuerId": ISSUER}).json()["resources"]) == 1


def test_the_twenty_first_request_of_a_second_is_refused(
    start_sandbox: Callable[..., Running], google_account: dict[str, Any]
) -> None:
    google = Portal.invited(start_sandbox(limits=True), google_account)
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        assert [google.api("GET", CLASS).status_code for _ in range(22)] == [404] * 20 + [429] * 2
        clock.shift(1)
        assert google.api("GET", CLASS).status_code == 404


# --- messages --------------------------------------------------------------------------------------


def test_three_messages_notify_within_a_day_and_the_fourth_is_refused_but_may_be_silent(google: Portal) -> None:
    google.insert()
    answers = [google.message(CARD, f"m{number}") for number in range(4)]
    assert [each.status_code for each in answers] == [200, 200, 200, 403]
    assert _reason(answers[3]) == (403, "quotaExceeded")
    assert answers[3].json()["error"]["message"].startswith(f"Quota exceeded for issuer {ISSUER} when adding TEXT_AND")
    assert google.message(CARD, "m4", "TEXT").ok
    assert [each["id"] for each in google.card()["messages"]] == ["m0", "m1", "m2", "m4"]
    assert len(google.card()["notifications"]) == 3
    google.running.control("PUT", "/settings", {"clock_offset_seconds": 86_401})
    assert google.message(CARD, "m5").ok


def test_a_message_to_a_class_reaches_whoever_holds_a_card_of_it(google: Portal) -> None:
    google.insert()
    google.api("POST", "loyaltyObject", card(id=f"{ISSUER}.card-2"))
    google.running.control("POST", "/google/save", {"jwt": google.save_token()})
    assert google.message(CLASS, "all").json()["resource"]["messages"][0]["id"] == "all"
    assert [each["message"] for each in google.card()["notifications"]] == ["all"]
    assert google.card()["messages"][0]["body"] == "Hello all"
    assert google.running.control("GET", f"/google/cards/{ISSUER}.card-2")["notifications"] == []


def test_a_new_balance_notifies_where_that_was_asked_for(google: Portal) -> None:
    google.insert()
    points = {"label": "Points", "balance": {"int": 130}}
    google.api("PATCH", CARD, {"loyaltyPoints": points})
    google.api("PATCH", CARD, {"accountName": "Ada", "notifyPreference": "NOTIFY_ON_UPDATE"})
    assert google.card()["notifications"] == []
    points["balance"] = {"int": 140}
    changed = google.api("PATCH", CARD, {"loyaltyPoints": points, "notifyPreference": "NOTIFY_ON_UPDATE"}).json()
    assert "notifyPreference" not in changed
    assert [each["text"] for each in google.card()["notifications"]] == ["Points: 140"]


def test_a_message_out_of_shape_is_refused(google: Portal) -> None:
    google.insert()
    messages: tuple[Any, ...] = (
        None, [], {}, {"header": "x"}, {"body": "x", "message_type": "TEXT"}, {"body": "x", "messageType": "LOUD"},
    )  # fmt: skip
    for wrong in messages:
        assert _reason(google.api("POST", f"{CARD}/addMessage", {"message": wrong})) == (400, "badRequest"), wrong


def test_a_card_bears_ten_messages(google: Portal) -> None:
    google.insert()
    answers = [google.message(CARD, f"m{number}", "TEXT").status_code for number in range(11)]
    assert answers == [200] * 10 + [400]


# --- faults, reset, vocabulary ---------------------------------------------------------------------


def test_faults_hit_google_by_its_paths_and_are_worded_as_google_does(google: Portal) -> None:
    google.insert()
    for wanted in (
        {"match": {"path": "/walletobjects/"}, "fault": "status", "status": 503},
        {"match": {"path": "/walletobjects/"}, "fault": "status", "status": 403, "reason": "quotaExceeded"},
        {"match": {"path": "/google/token"}, "fault": "status", "status": 500},
        {"fault": "status", "status": 500},  # for any path: that is one of Klaviyo's
    ):
        google.running.control("POST", "/faults", wanted, expect=201)
    assert _reason(google.api("GET", CARD)) == (503, "backendError")
    assert _reason(google.api("GET", CARD)) == (403, "quotaExceeded")
    assert google.ask_for_token().json() == {"error": "internal_failure"}
    assert google.api("GET", CARD).ok
    assert len(google.running.control("GET", "/faults")["faults"]) == 1
    odd = {"match": {"path": "/google/callbacks"}, "fault": "status"}
    answer = google.running.session.post(google.running.url + "/_sandbox/faults", json=odd, timeout=20)
    assert answer.json()["error"] == (
        "under /google/callbacks fault must be one of duplicate, forge, expire, lose, not status"
    )
    counted = google.running.control("GET", "/google/requests")["requests"]
    assert {(each["path"], each["status"]) for each in counted} >= {("/google/token", 500)}


def test_an_answer_that_is_lost_after_the_message_was_added_leaves_the_message(google: Portal) -> None:
    google.insert()
    wanted = {"match": {"path": "/walletobjects/", "method": "POST"}, "fault": "reset", "accept": True}
    google.running.control("POST", "/faults", wanted, expect=201)
    with pytest.raises(requests.ConnectionError):
        google.message(CARD, "m1")
    assert [each["id"] for each in google.api("GET", CARD).json()["messages"]] == ["m1"]


def test_a_reset_empties_the_wallet_and_keeps_the_keys(google: Portal) -> None:
    google.insert()
    google.running.control("POST", "/reset", {})
    assert google.running.control("GET", "/google/service-account") == google.account
    again = Portal(google.running)
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
