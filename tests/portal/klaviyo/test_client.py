"""The client and what it makes of answers: nothing that the network or Klaviyo does comes as a surprise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests
import responses

from launch import ports
from portal.exchange import whole_seconds
from portal.klaviyo import (
    Answer,
    AnsweredError,
    Client,
    ForbiddenError,
    KlaviyoError,
    NoAnswerError,
    RefusedError,
    ThrottledError,
    UnauthorizedError,
    UnavailableError,
    verdict,
)
from portal.klaviyo.client import REVISION
from tests.klaviyo_account import NORDIC, Sandbox

JSON = "application/vnd.api+json"
KLAVIYO = "https://a.klaviyo.com"


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    key = requests.post(f"{sandbox.url}/_sandbox/private-keys", json={"account": NORDIC}, timeout=10).json()["key"]
    client = Client(sandbox.url, "unused")
    client._headers["Authorization"] = f"Klaviyo-API-Key {key}"
    return client


def _answer(status: int | None, content_type: str = JSON, body: bytes = b"", **more: object) -> Answer:
    return Answer("POST", "/api/events", datetime.now(UTC), 1, status, content_type, body=body, **more)  # type: ignore[arg-type]


# --- the verdict ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "content_type", "body", "error"),
    [
        (202, "", b"", None),
        (200, JSON, b'{"data": []}', None),
        (200, "application/json", b"{}", None),
        (200, JSON, b'{"data": [{"ty', NoAnswerError),
        (200, "text/html", b"<html>", NoAnswerError),
        (202, "text/html", b"<html>", NoAnswerError),
        (302, "", b"", NoAnswerError),
        (400, JSON, b"{}", RefusedError),
        (401, JSON, b"{}", UnauthorizedError),
        (403, JSON, b"{}", ForbiddenError),
        (403, "text/html", b"<html>", NoAnswerError),
        (404, JSON, b"{}", RefusedError),
        (404, "text/html", b"<html>", NoAnswerError),
        (408, JSON, b"{}", NoAnswerError),
        (409, JSON, b"{}", RefusedError),
        (413, JSON, b"{}", RefusedError),
        (429, JSON, b"{}", ThrottledError),
        (429, "text/html", b"<html>", ThrottledError),
        (500, JSON, b"{}", UnavailableError),
        (503, "text/html", b"<html>", UnavailableError),
        (None, "", b"", NoAnswerError),
    ],
)
def test_every_answer_has_one_meaning(
    status: int | None, content_type: str, body: bytes, error: type[KlaviyoError] | None
) -> None:
    found = verdict(_answer(status, content_type, body))
    assert type(found) is (error or type(None))


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"text"', b'{"errors": 5}', b'{"errors": [1, null]}', b"\xff\xfe"]
)
def test_an_error_without_a_proper_body_is_still_that_error(body: bytes) -> None:
    error = verdict(_answer(400, JSON, body))
    assert isinstance(error, RefusedError)
    assert str(error) == "HTTP 400"
    assert error.pointers == []


def test_klaviyos_own_words_and_pointers_are_kept_without_repetition() -> None:
    body = b"""{"errors": [
        {"detail": "Invalid email.", "source": {"pointer": "/data/0"}},
        {"detail": "Invalid email.", "source": {"pointer": "/data/1"}},
        {"title": "Too long.", "source": {"parameter": "x"}},
        {"source": null}
    ]}"""
    error = verdict(_answer(400, JSON, body))
    assert isinstance(error, AnsweredError)
    assert error.detail == "Invalid email. Too long."
    assert error.pointers == ["/data/0", "/data/1"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("1.6", 2),
        ("-5", 0),
        (None, None),
        ("", None),
        ("soon", None),
        ("Infinity", None),
        ("nan", None),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0),
    ],
)
def test_retry_after_is_read_as_far_as_it_makes_sense(text: str | None, seconds: int | None) -> None:
    assert whole_seconds(text) == seconds


def test_retry_after_may_be_a_date() -> None:
    at = datetime.now(UTC) + timedelta(minutes=5)
    seconds = whole_seconds(format_datetime(at, usegmt=True))
    assert seconds is not None
    assert 290 <= seconds <= 300


# --- the exchange --------------------------------------------------------------------------------


def test_what_is_asked_of_klaviyo_carries_its_revision_and_our_name(client: Client, sandbox: Sandbox) -> None:
    document = client.read("/api/accounts", {"fields[account]": "timezone"})
    assert document["data"][0]["attributes"] == {"timezone": "Europe/Copenhagen"}
    with responses.RequestsMock() as mock:
        mock.get(f"{KLAVIYO}/api/accounts", json={"data": []})
        Client(KLAVIYO, "token").read("/api/accounts")
        sent = mock.calls[0].request.headers
    assert sent["Authorization"] == "Bearer token"
    assert sent["revision"] == REVISION
    assert "JeriCommerce" in sent["User-Agent"]
    assert "Content-Type" not in sent


def test_a_netrc_of_the_machine_does_not_replace_our_token(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    path = f"{tmp_path}/netrc"
    with open(path, "w") as file:
        file.write("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", path)
    answer = Client(sandbox.url, "token").send("GET", "/api/accounts")
    (log,) = [each for each in sandbox.ledger()["oauth_requests"] if each["path"] == "/api/accounts"] or [
        {"status": 401}
    ]
    assert answer.status == log["status"] == 401
    with responses.RequestsMock() as mock:
        mock.get("http://127.0.0.1/api/accounts", json={"data": []})
        Client("http://127.0.0.1", "token").send("GET", "/api/accounts")
        assert mock.calls[0].request.headers["Authorization"] == "Bearer token"


def test_a_refusal_comes_as_its_error_with_klaviyos_words(client: Client) -> None:
    with pytest.raises(RefusedError) as raised:
        client.read("/api/segments", {"page[size]": "5000"})
    assert raised.value.status == 400
    assert raised.value.detail


def test_a_redirect_is_not_followed(client: Client, sandbox: Sandbox) -> None:
    sandbox.order("redirect", "/api/accounts", method="GET")
    answer = client.send("GET", "/api/accounts")
    assert answer.status == 302
    with pytest.raises(NoAnswerError, match="redirect"):
        raise verdict(answer) or AssertionError


def test_a_port_where_nobody_listens_is_no_answer() -> None:
    address = f"http://127.0.0.1:{ports.find_free()}"
    answer = Client(address, "token").send("POST", "/api/events", body="{}")
    assert answer.status is None
    assert answer.failure == "the connection failed or was cut"


def test_a_connection_that_is_cut_is_no_answer_and_the_next_one_works(client: Client, sandbox: Sandbox) -> None:
    sandbox.order("reset", "/api/accounts", method="GET")
    assert client.send("GET", "/api/accounts").failure == "the connection failed or was cut"
    assert client.send("GET", "/api/accounts").status == 200


def test_why_there_was_no_answer_never_names_an_address(client: Client, sandbox: Sandbox) -> None:
    sandbox.order("reset", "/api/profiles", method="GET")
    answer = client.send("GET", "/api/profiles", params={"filter": 'equals(email,"ada@example.com")'})
    assert answer.failure
    assert "ada@" not in answer.failure
    assert "ada@" not in answer.path


def test_a_document_that_is_no_object_is_no_answer() -> None:
    with responses.RequestsMock() as mock:
        mock.get(f"{KLAVIYO}/api/accounts", json=[1, 2])
        with pytest.raises(NoAnswerError):
            Client(KLAVIYO, "token").read("/api/accounts")
