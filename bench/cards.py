"""The web service that iPhones call: what changed, and the signed card, by many phones at once."""

from __future__ import annotations

import http.client
import io
import json
import threading
import time
import zipfile
from urllib.parse import urlsplit

import psutil

from bench.stack import Stack, running

PHONES, EACH = 24, 60


def cards(database: str) -> None:
    """Each phone asks what changed and fetches its card, over and over, from an address of its own."""
    with running(database, limits=False) as stack:
        card, agent = _card(stack), "passd/1.0 CFNetwork/1568.300.101 Darwin/24.6.0"
        authorized = {"Authorization": f"ApplePass {card['authenticationToken']}", "User-Agent": agent}
        named = f"{card['passTypeIdentifier']}/{card['serialNumber']}"
        seconds: dict[str, list[float]] = {"what changed": [], "the card": []}

        def phone(number: int) -> None:
            connection = _connection(stack, f"127.0.0.{number + 10}")
            device = f"/passes/v1/devices/bench-{number}/registrations"
            _ask(connection, "POST", f"{device}/{named}", authorized, json.dumps({"pushToken": f"{number:064x}"}))
            for _ in range(EACH):
                seconds["what changed"].append(
                    _ask(connection, "GET", f"{device}/{card['passTypeIdentifier']}", {"User-Agent": agent})
                )
                seconds["the card"].append(_ask(connection, "GET", f"/passes/v1/passes/{named}", authorized))

        threads = [threading.Thread(target=phone, args=(number,)) for number in range(PHONES)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        elapsed, memory = time.perf_counter() - began, _memory(stack)
    total = sum(len(each) for each in seconds.values())
    if total != 2 * PHONES * EACH:
        raise SystemExit("a phone was refused")
    told = "; ".join(f"{name}: p99 {_p99(each) * 1000:.0f} ms" for name, each in seconds.items())
    print(
        f"cards, {database}: {total / elapsed:,.0f} requests/s of {PHONES} phones; {told}; {memory:,} MB of web processes"
    )


def _card(stack: Stack) -> dict[str, str]:
    """A customer's card, as the download link gives it."""
    slug, token = stack.rows(
        "SELECT slug, link_token FROM merchants JOIN customers ON customers.merchant_id = merchants.id LIMIT 1"
    )[0]
    connection = _connection(stack, "127.0.0.1")
    connection.request(
        "GET", f"/{slug}/download?token={token}&platform=ios", headers={"User-Agent": "Mozilla/5.0 (iPhone)"}
    )
    answer = connection.getresponse()
    with zipfile.ZipFile(io.BytesIO(answer.read())) as package:
        found: dict[str, str] = json.loads(package.read("pass.json"))
    return found


def _connection(stack: Stack, own_address: str) -> http.client.HTTPConnection:
    """From an address of its own: the portal limits what one of them may ask."""
    host = urlsplit(stack.plan.portal_url).netloc
    return http.client.HTTPConnection(host, timeout=60, source_address=(own_address, 0))


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str], body: str | None = None
) -> float:
    kind = {"Content-Type": "application/json"} if body else {}
    began = time.perf_counter()
    connection.request(method, path, body, {**headers, **kind})
    answer = connection.getresponse()
    answer.read()
    if answer.status not in (200, 201, 204):
        raise RuntimeError(f"{method} {path}: {answer.status}")
    return time.perf_counter() - began


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(0.99 * len(seconds))]


def _memory(stack: Stack) -> int:
    assert stack.web.process is not None
    web = psutil.Process(stack.web.process.pid)
    return sum(each.memory_info().rss for each in (web, *web.children(recursive=True))) >> 20
