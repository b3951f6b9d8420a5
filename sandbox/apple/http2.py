"""HTTP/2 on one TLS connection of the push service: frames in, one request at a time out, answers in any order.

Straight on `h2`, since what matters here is what frameworks hide: the client's certificate, GOAWAY, a dropped connection.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID
from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from sandbox.apple.pushes import Push

# As many as Apple allows to a connection with a certificate, as far as anybody has seen.
STREAMS = 1000
_LARGEST_BODY = 65_536

Handler = Callable[["Connection", int, Push], None]


class _Request:
    __slots__ = ("body", "headers")

    def __init__(self, headers: dict[str, str]) -> None:
        self.headers, self.body = headers, bytearray()


class Connection(asyncio.Protocol):
    """`handle` is given each complete request, and answers it by `respond` whenever it likes."""

    def __init__(self, handle: Handler, connected: Callable[[Connection, bool], None]) -> None:
        self._handle, self._connected = handle, connected
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._h2.local_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = STREAMS
        self._requests: dict[int, _Request] = {}
        self._topic = ""
        self._transport: asyncio.Transport
        self._closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
        self._topic = _pass_type(tls.getpeercert(binary_form=True) or b"")
        self._connected(self, True)
        if tls.selected_alpn_protocol() != "h2":
            transport.close()
            return
        self._h2.initiate_connection()
        self._flush()

    def connection_lost(self, _error: Exception | None) -> None:
        self._closed = True
        self._requests.clear()
        self._connected(self, False)

    def data_received(self, data: bytes) -> None:
        try:
            happened = self._h2.receive_data(data)
        except ProtocolError:
            self._flush()
            self._transport.close()
            return
        for event in happened:
            self._take(event)
        self._flush()

    def _take(self, event: events.Event) -> None:
        if isinstance(event, events.RequestReceived):
            self._requests[event.stream_id] = _Request({str(name): str(value) for name, value in event.headers})
        elif isinstance(event, events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            request = self._requests.get(event.stream_id)
            if request and len(request.body) < _LARGEST_BODY:
                request.body += event.data
        elif isinstance(event, events.StreamEnded):
            if request := self._requests.get(event.stream_id):
                self._handle(self, event.stream_id, self._push(request))
        elif isinstance(event, events.StreamReset):
            self._requests.pop(event.stream_id, None)
        elif isinstance(event, events.ConnectionTerminated):
            self._transport.close()

    def _push(self, request: _Request) -> Push:
        headers = request.headers
        return Push(headers[":method"], headers[":path"], headers, bytes(request.body), self._topic)

    def respond(self, stream: int, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Answer a request, unless whoever asked has left meanwhile."""
        if self._closed or self._requests.pop(stream, None) is None:
            return
        self._h2.send_headers(stream, [(":status", str(status)), *headers.items()], end_stream=not body)
        if body:
            self._h2.send_data(stream, body, end_stream=True)
        # Those that are due together leave together.
        asyncio.get_running_loop().call_soon(self._flush)

    def say_goodbye(self) -> None:
        """GOAWAY: what is under way is dropped as well, as when Apple takes a server out of service."""
        if not self._closed:
            self._h2.close_connection()
            self._flush()
            self._transport.close()

    def drop(self) -> None:
        """As if the cable were cut."""
        self._transport.abort()

    def _flush(self) -> None:
        if not self._closed and (waiting := self._h2.data_to_send()):
            self._transport.write(waiting)


def _pass_type(certificate: bytes) -> str:
    """The user id of a pass certificate, which is the one topic that it may push to."""
    subject: Any = x509.load_der_x509_certificate(certificate).subject
    found = subject.get_attributes_for_oid(NameOID.USER_ID)
    return str(found[0].value) if found else ""
