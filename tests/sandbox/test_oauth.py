"""OAuth: the consent screen, the exchange with PKCE, refreshing, revoking, and what a token may do."""

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.sandbox.conftest import HARBOR, NORDIC, REDIRECT, Running, event

VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
BASIC = ("portal", "secret-of-the-portal")
ASKED = {
    "response_type": "code", "client_id": "portal", "redirect_uri": REDIRECT, "state": "s1",
    "scope": "accounts:read events:write profiles:read", "code_challenge_method": "S256",
    "code_challenge": CHALLENGE,
}  # fmt: skip


def decide(klaviyo: Running, decision: str = "allow", account: str = NORDIC, **changed: str) -> dict[str, str]:
    form = {**ASKED, "decision": decision, "account": account, **changed}
    answer = klaviyo.session.post(klaviyo.url + "/oauth/authorize", data=form, allow_redirects=False, timeout=10)
    assert answer.status_code == 302, answer.text
    assert answer.headers["Location"].startswith(REDIRECT + "?")
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def post_token(klaviyo: Running, auth: Any = BASIC, **form: str) -> requests.Response:
    return klaviyo.session.post(klaviyo.url + "/oauth/token", data=form, auth=auth, timeout=10)


def exchange(klaviyo: Running, given: str, **changed: str) -> requests.Response:
    form = {"grant_type": "authorization_code", "code": given, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    return post_token(klaviyo, **{**form, **changed})


def refresh(klaviyo: Running, token: str) -> requests.Response:
    return post_token(klaviyo, grant_type="refresh_token", refresh_token=token)


def installed(klaviyo: Running, **changed: str) -> dict[str, Any]:
    found: dict[str, Any] = exchange(klaviyo, decide(klaviyo, **changed)["code"]).json()
    return found


def status_of(klaviyo: Running, token: str) -> int:
    return klaviyo.api("GET", "/api/accounts", token=token).status_code


def test_the_consent_screen_lists_scopes_and_accounts(klaviyo: Running) -> None:
    page = klaviyo.session.get(klaviyo.url + "/oauth/authorize", params=ASKED, timeout=10)
    assert page.status_code == 200
    for text in ("Nordic Coffee", "Harbor Books", "profiles:read", "Allow", "Deny"):
        assert text in page.text


def test_allowing_gives_a_code_and_the_state_and_the_code_gives_tokens(klaviyo: Running) -> None:
    answer = decide(klaviyo, account=HARBOR)
    assert answer["state"] == "s1"
    found = exchange(klaviyo, answer["code"]).json()
    assert (found["token_type"], found["expires_in"], found["scope"]) == ("Bearer", 3600, ASKED["scope"])
    assert len(found["access_token"]) > 200
    account = klaviyo.api("GET", "/api/accounts", token=found["access_token"]).json()["data"]
    assert [each["id"] for each in account] == [HARBOR]


def test_denying_goes_back_with_access_denied_and_the_state(klaviyo: Running) -> None:
    answer = decide(klaviyo, decision="deny")
    assert (answer["error"], answer["state"]) == ("access_denied", "s1")
    assert "code" not in answer


@pytest.mark.parametrize("change", [{"client_id": "other"}, {"redirect_uri": REDIRECT + "/"}])
def test_a_wrong_client_or_address_gets_a_page_and_no_redirect(klaviyo: Running, change: dict[str, str]) -> None:
    for method in ("GET", "POST"):
        kind = "params" if method == "GET" else "data"
        answer = klaviyo.session.request(
            method, klaviyo.url + "/oauth/authorize", allow_redirects=False, timeout=10, **{kind: {**ASKED, **change}}
        )
        assert answer.status_code == 400
        assert "text/html" in answer.headers["Content-Type"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "accounts:read everything"}, "invalid_scope"),
        ({"scope": "events:write"}, "invalid_scope"),
    ],
)
def test_other_refusals_go_back_to_the_app(klaviyo: Running, change: dict[str, str], error: str) -> None:
    assert decide(klaviyo, **change)["error"] == error


def test_a_form_sent_from_another_site_is_refused(klaviyo: Running) -> None:
    answer = klaviyo.session.post(
        klaviyo.url + "/oauth/authorize", data={**ASKED, "decision": "allow"}, timeout=10,
        headers={"Sec-Fetch-Site": "cross-site"}, allow_redirects=False,
    )  # fmt: skip
    assert answer.status_code == 403


def test_a_code_works_once_and_not_after_some_minutes(klaviyo: Running) -> None:
    code = decide(klaviyo)["code"]
    assert exchange(klaviyo, code).status_code == 200
    again = exchange(klaviyo, code)
    assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})
    late = decide(klaviyo)["code"]
    klaviyo.control("PUT", "/settings", {"clock_offset_seconds": 600})
    assert exchange(klaviyo, late).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("change", "error", "description"),
    [
        ({"code_verifier": "short"}, "invalid_request", 'Invalid "code_verifier"'),
        ({"code_verifier": "w" * 64}, "invalid_grant", "Code challenge failed."),
        ({"redirect_uri": REDIRECT + "x"}, "invalid_grant", None),
        ({"code": "nope"}, "invalid_grant", None),
        ({"grant_type": "password"}, "invalid_grant_type",
         "The grant_type must be authorization_code or refresh_token."),
    ],
)  # fmt: skip
def test_a_wrong_exchange_is_refused(
    klaviyo: Running, change: dict[str, str], error: str, description: str | None
) -> None:
    answer = exchange(klaviyo, decide(klaviyo)["code"], **change)
    assert answer.status_code == 400
    assert (answer.json()["error"], answer.json().get("error_description")) == (error, description)


