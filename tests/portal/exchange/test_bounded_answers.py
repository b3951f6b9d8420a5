"""However an answer comes, reading it ends: in time, in size, and with the connection fit for the next one."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from urllib3.util import connection

from portal.exchange import Answer, bounded, deadline, exchange
from portal.klaviyo import NoAnswerError, oauth
from portal.klaviyo.oauth import App

DOCUMENT = {"data": "ä" * 50_000}
DRIPS = 12


class _Odd(BaseHTTPRequestHandler):
    """Answers as its path says."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.connections.add(self.client_address)  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        getattr(self, f"_{self.path[1:]}")(json.dumps(DOCUMENT).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def _plain(self, body: bytes) -> None:
        self._whole(body)

    def _gzip(self, body: bytes) -> None:
        self.send_header("Content-Encoding", "gzip")
        self._whole(gzip.compress(body))

    def _empty(self, _body: bytes) -> None:
        self._whole(b"")

    def _whole(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _chunked(self, body: bytes) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(body), 7_000):
            part = body[start : start + 7_000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def _drip(self, _body: bytes) -> None:
        self.send_header("Content-Length", str(DRIPS))
        self.end_headers()
        for _ in range(DRIPS):
            self.wfile.write(b" ")
            self.server.dripped += 1  # type: ignore[attr-defined]
            time.sleep(0.05)

    def _headers(self, _body: bytes) -> None:
        """Headers that never end, a byte at a time."""
        self.flush_headers()
        for _ in range(DRIPS):
            self.wfile.write(b"x")
            self.server.dripped += 1  # type: ignore[attr-defined]
            time.sleep(0.05)

    def _cut(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body) + 1))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def _endless(self, _body: bytes) -> None:
        self.end_headers()
        self.close_connection = True
        while True:
            self.wfile.write(b" " * 100_000)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Odd)
        self.connections: set[object] = set()
        self.dripped = 0

    def handle_error(self, *_: object) -> None:
        pass  # we hang up on it


@pytest.fixture
def server() -> Iterator[_Server]:
    running = _Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def _ask(server: _Server, path: str) -> Answer:
    return exchange("GET", f"http://127.0.0.1:{server.server_port}", path)


@pytest.mark.parametrize("kind", ["plain", "gzip", "chunked", "empty"])
def test_a_whole_answer_is_read_and_its_connection_used_again(server: _Server, kind: str) -> None:
    answers = [_ask(server, f"/{kind}") for _ in range(3)]
    assert {(answer.status, answer.failure) for answer in answers} == {(200, None)}
    assert {answer.body == b"" or answer.json() == DOCUMENT for answer in answers} == {True}
    assert len(server.connections) == 1


@pytest.mark.parametrize("kind", ["drip", "headers"])
def test_an_answer_that_drips_in_is_given_up_at_the_deadline(
    server: _Server, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(bounded, "DEADLINE_SECONDS", 0.3)
    answer = _ask(server, f"/{kind}")
    assert (answer.status, answer.failure) == (None, "the answer took too long")
    assert server.dripped < DRIPS


@pytest.mark.parametrize("path", ["/drip", "/headers"])
def test_a_token_endpoint_that_drips_is_given_up_at_the_deadline(
    server: _Server, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(bounded, "DEADLINE_SECONDS", 0.3)
    monkeypatch.setattr(oauth, "TOKEN_PATH", path)
    address = f"http://127.0.0.1:{server.server_port}"
    with pytest.raises(NoAnswerError, match="took too long"):
        App("id", "secret", address, address, address).refresh("token")
    assert server.dripped < DRIPS


def test_a_peer_that_does_not_read_is_given_up_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "DEADLINE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        answer = exchange("POST", f"http://127.0.0.1:{deaf.getsockname()[1]}", "/", data=b"x" * 50_000_000)
    assert (answer.status, answer.failure) == (None, "the answer took too long")


def test_addresses_that_do_not_answer_share_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "DEADLINE_SECONDS", 0.3)
    monkeypatch.setattr(deadline, "_addresses", lambda *_: [f"127.0.0.{number}" for number in range(1, 100)])
    tried = []

    def connect(address: tuple[str, int], timeout: float, **_: object) -> socket.socket:
        tried.append(timeout)
        time.sleep(min(timeout, 0.1))
        raise TimeoutError

    monkeypatch.setattr(connection, "create_connection", connect)
    answer = exchange("GET", "http://klaviyo.test", "/")
    assert (answer.status, answer.failure) == (None, "the answer took too long")
    assert 0 < len(tried) < 10
    assert max(tried) <= 0.3


def test_a_connection_that_was_used_has_its_whole_time_again(server: _Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "DEADLINE_SECONDS", 0.3)
    assert _ask(server, "/plain").status == 200
    monkeypatch.undo()
    assert _ask(server, "/drip").status == 200
    assert len(server.connections) == 1


@pytest.mark.parametrize(
    ("kind", "failure"),
    [("cut", "the connection failed or was cut"), ("endless", "the answer was too large")],
)
def test_an_answer_that_is_cut_or_never_ends_is_no_answer(server: _Server, kind: str, failure: str) -> None:
    answer = _ask(server, f"/{kind}")
    assert (answer.status, answer.failure) == (None, failure)
