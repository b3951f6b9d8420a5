"""A push service of a few lines: HTTP/2, a client certificate required, and for each token the answer that a test wants."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived, StreamEnded

Answer = tuple[int, dict[str, Any], dict[str, str]]
SILENT, CUT, GOAWAY = "silent", "cut", "goaway"


class PushServer:
    """`answers` by the first two characters of a token; 200 where there is none. `seen` are the headers of each request."""

    def __init__(self, certificate: Path, trusted: Path) -> None:
        self.answers: dict[str, Answer | str] = {}
        self.seen: list[dict[str, str]] = []
        self.connections = 0
        self.most_at_once = 0
        self._tls = _context(certificate, trusted)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.port = 0

    def __enter__(self) -> PushServer:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def tokens(self) -> Counter[str]:
        return Counter(headers[":path"].removeprefix("/3/device/") for headers in self.seen)

    async def _serve(self) -> None:
        self._loop, self._end, self._open = asyncio.get_running_loop(), asyncio.Event(), set[asyncio.Transport]()
        server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._end.wait()
        server.close()
        for transport in list(self._open):
            transport.abort()
        await asyncio.sleep(0.01)

    def hang_up(self) -> None:
        """Cut every connection, and return when that is done."""
        done = threading.Event()

        def cut() -> None:
            for transport in self._open:
                transport.abort()
            self._loop.call_soon(done.set)

        self._loop.call_soon_threadsafe(cut)
        assert done.wait(10)

    def opened(self, transport: asyncio.Transport) -> None:
        self.connections += 1
        self._open.add(transport)

    def later(self, act: Callable[[], None]) -> None:
        """After what has arrived so far: answers come while other streams are open."""
        self._loop.call_later(0.02, act)


def _context(certificate: Path, trusted: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(trusted)
    context.set_alpn_protocols(["h2"])
    return context


class Doorkeeper:
    """Shakes hands and no more, and says in TLS what is wrong with a certificate, which asyncio's servers keep to themselves."""

    def __init__(self, certificate: Path, trusted: Path) -> None:
        self._tls = _context(certificate, trusted)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._greet, daemon=True)

    def __enter__(self) -> Doorkeeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _greet(self) -> None:
        while True:
            try:
                guest, _ = self._listener.accept()
            except OSError:
                return
            with guest, suppress(OSError):
                self._tls.wrap_socket(guest, server_side=True).close()


class _Connection(asyncio.Protocol):
    def __init__(self, server: PushServer) -> None:
        self._server = server
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._asked: dict[int, dict[str, str]] = {}
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.opened(transport)
        self._h2.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        for event in self._h2.receive_data(data):
            if isinstance(event, RequestReceived):
                self._asked[event.stream_id] = dict(event.headers)
                self._server.most_at_once = max(self._server.most_at_once, len(self._asked))
            elif isinstance(event, StreamEnded):
                self._server.seen.append(self._asked[event.stream_id])
                self._server.later(lambda stream=event.stream_id: self._answer(stream))
        self._flush()

    def _answer(self, stream: int) -> None:
        if self._transport.is_closing():
            return
        path = self._asked.pop(stream)[":path"]
        answer = self._server.answers.get(path.removeprefix("/3/device/")[:2], (200, {}, {}))
        if answer == CUT:
            self._transport.abort()
        elif answer == GOAWAY:
            self._h2.close_connection()
            self._flush()
            self._transport.close()
        elif not isinstance(answer, str):
            status, body, headers = answer
            self._h2.send_headers(stream, [(":status", str(status)), ("apns-id", "ID-1"), *headers.items()])
            self._h2.send_data(stream, json.dumps(body).encode() if body else b"", end_stream=True)
            self._flush()

    def _flush(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._h2.data_to_send())
