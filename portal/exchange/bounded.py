"""The exchange itself. Whatever the network or the other side does, an `Answer` comes of it, and in time."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any

import requests
import urllib3

from portal.exchange.answer import Answer, whole_seconds
from portal.exchange.deadline import Adapter, within

USER_AGENT = "JeriCommerce/1.0 (+https://www.jericommerce.com)"

CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0
DEADLINE_SECONDS = 15.0
ANSWER_BYTES = 4 << 20

_local = threading.local()


class _TooLargeError(Exception):
    pass


def session() -> requests.Session:
    """This thread's session: connections are reused, never shared between threads."""
    if not hasattr(_local, "session"):
        _local.session = requests.Session()
        for scheme in ("http://", "https://"):
            _local.session.mount(scheme, Adapter())
        _local.session.trust_env = False  # a .netrc of the machine must not replace our Authorization
    kept: requests.Session = _local.session
    return kept


def exchange(method: str, base_url: str, path: str, **request: Any) -> Answer:
    """`requests.request` with our bounds, as an `Answer`."""
    started_at, start = datetime.now(UTC), time.monotonic()

    def elapsed_ms() -> int:
        return round((time.monotonic() - start) * 1000)

    try:
        with (
            within(DEADLINE_SECONDS),
            session().request(
                method,
                base_url + path,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
                stream=True,
                **request,
            ) as response,
        ):
            body = _read(response)
            return Answer(
                method=method,
                path=path,
                started_at=started_at,
                duration_ms=elapsed_ms(),
                status=response.status_code,
                content_type=response.headers.get("Content-Type", ""),
                retry_after=whole_seconds(response.headers.get("Retry-After")),
                body=body,
            )
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, _TooLargeError) as error:
        overdue = time.monotonic() - start >= DEADLINE_SECONDS
        failure = "the answer took too long" if overdue else _in_words(error)
        return Answer(method=method, path=path, started_at=started_at, duration_ms=elapsed_ms(), failure=failure)


def _read(response: requests.Response) -> bytes:
    body = bytearray()
    # `read1` gives what has arrived; `iter_content` would wait for a whole chunk, however slowly its bytes drip in.
    while chunk := response.raw.read1(65_536, decode_content=True):
        body += chunk
        if len(body) > ANSWER_BYTES:
            raise _TooLargeError
    response.raw.drain_conn()  # all is read: the connection can be used again
    return bytes(body)


def _in_words(error: Exception) -> str:
    """Why no answer arrived; never the address, which may carry an identifier."""
    if isinstance(error, _TooLargeError):
        return "the answer was too large"
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {CONNECT_SECONDS:.0f} s"
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return f"no answer within {READ_SECONDS:.0f} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "the TLS certificate was not accepted"
    if isinstance(error, requests.ConnectionError | urllib3.exceptions.ProtocolError | OSError):
        return "the connection failed or was cut"
    return f"the answer could not be read ({type(error).__name__})"
