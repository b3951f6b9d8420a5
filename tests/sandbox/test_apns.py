"""Apple's push service as a client with a pass certificate sees it: HTTP/2, Apple's answers, and what goes wrong to order."""

import asyncio
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sandbox.apple.authority import PASS_TYPE, Authority, at_home
from tests.sandbox.conftest import Running

TOKEN = "ab" * 32


def _context(running: Running, certificate: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(Authority(running.config.apple_dir).root_file))
    if certificate:
        context.load_cert_chain(certificate)
    return context


class Pushing:
    """A connection to the push service of a running sandbox."""

    def __init__(self, running: Running, certificate: Path | None, http2: bool = True) -> None:
        context = _context(running, certificate)
        self._http = httpx2.Client(
            base_url=f"https://127.0.0.1:{running.config.apns_port}", http1=not http2, http2=http2, verify=context,
            timeout=10,
        )  # fmt: skip

    def __call__(self, token: str = TOKEN, topic: str | None = PASS_TYPE, **more: Any) -> httpx2.Response:
        headers = {**({"apns-topic": topic} if topic else {}), **more.pop("headers", {})}
        method, path = more.pop("method", "POST"), more.pop("path", f"/3/device/{token}")
        return self._http.request(method, path, headers=headers, content=more.pop("content", b"{}"), **more)

    def close(self) -> None:
        self._http.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return at_home(tmp_path_factory.mktemp("apple")).folder


@pytest.fixture
def push(running: Running) -> Iterator[Pushing]:
    pushing = Pushing(running, Authority(running.config.apple_dir).pass_file)
    yield pushing
    pushing.close()


def _reason(response: httpx2.Response) -> tuple[int, str]:
    return response.status_code, response.json()["reason"]


