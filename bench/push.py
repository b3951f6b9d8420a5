"""`POST /v1/push`: how fast it is answered, also while Redis stands still and Apple says nothing, and how soon Apple is told.

The answer is to come within 300 ms for 99 of 100 requests, whatever becomes of the others.
"""

from __future__ import annotations

import json
import signal
import time
from itertools import count

import requests

from bench import card_holders
from bench.lag import cut
from bench.load import Client, Sent, send_over
from bench.stack import Stack, running
from portal.db import transaction
from portal.services import api_keys

CONNECTIONS, WARM = 16, 400
AIM_MS = 300
PER_SECOND = 20
_numbers = count()


def push(database: str, many: int = 3_000, lags: int = 600) -> None:
    with running(database, limits=True) as stack:
        with card_holders.portal_of(stack) as merchant_id:
            card_holders.make(merchant_id, WARM + 3 * many + lags)
            # One key may take only so many a second.
            with transaction():
                keys = [api_keys.create(merchant_id, f"bench-{number}")[1] for number in range(CONNECTIONS)]
        stack.start_delivering()
        clients = [Client(stack.plan.portal_url, key, "/v1/push") for key in keys]
        send_over(clients, _requests(WARM))
        _drain(stack)
        found = _lags(stack, Client(stack.plan.portal_url, keys[0], "/v1/push"), lags)
        clients = [Client(stack.plan.portal_url, key, "/v1/push") for key in keys]
        _tell("all is well", database, send_over(clients, _requests(many)))
        stack.ground[0].send(signal.SIGSTOP)
        _tell("Redis stands still", database, send_over(clients, _requests(many)))
        stack.ground[0].send(signal.SIGCONT)
        _say_nothing(stack)
        _tell("Apple says nothing", database, send_over(clients, _requests(many)))
    print(
        f"push, {PER_SECOND}/s, {database}: p50 {cut(found, 50):.2f} s, p95 {cut(found, 95):.2f} s from our 202 to Apple's push service"
    )


def _requests(number: int) -> list[bytes]:
    """Each for a customer of its own."""
    return [_request(next(_numbers)) for _ in range(number)]


def _request(number: int) -> bytes:
    body = {
        "customer_id": "",
        "email": f"holder-{number}@example.com",
        "message": f"Your reward {number} is ready!",
        "url": "https://yourstore.com/rewards",
        "idempotency_key": f"bench {number}",
    }
    return json.dumps(body).encode()


def _tell(what: str, database: str, sent: Sent) -> None:
    if sent.refused:
        raise SystemExit(f"{sent.refused} pushes were refused while {what}")
    p99 = sent.quantile(0.99) * 1000
    print(
        f"push, {what}, {database}: {len(sent.seconds) / sent.elapsed:,.0f}/s taken, p50 {sent.quantile(0.5) * 1000:.1f} ms, "
        f"p99 {p99:.1f} ms ({'within' if p99 < AIM_MS else 'over'} {AIM_MS})"
    )


def _say_nothing(stack: Stack) -> None:
    """Apple's push service takes every push and never answers."""
    silent = {"fault": "hang_before", "match": {"path": "/3/device/"}, "times": None, "seconds": 30}
    requests.post(f"{stack.plan.sandbox_url}/_sandbox/faults", json=silent, timeout=30).raise_for_status()


def _drain(stack: Stack) -> None:
    """Until what came before is on its way and out of it."""
    waiting = " UNION ALL ".join(
        f"SELECT 1 FROM {table} WHERE due_at <= CURRENT_TIMESTAMP" for table in ("pushes", "cards", "devices")
    )
    while stack.rows(waiting):
        time.sleep(0.5)


def _lags(stack: Stack, client: Client, number: int) -> list[float]:
    """Seconds for each."""
    taken, due = {}, time.perf_counter()
    requests.delete(f"{stack.plan.sandbox_url}/_sandbox/apple/pushes", timeout=30).raise_for_status()
    for _ in range(number):
        pushed = next(_numbers)
        client.post(_request(pushed))
        taken[card_holders.token(pushed)] = time.time()
        due += 1 / PER_SECOND
        time.sleep(max(0.0, due - time.perf_counter()))
    _drain(stack)
    told = requests.get(f"{stack.plan.sandbox_url}/_sandbox/apple/pushes", timeout=30).json()["recent"]
    first = {each["token"]: each["at"] for each in reversed(told)}
    return [first[token] - at for token, at in taken.items() if token in first]
