"""HTTP connections on which a whole exchange ends in time, however it is drawn out: connecting, sending, headers, body.

`requests` bounds each wait for bytes and not their sum. A name look-up has the bounds of the machine's resolver.
"""

from __future__ import annotations

import http.client
import io
import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

# A TLS socket's time-out is for one record, so no more than that is handed to it at once.
CHUNK_BYTES = 16_384

_local = threading.local()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What this thread exchanges in the block ends by then; past it every wait is a `TimeoutError`."""
    _local.ends_at = time.monotonic() + seconds
    try:
        yield
    finally:
        _local.ends_at = math.inf


def _wait(at_most: float | None) -> float:
    """How long the next wait may last."""
    left: float = getattr(_local, "ends_at", math.inf) - time.monotonic()
    if left <= 0:
        raise TimeoutError("the exchange took too long")
    return left if at_most is None else min(left, at_most)


class _Incoming(io.RawIOBase):
    """What arrives on a socket."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_wait(self._sock.gettimeout()))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_Incoming(sock))


class _Connection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        """One address after the other, as the parent does, but with one deadline for all of them."""
        host, usual = self._dns_host, self.timeout
        addresses = _addresses(host, self.port or self.default_port)
        try:
            for left, address in zip(reversed(range(len(addresses))), addresses, strict=True):
                self._dns_host, self.timeout = address, _wait(usual if isinstance(usual, int | float) else None)
                try:
                    return super()._new_conn()
                except (ConnectTimeoutError, NewConnectionError):
                    if not left:
                        raise
            self._dns_host = host
            return super()._new_conn()  # without an address: the parent says what is wrong
        finally:
            self._dns_host, self.timeout = host, usual

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        usual = self.timeout if isinstance(self.timeout, int | float) else None
        view = memoryview(data)
        for start in range(0, len(view), CHUNK_BYTES):
            self.sock.settimeout(_wait(usual))
            super().send(view[start : start + CHUNK_BYTES])


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class Adapter(HTTPAdapter):
    """For `requests`: its connections keep to `within`."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