def test_a_push_is_accepted_with_an_id_and_nothing_else(push: Pushing, running: Running) -> None:
    answer = push()
    assert (answer.status_code, answer.content, answer.http_version) == (200, b"", "HTTP/2")
    assert answer.headers["apns-id"]
    own = "0E3F6A4C-7B1D-4A53-9C11-6F0F3B8A2D10"
    assert push(headers={"apns-id": own}).headers["apns-id"] == own
    told = running.control("GET", f"/apple/pushes?token={TOKEN}")
    assert told["answers"] == [{"status": 200, "reason": "", "count": 2}]
    assert (told["connections"], [each["payload"] for each in told["recent"]]) == (1, ["{}", "{}"])


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"token": "xyz"}, (400, "BadDeviceToken")),
        ({"token": "ab" * 31}, (400, "BadDeviceToken")),
        ({"token": ""}, (400, "MissingDeviceToken")),
        ({"topic": None}, (400, "MissingTopic")),
        ({"topic": "pass.example.another"}, (400, "BadTopic")),
        ({"content": b""}, (400, "PayloadEmpty")),
        ({"content": b"[]"}, (400, "PayloadEmpty")),
        ({"content": b'{"aps":"%s"}' % (b"x" * 4096)}, (413, "PayloadTooLarge")),
        ({"headers": {"apns-priority": "7"}}, (400, "BadPriority")),
        ({"headers": {"apns-push-type": "shout"}}, (400, "InvalidPushType")),
        ({"headers": {"apns-expiration": "soon"}}, (400, "BadExpirationDate")),
        ({"headers": {"apns-id": "1"}}, (400, "BadMessageId")),
        ({"headers": {"authorization": "bearer x.y.z"}}, (403, "InvalidProviderToken")),
        ({"method": "PUT"}, (405, "MethodNotAllowed")),
        ({"path": "/3/devices"}, (404, "BadPath")),
    ],
)
def test_what_is_wrong_with_a_push_is_said_in_apples_words(
    push: Pushing, wrong: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert _reason(push(**wrong)) == expected


@pytest.mark.parametrize("issued", ["expired", "another", "none"])
def test_without_a_good_certificate_there_is_not_even_a_handshake(
    issued: str, running: Running, certificates: Path, tmp_path: Path
) -> None:
    certificate = tmp_path / "client.pem"
    if issued == "expired":
        certificate.write_text(running.control("POST", "/apple/certificates", {"days": -1})["certificate"])
    else:
        certificate.write_bytes(Authority(certificates).issue_pass_certificate())
    pushing = Pushing(running, None if issued == "none" else certificate)
    with pytest.raises(httpx2.TransportError):
        pushing()
    pushing.close()
    assert running.control("GET", "/apple/pushes")["pushes"] == 0


def test_a_merchant_with_a_certificate_of_its_own_pushes_to_its_own_topic_only(
    running: Running, tmp_path: Path
) -> None:
    own = running.control("POST", "/apple/certificates", {"pass_type": "pass.example.own", "team": "OWNTEAM001"})
    certificate = tmp_path / "own.pem"
    certificate.write_text(own["certificate"])
    pushing = Pushing(running, certificate)
    assert pushing(topic="pass.example.own").status_code == 200
    assert _reason(pushing()) == (400, "BadTopic")
    pushing.close()


def test_refusals_can_be_ordered_for_one_device_or_for_all(push: Pushing, running: Running) -> None:
    def order(path: str, **details: Any) -> None:
        running.control("POST", "/faults", {"match": {"path": path}, **details})

    order(f"/3/device/{TOKEN}", status=410, timestamp=1_700_000_000_000)
    assert push("cd" * 32).status_code == 200
    assert push().json() == {"reason": "Unregistered", "timestamp": 1_700_000_000_000}
    assert push().status_code == 200
    order(f"/3/device/{TOKEN}", status=400, reason="DeviceTokenNotForTopic")
    assert _reason(push()) == (400, "DeviceTokenNotForTopic")
    order("/3/", status=503, times=2)
    assert [push().status_code, push("cd" * 32).status_code, push().status_code] == [503, 503, 200]
    order("/3/", status=429)
    assert _reason(push()) == (429, "TooManyRequests")
    order("/3/", status=403)
    assert _reason(push()) == (403, "BadCertificate")


def test_a_fault_for_any_path_is_klaviyos_and_leaves_pushes_alone(push: Pushing, running: Running) -> None:
    running.control("POST", "/faults", {"status": 500})
    assert push().status_code == 200
    assert len(running.control("GET", "/faults")["faults"]) == 1


@pytest.mark.parametrize("kind", ["reset", "goaway", "hang_before"])
def test_connections_break_to_order_and_the_next_one_works(kind: str, push: Pushing, running: Running) -> None:
    assert push().status_code == 200
    running.control("POST", "/faults", {"match": {"path": "/3/"}, "fault": kind, "seconds": 0.05})
    with pytest.raises(httpx2.TransportError):
        push()
    assert push().status_code == 200
    told = running.control("GET", "/apple/pushes")
    assert told["answers"][0] == {"status": 0, "reason": "", "count": 1}
    assert told["connections"] == 2


@pytest.mark.parametrize("order", [{"fault": "redirect"}, {"fault": "goaway", "match": {"path": "/api/"}}])
def test_a_fault_that_cannot_happen_there_is_refused(order: dict[str, Any], running: Running) -> None:
    told = running.control("POST", "/faults", {"match": {"path": "/3/"}, **order}, expect=400)
    assert "goaway" in told["error"]


def test_a_late_answer_does_not_hold_up_the_next_on_the_same_connection(running: Running) -> None:
    running.control("POST", "/faults", {"match": {"path": f"/3/device/{TOKEN}"}, "fault": "slow", "seconds": 60})

    async def both() -> int:
        context = _context(running, Authority(running.config.apple_dir).pass_file)
        url = f"https://127.0.0.1:{running.config.apns_port}/3/device/"
        async with httpx2.AsyncClient(http1=False, http2=True, verify=context, timeout=20) as http:
            late = asyncio.create_task(http.post(url + TOKEN, headers={"apns-topic": PASS_TYPE}, content=b"{}"))
            while not running.control("GET", "/apple/pushes")["pushes"]:
                await asyncio.sleep(0.01)
            answer = await http.post(url + "cd" * 32, headers={"apns-topic": PASS_TYPE}, content=b"{}")
            assert not late.done()
            late.cancel()
            return answer.status_code

    assert asyncio.run(both()) == 200
    assert running.control("GET", "/apple/pushes")["connections"] == 1


def test_every_answer_takes_as_long_as_ordered(running: Running, push: Pushing) -> None:
    running.control("PUT", "/settings", {"latency_ms": {"/3/": 200}})
    begun = time.monotonic()
    assert push().status_code == 200
    assert time.monotonic() - begun >= 0.2


def test_only_http2_is_spoken(running: Running) -> None:
    old = Pushing(running, Authority(running.config.apple_dir).pass_file, http2=False)
    with pytest.raises(httpx2.TransportError):
        old()
    old.close()
