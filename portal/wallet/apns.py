"""Wakes phones through Apple's push service, so that they fetch their cards anew. The push itself says nothing: it is `{}`.

Many streams on one connection; nothing is raised for what the network or Apple did; no retry. One thread to a `Pusher`.
https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from portal.exchange import whole_seconds
from portal.wallet.apns_answer import Outcome, Pushed, judged
from portal.wallet.apns_tls import client_context, is_refused
from portal.wallet.apple_certificates import PassCertificate

R = TypeVar("R")

URL = "https://api.push.apple.com"
STREAMS = 200  # at once; Apple's own limit is kept where it is lower
PUSH_SECONDS, BATCH_SECONDS = 15.0, 120.0
NOT_TAKEN = "the certificate was not accepted"
# The part of a push's time for each of TCP and TLS. httpcore leaves a socket open whose making is cancelled from outside.
_CONNECTING = 0.4
_ANSWER_BYTES = 8 << 10
# Of other wallets' apps come tokens of other shapes, and none of theirs may become a part of an address.
_TOKEN = re.compile(r"[0-9a-fA-F]{64,200}")


class Pusher:
    """Pushes for one certificate. The connection stays open between batches and is made anew after it failed."""

    def __init__(
        self, certificate: PassCertificate, *, url: str = URL, ca_file: Path | None = None, streams: int = STREAMS
    ) -> None:
        self._not_after, self._topic = certificate.not_after, certificate.pass_type_id
        self._url, self._streams = url.rstrip("/"), streams
        self._tls = client_context(certificate, ca_file)
        # A thread of its own: the caller's may have an event loop already, and two cannot run in one.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="apns")
        self._runner = asyncio.Runner()
        self._client: httpx2.AsyncClient | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._run(self._disconnect())
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()

    def _run(self, work: Coroutine[Any, Any, R]) -> R:
        return self._thread.submit(self._runner.run, work).result()

    def push_many(self, tokens: Sequence[str], *, seconds: float = BATCH_SECONDS) -> list[Pushed]:
        """One result for each token, in their order, within about `seconds`. What has no answer by then is `RETRY`.

        Trouble with the certificate or the connection stops the batch: the rest is `NOT_TRIED` and may come again.
        """
        if datetime.now(UTC) > self._not_after:
            return [Pushed(token, Outcome.UNHEALTHY, reason="CertificateExpired") for token in tokens]
        return self._run(self._push_many(tokens, seconds))

    async def _push_many(self, tokens: Sequence[str], seconds: float) -> list[Pushed]:
        ends_at = asyncio.get_running_loop().time() + seconds
        kept = self._client is not None
        batch = await self._push_batch(tokens, ends_at)
        if kept and batch.unanswered:  # the connection had ended while nobody was looking
            batch = await self._push_batch(tokens, ends_at)
        results = [batch.results[place] for place in range(len(tokens))]
        if batch.unanswered and await self._is_refused():
            return [_unhealthy(result) if result.outcome is Outcome.RETRY else result for result in results]
        return results

    async def _push_batch(self, tokens: Sequence[str], ends_at: float) -> _Batch:
        fresh = self._client is None
        self._client = self._client or self._connect()
        batch = _Batch(self._client, tokens, ends_at)
        if fresh:
            await batch.begin()
        await batch.push(self._streams)
        if batch.stopped:
            await self._disconnect()
        return batch

    async def _is_refused(self) -> bool:
        address = httpx2.URL(self._url)
        return await is_refused(address.host, address.port or 443, self._tls)

    def _connect(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            base_url=self._url,
            headers={"apns-topic": self._topic},
            verify=self._tls,
            http1=False,
            http2=True,
            limits=httpx2.Limits(max_connections=1, keepalive_expiry=None),
            trust_env=False,
        )

    async def _disconnect(self) -> None:
        if self._client is not None:
            await self._client.aclose()
        self._client = None


class _Batch:
    def __init__(self, client: httpx2.AsyncClient, tokens: Sequence[str], ends_at: float) -> None:
        self._client, self._ends_at = client, ends_at
        self._left = iter(enumerate(tokens))
        self._answers = 0
        self.results: dict[int, Pushed] = {}
        self.stopped = ""

    @property
    def unanswered(self) -> bool:
        return bool(self.stopped) and not self._answers

    async def begin(self) -> None:
        """One push alone makes the connection, and finds out whether there is sense in the others."""
        for place, token in self._left:
            self.results[place] = await self._push(token)
            if self._answers or self.stopped:
                return

    async def push(self, streams: int) -> None:
        await asyncio.gather(*(self._work() for _ in range(streams)))

    async def _work(self) -> None:
        for place, token in self._left:
            self.results[place] = await self._push(token)

    async def _push(self, token: str) -> Pushed:
        if not _TOKEN.fullmatch(token):
            return Pushed(token, Outcome.BAD_TOKEN, reason="NotFromApple")
        left, answers = self._ends_at - asyncio.get_running_loop().time(), self._answers
        if left <= 0:
            self.stopped = self.stopped or "the time was up"
        if self.stopped:
            return Pushed(token, Outcome.NOT_TRIED, reason=self.stopped)
        seconds = min(PUSH_SECONDS, left)
        try:
            async with asyncio.timeout(seconds):
                pushed = await self._exchange(token, seconds * _CONNECTING)
        except TimeoutError:
            # One slow answer is that phone's; when none at all came meanwhile, it is the connection's.
            if answers == self._answers:
                self.stopped = self.stopped or "no answer in time"
            return Pushed(token, Outcome.RETRY, reason="no answer in time")
        except (httpx2.HTTPError, OSError) as error:
            self.stopped = self.stopped or _in_words(error)
            return Pushed(token, Outcome.RETRY, reason=_in_words(error))
        self._answers += 1
        if pushed.outcome is Outcome.UNHEALTHY:
            self.stopped = self.stopped or pushed.reason or NOT_TAKEN
        return pushed

    async def _exchange(self, token: str, connect_seconds: float) -> Pushed:
        timeout = httpx2.Timeout(None, connect=connect_seconds)
        async with self._client.stream("POST", f"/3/device/{token}", content=b"{}", timeout=timeout) as response:
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > _ANSWER_BYTES:
                    break
            return judged(
                token,
                response.status_code,
                bytes(body[:_ANSWER_BYTES]),
                apns_id=response.headers.get("apns-id", ""),
                retry_after=whole_seconds(response.headers.get("retry-after")),
            )


def _unhealthy(result: Pushed) -> Pushed:
    return replace(result, outcome=Outcome.UNHEALTHY, reason=NOT_TAKEN)


def _in_words(error: Exception) -> str:
    """Why no answer arrived; never the address, which carries the token."""
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in _causes(error)):
        return "the push service's own certificate is not trusted"
    if isinstance(error, httpx2.ConnectError):
        return "no connection"
    return "the connection failed or was cut"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
