"""Pushes over real HTTP/2 and TLS, with each answer that Apple may give, and each way in which none comes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from launch import ports
from portal.wallet import Outcome, PassCertificate, Pusher, apns, read_certificate
from portal.wallet.apns_answer import Pushed, judged
from tests.portal.wallet.authority import NOW, PASS_TYPE, Authority, subject
from tests.portal.wallet.push_server import CUT, GOAWAY, SILENT, Doorkeeper, PushServer


def token(start: str, number: int = 0) -> str:
    return start + f"{number:062x}"


@pytest.fixture
def ca_file(authority: Authority, tmp_path: Path) -> Path:
    file = tmp_path / "root.pem"
    file.write_bytes(authority.root.pem)
    return file


@pytest.fixture
def server_file(authority: Authority, tmp_path: Path) -> Path:
    own = authority.issue(subject(cn="localhost"), host="localhost")
    file = tmp_path / "server.pem"
    file.write_bytes(own.pem + own.key_pem() + authority.intermediate.pem)
    return file


@pytest.fixture
def server(server_file: Path, ca_file: Path) -> Iterator[PushServer]:
    with PushServer(server_file, ca_file) as running:
        yield running


@pytest.fixture
def pusher(server: PushServer, certificate: PassCertificate, ca_file: Path) -> Iterator[Pusher]:
    with Pusher(certificate, url=server.url, ca_file=ca_file) as ready:
        yield ready


def test_many_pushes_share_one_connection_and_say_nothing_but_the_topic(pusher: Pusher, server: PushServer) -> None:
    tokens = [token("aa", number) for number in range(300)]
    results = pusher.push_many(tokens)
    assert [result.token for result in results] == tokens
    assert {result.outcome for result in results} == {Outcome.ACCEPTED}
    assert {result.apns_id for result in results} == {"ID-1"}
    assert server.connections == 1
    assert server.most_at_once > 50
    assert server.tokens == Counter(tokens)
    assert {name for name in server.seen[0] if name.startswith("apns-")} == {"apns-topic"}
    assert (server.seen[0]["apns-topic"], server.seen[0]["content-length"]) == (PASS_TYPE, "2")


def test_the_connection_is_kept_between_batches(pusher: Pusher, server: PushServer) -> None:
    for number in range(3):
        assert pusher.push_many([token("aa", number)])[0].outcome is Outcome.ACCEPTED
    assert server.connections == 1


def test_a_caller_whose_thread_has_an_event_loop_already_can_push(pusher: Pusher) -> None:
    async def push() -> list[Pushed]:
        return pusher.push_many([token("aa")])

    # In a thread of the test's own: a browser of another test may keep a loop in this one.
    with ThreadPoolExecutor(1) as caller:
        results = caller.submit(lambda: asyncio.run(push())).result()
    assert [pushed.outcome for pushed in results] == [Outcome.ACCEPTED]


def test_each_phone_gets_its_own_verdict_and_none_stops_the_others(pusher: Pusher, server: PushServer) -> None:
    server.answers = {
        "b0": (410, {"reason": "Unregistered", "timestamp": 1_700_000_000_000}, {}),
        "b1": (400, {"reason": "BadDeviceToken"}, {}),
        "b2": (429, {"reason": "TooManyRequests"}, {"retry-after": "7"}),
        "b3": (503, {"reason": "ServiceUnavailable"}, {}),
        "b4": (413, {"reason": "PayloadTooLarge"}, {}),
    }
    results = pusher.push_many([*map(token, server.answers), "../../evil", token("aa")])
    assert [result.outcome for result in results] == [
        Outcome.GONE, Outcome.BAD_TOKEN, Outcome.RETRY, Outcome.RETRY, Outcome.REFUSED, Outcome.BAD_TOKEN, Outcome.ACCEPTED,
    ]  # fmt: skip
    assert results[0].gone_since == datetime.fromtimestamp(1_700_000_000, UTC)
    assert [result.retry_after for result in results[2:4]] == [7, None]
    assert "evil" not in str(server.seen)


VERDICTS = [
    (400, "DeviceTokenNotForTopic", Outcome.BAD_TOKEN),
    (400, "BadTopic", Outcome.UNHEALTHY),
    (400, "MissingTopic", Outcome.UNHEALTHY),
    (400, "BadMessageId", Outcome.REFUSED),
    (403, "", Outcome.UNHEALTHY),
    (404, "BadPath", Outcome.REFUSED),
    (410, "ExpiredToken", Outcome.GONE),
    (500, "InternalServerError", Outcome.RETRY),
    (302, "", Outcome.REFUSED),
]


@pytest.mark.parametrize(("status", "reason", "outcome"), VERDICTS)
def test_answers_are_judged_by_apples_table(status: int, reason: str, outcome: Outcome) -> None:
    assert judged("t", status, b'{"reason": "%s"}' % reason.encode()).outcome is outcome


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"timestamp": 1e300}', b'{"timestamp": "x"}', b"[" * 9000])
def test_an_odd_body_does_not_hide_the_status(body: bytes) -> None:
    result = judged("t", 410, body)
    assert (result.outcome, result.gone_since) == (Outcome.GONE, None)


def test_a_certificate_that_apple_forbids_stops_the_batch(
    server: PushServer, certificate: PassCertificate, ca_file: Path
) -> None:
    server.answers = {"f0": (403, {"reason": "Forbidden"}, {})}
    tokens = [token("f0", number) for number in range(50)]
    with Pusher(certificate, url=server.url, ca_file=ca_file) as few:
        counts = Counter(result.outcome for result in few.push_many(tokens))
    assert counts == {Outcome.UNHEALTHY: 1, Outcome.NOT_TRIED: 49}


@pytest.fixture
def stranger() -> PassCertificate:
    """Good in itself, but of an authority that the push service does not know."""
    other = Authority()
    mine = other.issue()
    return read_certificate([mine.pem, mine.key_pem(), other.intermediate.pem])


def test_a_certificate_is_unhealthy_when_tls_says_so(
    server_file: Path, ca_file: Path, stranger: PassCertificate
) -> None:
    with (
        Doorkeeper(server_file, ca_file) as door,
        Pusher(stranger, url=door.url, ca_file=ca_file) as pusher,
    ):
        results = pusher.push_many([token("aa", number) for number in range(20)])
    assert Counter(result.outcome for result in results) == {Outcome.UNHEALTHY: 1, Outcome.NOT_TRIED: 19}


def test_a_good_certificate_is_not_blamed_for_a_service_that_hangs_up(
    server_file: Path, ca_file: Path, certificate: PassCertificate
) -> None:
    with Doorkeeper(server_file, ca_file) as door, Pusher(certificate, url=door.url, ca_file=ca_file) as pusher:
        assert pusher.push_many([token("aa")])[0].outcome is Outcome.RETRY


def test_an_expired_certificate_is_not_even_shown(
    server: PushServer, certificate: PassCertificate, ca_file: Path
) -> None:
    expired = replace(certificate, not_after=NOW - timedelta(days=1))
    with Pusher(expired, url=server.url, ca_file=ca_file) as pusher:
        assert {result.outcome for result in pusher.push_many([token("aa"), token("ab")])} == {Outcome.UNHEALTHY}
    assert server.connections == 0


@pytest.mark.parametrize("ending", [CUT, GOAWAY])
def test_a_connection_that_ends_is_opened_anew_for_the_next_batch(
    pusher: Pusher, server: PushServer, ending: str
) -> None:
    server.answers = {"c0": ending}
    first = pusher.push_many([token("aa", 999), token("c0"), *(token("aa", number) for number in range(400))])
    outcomes = Counter(result.outcome for result in first)
    assert set(outcomes) <= {Outcome.ACCEPTED, Outcome.RETRY, Outcome.NOT_TRIED}
    assert outcomes[Outcome.RETRY] >= 1
    left = [result.token for result in first if result.outcome is not Outcome.ACCEPTED]
    server.answers = {}
    assert {result.outcome for result in pusher.push_many(left)} == {Outcome.ACCEPTED}
    assert server.connections == 2


def test_a_connection_that_ended_between_batches_costs_nobody_anything(pusher: Pusher, server: PushServer) -> None:
    assert pusher.push_many([token("aa")])[0].outcome is Outcome.ACCEPTED
    server.hang_up()
    assert {result.outcome for result in pusher.push_many([token("ab"), token("ac")])} == {Outcome.ACCEPTED}
    assert server.connections == 2


def test_one_slow_phone_holds_up_nobody(pusher: Pusher, server: PushServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apns, "PUSH_SECONDS", 1.0)
    server.answers = {"d0": SILENT}
    results = pusher.push_many([token("aa"), token("d0"), *(token("ab", number) for number in range(20))])
    assert results.pop(1).outcome is Outcome.RETRY
    assert {result.outcome for result in results} == {Outcome.ACCEPTED}


def test_a_service_that_says_nothing_ends_the_batch(
    server: PushServer, certificate: PassCertificate, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apns, "PUSH_SECONDS", 0.2)
    server.answers = {"d0": SILENT}
    with Pusher(certificate, url=server.url, ca_file=ca_file) as pusher:
        results = pusher.push_many([token("d0", number) for number in range(40)])
    assert Counter(result.outcome for result in results) == {Outcome.RETRY: 1, Outcome.NOT_TRIED: 39}


def test_a_batch_ends_when_its_time_is_up(pusher: Pusher, server: PushServer) -> None:
    server.answers = {"d0": SILENT}
    results = pusher.push_many([token("aa"), *(token("d0", number) for number in range(300))], seconds=0.5)[1:]
    assert {result.outcome for result in results} == {Outcome.RETRY, Outcome.NOT_TRIED}


def test_nobody_there_is_a_reason_to_try_again(certificate: PassCertificate, ca_file: Path) -> None:
    with Pusher(certificate, url=f"https://localhost:{ports.find_free()}", ca_file=ca_file) as pusher:
        results = pusher.push_many([token("aa", number) for number in range(10)])
    assert results[0].outcome is Outcome.RETRY
    assert results[0].reason == "no connection"
    assert results[-1].outcome is Outcome.NOT_TRIED


def test_a_push_service_that_nobody_vouches_for_is_not_the_certificates_fault(
    server: PushServer, certificate: PassCertificate, tmp_path: Path
) -> None:
    (tmp_path / "other.pem").write_bytes(Authority().root.pem)
    with Pusher(certificate, url=server.url, ca_file=tmp_path / "other.pem") as pusher:
        result = pusher.push_many([token("aa")])[0]
    assert (result.outcome, result.reason) == (Outcome.RETRY, "the push service's own certificate is not trusted")
