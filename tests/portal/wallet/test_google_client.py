"""The client and what it makes of Google's answers: each outcome by its name, and one token for many calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
import responses
import time_machine
from google.auth import jwt

from portal.wallet import google_tokens
from portal.wallet.google import (
    GoogleWallet,
    LoyaltyClass,
    LoyaltyObject,
    Message,
    Outcome,
    ServiceAccount,
    check_service_account,
)
from tests.portal.wallet.google_issuer import CLASS_ID, OBJECT_ID, service_account_file

API = "https://walletobjects.googleapis.com/walletobjects/v1"
TOKEN_URI = "https://oauth2.googleapis.com/token"
CARD = LoyaltyObject(id=OBJECT_ID, class_id=CLASS_ID, account_id="1")
PROGRAMME = LoyaltyClass(id=CLASS_ID, issuer_name="N", program_name="C", logo_url="https://shop.example/logo.png")


@pytest.fixture
def account() -> ServiceAccount:
    google_tokens._kept.clear()
    return check_service_account(service_account_file())


@pytest.fixture
def google() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.post(TOKEN_URI, json={"access_token": "token-1", "expires_in": 3599, "token_type": "Bearer"})
        yield mock


@pytest.fixture
def wallet(account: ServiceAccount, google: responses.RequestsMock) -> GoogleWallet:
    return GoogleWallet(account)


def refusal(status: int, reason: str, message: str = "In Google's words.") -> dict[str, Any]:
    error = {"code": status, "message": message, "errors": [{"message": message, "reason": reason}]}
    return {"status": status, "json": {"error": error}}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({"status": 200, "json": {"id": OBJECT_ID}}, Outcome.OK),
        (refusal(400, "invalid"), Outcome.REFUSED),
        (refusal(403, "permissionDenied"), Outcome.FORBIDDEN),
        (refusal(403, "quotaExceeded"), Outcome.QUOTA),
        (refusal(403, "rateLimitExceeded"), Outcome.THROTTLED),
        ({"status": 403, "json": {"error": "odd"}}, Outcome.FORBIDDEN),
        ({"status": 403, "json": ["odd"]}, Outcome.FORBIDDEN),
        (refusal(404, "resourceNotFound"), Outcome.MISSING),
        (refusal(409, "existingResource"), Outcome.CONFLICT),
        (refusal(429, "rateLimitExceeded"), Outcome.THROTTLED),
        ({"status": 429, "body": "slow down"}, Outcome.THROTTLED),
        (refusal(500, "backendError"), Outcome.TROUBLE),
        ({"status": 503, "body": "<html>"}, Outcome.TROUBLE),
        ({"status": 302, "headers": {"Location": "https://elsewhere.example"}}, Outcome.TROUBLE),
        ({"status": 404, "body": "<html>a proxy's page", "content_type": "text/html"}, Outcome.TROUBLE),
        ({"status": 200, "body": "<html>"}, Outcome.TROUBLE),
        ({"status": 200, "json": []}, Outcome.TROUBLE),
        ({"body": requests.ConnectionError()}, Outcome.TROUBLE),
        ({"body": requests.ReadTimeout()}, Outcome.TROUBLE),
    ],
)
def test_an_answer_has_one_outcome(
    wallet: GoogleWallet, google: responses.RequestsMock, answer: dict[str, Any], outcome: Outcome
) -> None:
    google.get(f"{API}/loyaltyObject/{OBJECT_ID}", **answer)
    reply = wallet.get_object(OBJECT_ID)
    assert reply.outcome is outcome
    assert reply.ok == (reply.said == "")


def test_googles_own_words_are_kept_in_a_form_that_can_be_stored(
    wallet: GoogleWallet, google: responses.RequestsMock
) -> None:
    google.get(f"{API}/loyaltyObject/{OBJECT_ID}", **refusal(403, "quotaExceeded", "Quota\x00 \ud800" + "x" * 900))
    reply = wallet.get_object(OBJECT_ID)
    assert reply.reason == "quotaExceeded"
    assert reply.said.startswith("Quota ?x")
    assert len(reply.said) <= 500


def test_a_card_that_is_there_already_is_patched_instead(wallet: GoogleWallet, google: responses.RequestsMock) -> None:
    google.post(f"{API}/loyaltyObject", **refusal(409, "existingResource"))
    google.patch(f"{API}/loyaltyObject/{OBJECT_ID}", json={"id": OBJECT_ID})
    assert wallet.put(CARD).ok
    assert [call.request.method for call in google.calls][1:] == ["POST", "PATCH"]
    assert json.loads(google.calls[2].request.body)["barcode"] is None


@pytest.mark.parametrize("answer", [refusal(404, "classNotFound"), refusal(503, "backendError")])
def test_nothing_is_patched_where_creating_failed_otherwise(
    wallet: GoogleWallet, google: responses.RequestsMock, answer: dict[str, Any]
) -> None:
    google.post(f"{API}/loyaltyClass", **answer)
    assert wallet.put(PROGRAMME).outcome in (Outcome.MISSING, Outcome.TROUBLE)
    assert len(google.calls) == 2


def test_messages_go_to_a_card_or_to_all_of_a_class(wallet: GoogleWallet, google: responses.RequestsMock) -> None:
    for path in (f"loyaltyObject/{OBJECT_ID}", f"loyaltyClass/{CLASS_ID}"):
        google.post(f"{API}/{path}/addMessage", json={"resource": {}})
    message = Message("m-1", "Nordic", "Fika ☕")
    assert wallet.message_object(OBJECT_ID, message).ok
    assert wallet.message_class(CLASS_ID, message).ok
    assert json.loads(google.calls[-1].request.body) == {
        "message": {"id": "m-1", "header": "Nordic", "body": "Fika ☕", "messageType": "TEXT_AND_NOTIFY"}
    }


def test_the_cards_of_a_class_come_in_pages(wallet: GoogleWallet, google: responses.RequestsMock) -> None:
    first = {
        "resources": [{"id": OBJECT_ID, "state": "active", "hasUsers": True}, {"id": "1.b", "state": "ACTIVE"}, "odd"],
        "pagination": {"nextPageToken": "more", "resultsPerPage": 2},
    }
    google.get(f"{API}/loyaltyObject", json=first)
    google.get(f"{API}/loyaltyObject", json={"resources": None})
    page = wallet.list_objects(CLASS_ID)
    assert [(each.id, each.state, each.has_users) for each in page.holdings] == [
        (OBJECT_ID, "ACTIVE", True),
        ("1.b", "ACTIVE", False),
    ]
    last = wallet.list_objects(CLASS_ID, page.next)
    assert (last.holdings, last.next) == ((), "")
    assert "token=more" in google.calls[-1].request.url


# --- tokens ----------------------------------------------------------------------------------------


def test_one_token_serves_many_calls_until_shortly_before_it_ends(
    wallet: GoogleWallet, google: responses.RequestsMock, account: ServiceAccount
) -> None:
    google.get(f"{API}/loyaltyObject/{OBJECT_ID}", json={})
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        for _ in range(3):
            wallet.get_object(OBJECT_ID)
        GoogleWallet(account).get_object(OBJECT_ID)
        assert _token_calls(google) == 1
        clock.shift(3500)
        wallet.get_object(OBJECT_ID)
    assert _token_calls(google) == 2
    assert google.calls[-1].request.headers["Authorization"] == "Bearer token-1"


def test_the_token_is_asked_for_with_a_signed_assertion(wallet: GoogleWallet, google: responses.RequestsMock) -> None:
    google.get(f"{API}/loyaltyObject/{OBJECT_ID}", json={})
    wallet.get_object(OBJECT_ID)
    form = parse_qs(str(google.calls[0].request.body))
    claims = jwt.decode(form["assertion"][0], verify=False)
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    assert claims["scope"] == "https://www.googleapis.com/auth/wallet_object.issuer"
    assert (claims["aud"], claims["exp"] - claims["iat"]) == (TOKEN_URI, 3600)


def test_a_token_that_is_not_taken_is_replaced_once(wallet: GoogleWallet, google: responses.RequestsMock) -> None:
    google.get(f"{API}/loyaltyObject/{OBJECT_ID}", **refusal(401, "authError"))
    google.get(f"{API}/loyaltyObject/{OBJECT_ID}", json={})
    assert wallet.get_object(OBJECT_ID).ok
    assert _token_calls(google) == 2
    google.get(f"{API}/loyaltyClass/{CLASS_ID}", **refusal(401, "authError"))
    assert wallet.get_class(CLASS_ID).outcome is Outcome.KEY_REFUSED
    assert _token_calls(google) == 3


@pytest.mark.parametrize(
    ("answer", "outcome", "said"),
    [
        (
            {"status": 400, "json": {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}},
            Outcome.KEY_REFUSED,
            "Invalid JWT Signature.",
        ),
        ({"status": 401, "json": {"error": "invalid_client"}}, Outcome.KEY_REFUSED, "invalid_client"),
        ({"status": 503}, Outcome.TROUBLE, "HTTP 503 without a usable answer"),
        ({"body": requests.ConnectTimeout()}, Outcome.TROUBLE, "no connection within 3 s"),
        ({"status": 200, "json": {"access_token": None}}, Outcome.TROUBLE, "without a token"),
        ({"status": 200, "json": {"access_token": "a\nb"}}, Outcome.TROUBLE, "without a token"),
    ],
)
def test_without_a_token_the_call_is_not_made(
    account: ServiceAccount, answer: dict[str, Any], outcome: Outcome, said: str
) -> None:
    with responses.RequestsMock() as google:
        google.post(TOKEN_URI, **answer)
        reply = GoogleWallet(account).put(CARD)
        assert (reply.outcome, len(google.calls)) == (outcome, 1)
    assert said in reply.said


def _token_calls(google: responses.RequestsMock) -> int:
    return sum(call.request.url == TOKEN_URI for call in google.calls)