@pytest.mark.parametrize("auth", [None, ("portal", "wrong"), ("other", BASIC[1])])
def test_a_wrong_client_secret_is_invalid_client(klaviyo: Running, auth: Any) -> None:
    answer = post_token(klaviyo, auth=auth, grant_type="refresh_token", refresh_token="x")
    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})


def test_refreshing_returns_the_same_refresh_token_and_old_access_lives_on(klaviyo: Running) -> None:
    first = installed(klaviyo)
    second = refresh(klaviyo, first["refresh_token"]).json()
    assert second["refresh_token"] == first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    assert status_of(klaviyo, first["access_token"]) == status_of(klaviyo, second["access_token"]) == 200


def test_in_rotating_mode_the_old_refresh_token_dies(klaviyo: Running) -> None:
    klaviyo.control("PUT", "/settings", {"rotate_refresh_tokens": True})
    first = installed(klaviyo)
    second = refresh(klaviyo, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert refresh(klaviyo, first["refresh_token"]).json() == {"error": "invalid_grant"}
    assert refresh(klaviyo, second["refresh_token"]).status_code == 200


def test_an_access_token_expires_and_can_be_made_to(klaviyo: Running) -> None:
    klaviyo.control("PUT", "/settings", {"access_ttl_seconds": 60})
    first = installed(klaviyo)
    assert first["expires_in"] == 60
    klaviyo.control("PUT", "/settings", {"clock_offset_seconds": 61})
    assert status_of(klaviyo, first["access_token"]) == 401
    second = refresh(klaviyo, first["refresh_token"]).json()
    assert status_of(klaviyo, second["access_token"]) == 200
    assert klaviyo.control("POST", "/expire-access", {"account": NORDIC})["expired"] >= 1
    assert status_of(klaviyo, second["access_token"]) == 401
    assert refresh(klaviyo, first["refresh_token"]).status_code == 200


def test_a_refresh_token_dies_after_ninety_idle_days_and_use_keeps_it(klaviyo: Running) -> None:
    token = installed(klaviyo)["refresh_token"]
    for days in (80, 160):
        klaviyo.control("PUT", "/settings", {"clock_offset_seconds": days * 86400})
        assert refresh(klaviyo, token).status_code == 200
    klaviyo.control("PUT", "/settings", {"clock_offset_seconds": 251 * 86400})
    assert refresh(klaviyo, token).json() == {"error": "invalid_grant"}


def test_an_install_may_refresh_ten_times_a_minute(klaviyo: Running) -> None:
    klaviyo.control("PUT", "/settings", {"limits": True})
    token = installed(klaviyo)["refresh_token"]
    statuses = [refresh(klaviyo, token) for _ in range(21)]
    refused = [each for each in statuses if each.status_code == 429]
    assert refused
    assert 1 <= int(refused[0].headers["Retry-After"]) <= 60


@pytest.mark.parametrize("which", ["refresh_token", "access_token"])
def test_revoking_uninstalls_and_kills_both_tokens(klaviyo: Running, which: str) -> None:
    tokens = installed(klaviyo)
    answer = klaviyo.session.post(
        klaviyo.url + "/oauth/revoke", data={"token": tokens[which], "token_type_hint": which}, auth=BASIC, timeout=10
    )
    assert answer.status_code == 200
    refused = klaviyo.api("GET", "/api/accounts", token=tokens["access_token"])
    assert refused.json()["errors"][0]["code"] == "authentication_failed"
    assert refresh(klaviyo, tokens["refresh_token"]).json() == {"error": "invalid_grant"}
    wrong = klaviyo.session.post(klaviyo.url + "/oauth/revoke", data={"token": "x"}, auth=("portal", "x"), timeout=10)
    assert wrong.status_code == 401


def test_uninstalling_touches_only_its_account_and_installing_again_works(klaviyo: Running) -> None:
    nordic, harbor = installed(klaviyo), installed(klaviyo, account=HARBOR)
    assert klaviyo.control("POST", "/uninstall", {"account": NORDIC}) == {"uninstalled": True}
    assert status_of(klaviyo, nordic["access_token"]) == 401
    assert status_of(klaviyo, harbor["access_token"]) == 200
    assert status_of(klaviyo, installed(klaviyo)["access_token"]) == 200


def test_scopes_are_enforced(klaviyo: Running) -> None:
    token = installed(klaviyo)["access_token"]
    assert klaviyo.api("POST", "/api/events", event("1"), token=token).status_code == 202
    refused = klaviyo.api("GET", "/api/segments", token=token)
    assert refused.status_code == 403
    (error,) = refused.json()["errors"]
    assert (error["code"], error["source"]) == ("permission_denied", {"pointer": "/data/"})
    metric = klaviyo.api("GET", "/api/metrics", params={"filter": 'equals(integration.name,"JeriCommerce")'}).json()
    assert [each["attributes"]["name"] for each in metric["data"]] == ["Balance changed"]


def test_recorded_requests_hold_no_token(klaviyo: Running) -> None:
    tokens = installed(klaviyo)
    refresh(klaviyo, tokens["refresh_token"])
    klaviyo.api("GET", "/api/accounts", token=tokens["access_token"])
    page = klaviyo.session.get(klaviyo.url + "/requests", timeout=10).text
    assert "/oauth/token" in page
    assert "/api/accounts" in page
    assert tokens["refresh_token"] not in page
    assert tokens["access_token"] not in page
