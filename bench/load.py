"""Sending events to the portal as fast as it takes them, with as little of this machine's time as possible."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from urllib.parse import urlsplit

from examples.replay import EXTRACT, events

_runs = count(1)


def purchases() -> Iterator[dict[str, object]]:
    """The real purchase history, over and over, each time under ids and for customers of its own."""
    while True:
        run = next(_runs)
        for event in events(Path(EXTRACT), now=False):
            customer = str(event["customer"]["external_id"])
            event["id"] = f"{run}-{event['id']}"
            event["customer"] = {"external_id": f"{run}-{customer}", "email": f"customer-{run}-{customer}@example.com"}
            yield event


def bodies(total: int, batch: int) -> list[bytes]:
    """Requests that carry `total` events, made before the clock runs."""
    source = purchases()
    if batch == 1:
        return [json.dumps(event).encode() for event in islice(source, total)]
    return [json.dumps({"events": list(islice(source, batch))}).encode() for _ in range(total // batch)]


@dataclass
class Sent:
    """What came of it; seconds for each request, in the order of their answers."""

    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    elapsed: float = 0.0

    def quantile(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Client:
    """One connection that is kept."""

    def __init__(self, url: str, api_key: str, path: str = "/v1/events") -> None:
        self._connection, self._path = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60), path
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}

    def post(self, body: bytes) -> int:
        self._connection.request("POST", self._path, body, self._headers)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status


def send(url: str, api_key: str, requests: list[bytes], connections: int) -> Sent:
    """All requests over so many connections."""
    return send_over([Client(url, api_key) for _ in range(connections)], requests)


def send_over(clients: Sequence[Client], requests: list[bytes]) -> Sent:
    """All requests, over each connection a stretch of its own: only so are a customer's events told in order."""
    sent, lock, longest = Sent(), threading.Lock(), -(-len(requests) // len(clients))

    def lane(client: Client, stretch: list[bytes]) -> None:
        for body in stretch:
            begun = time.perf_counter()
            status = client.post(body)
            seconds = time.perf_counter() - begun
            with lock:
                sent.seconds.append(seconds)
                sent.refused += status != 202

    stretches = [requests[number * longest : (number + 1) * longest] for number in range(len(clients))]
    lanes = [threading.Thread(target=lane, args=each) for each in zip(clients, stretches, strict=True)]
    begun = time.perf_counter()
    for each in lanes:
        each.start()
    for each in lanes:
        each.join()
    sent.elapsed = time.perf_counter() - begun
    return sent
