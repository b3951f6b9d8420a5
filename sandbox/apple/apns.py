"""Apple's push service: HTTP/2 over TLS on a port of its own, in a thread of its own, for clients with a pass certificate.

The handshake refuses a certificate that is not from the sandbox's authority or has expired, before any request.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.apple import pushes
from sandbox.apple.authority import Authority
from sandbox.apple.http2 import Connection
from sandbox.apple.pushes import Answer, Push
from sandbox.klaviyo.faults import Fault, Faults
from sandbox.klaviyo.switches import Switches

KEPT = 2000
_START_SECONDS = 10.0

# Gives a push to whoever has its token, and says what became of it.
Deliver = Callable[[str, str], Answer]


class PushService:
    def __init__(
        self, host: str, port: int, certificates: Path, faults: Faults, switches: Switches, deliver: Deliver
    ) -> None:
        self._host, self._port, self._authority = host, port, Authority(certificates)
        self._faults, self._switches, self._deliver = faults, switches, deliver
        self._lock = threading.Lock()
        self._counts: Counter[tuple[int, str]] = Counter()
        self._recent: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._connections: set[Connection] = set()
        self._opened = 0
        self._loop: asyncio.AbstractEventLoop
        self._end: asyncio.Event
        self._listening = threading.Event()
        self._failed: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="apns", daemon=True)

    def start(self) -> None:
        """Return once it listens. Raises `OSError` when the port is taken."""
        self._thread.start()
        self._listening.wait(_START_SECONDS)
        if self._failed:
            raise self._failed

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(_START_SECONDS)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        try:
            server = await self._loop.create_server(
                self._connection, self._host, self._port, ssl=self._tls(), reuse_address=True
            )
        except OSError as error:
            self._failed = error
            return
        finally:
            self._listening.set()
        await self._end.wait()
        server.close()
        for connection in list(self._connections):
            connection.drop()
        await asyncio.sleep(0)

    def _tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["h2"])
        context.load_cert_chain(self._authority.push_file)
        context.verify_mode = ssl.CERT_REQUIRED
        # The intermediate as well: clients of Apple's need not send it.
        for file in (self._authority.root_file, self._authority.intermediate_file):
            context.load_verify_locations(file)
        return context

    def _connection(self) -> Connection:
        return Connection(self._take, self._connected)

    def _connected(self, connection: Connection, here: bool) -> None:
        if here:
            self._connections.add(connection)
            self._opened += 1
        else:
            self._connections.discard(connection)

    # --- one push ----------------------------------------------------------------------------------

    def _take(self, connection: Connection, stream: int, push: Push) -> None:
        fault = self._faults.take(push.method, push.path, None)
        delay = self._latency(push.path)
        if fault and fault.kind in ("goaway", "reset"):
            self._note(push, None, fault)
            self._loop.call_soon(connection.say_goodbye if fault.kind == "goaway" else connection.drop)
            return
        if fault and fault.kind == "hang_before":
            self._note(push, None, fault)
            self._loop.call_later(fault.seconds, connection.drop)
            return
        answer = self._answer(push, fault)
        self._note(push, answer, fault)
        if fault and fault.kind in ("slow", "hang_after_accept"):
            delay += fault.seconds
        if delay:
            self._loop.call_later(delay, self._send, connection, stream, push, answer)
        else:
            self._send(connection, stream, push, answer)

    def _answer(self, push: Push, fault: Fault | None) -> Answer:
        wrong = pushes.refusal(push)
        if wrong:
            return wrong
        lost = fault is not None and fault.kind == "status"
        given = Answer() if lost and fault and not fault.accept else self._deliver(push.token, push.topic)
        return pushes.ordered(fault, time.time()) if fault and lost else given

    def _send(self, connection: Connection, stream: int, push: Push, answer: Answer) -> None:
        headers = {"apns-id": push.headers.get("apns-id") or str(uuid.uuid4()).upper()}
        body = answer.body
        if body:
            headers["content-type"] = "application/json"
        connection.respond(stream, answer.status, headers, body)

    def _latency(self, path: str) -> float:
        return (
            max((ms for prefix, ms in self._switches.latency_ms.items() if path.startswith(prefix)), default=0) / 1000
        )

    # --- what can be looked up ---------------------------------------------------------------------

    def _note(self, push: Push, answer: Answer | None, fault: Fault | None) -> None:
        status, reason = (answer.status, answer.reason) if answer else (0, "")
        entry = {
            "at": time.time(), "token": push.token, "topic": push.topic, "status": status, "reason": reason,
            "fault": fault.kind if fault else "", "payload": push.body[:200].decode("utf-8", "replace"),
            "headers": {name: value for name, value in push.headers.items() if name.startswith("apns-")},
        }  # fmt: skip
        with self._lock:
            self._counts[status, reason] += 1
            self._recent.append(entry)

    def counts(self) -> dict[str, Any]:
        """How many pushes were answered how; status 0 was never answered."""
        with self._lock:
            told = [{"status": status, "reason": reason, "count": n} for (status, reason), n in self._counts.items()]
        told.sort(key=lambda each: (each["status"], each["reason"]))
        opened, now = self._opened, len(self._connections)
        return {"pushes": sum(each["count"] for each in told), "answers": told, "connections": opened, "open": now}

    def recent(self, token: str | None = None) -> list[dict[str, Any]]:
        """The last pushes, oldest first."""
        with self._lock:
            return [entry for entry in self._recent if token in (None, entry["token"])]

    def forget(self) -> None:
        with self._lock:
            self._counts.clear()
            self._recent.clear()
