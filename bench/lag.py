"""How long an event takes from our 202 to Klaviyo's, with 20 events a second, and how a burst of 1,000 compares."""

from __future__ import annotations

import json
import time
from statistics import quantiles

from bench.load import Client, bodies
from bench.stack import Stack, ended_at, running

PER_SECOND = 20


def lag(database: str, seconds: int = 30) -> None:
    with running(database, limits=True) as stack:
        stack.start_delivering()
        time.sleep(3)
        steady = _measure(stack, bodies(PER_SECOND * seconds, 1), 1 / PER_SECOND)
        burst = _measure(stack, bodies(1_000, 500), 0)
    p50, p95, b50 = cut(steady, 50), cut(steady, 95), cut(burst, 50)
    print(
        f"lag, {PER_SECOND} events/s, {database}: p50 {p50:.3f} s, p95 {p95:.3f} s from our 202 to Klaviyo's; "
        f"a burst of 1,000: p50 {b50:.3f} s, ratio {b50 / p50:.1f}"
    )


def _measure(stack: Stack, requests: list[bytes], pause: float) -> list[float]:
    """Seconds for each event; 0 where Klaviyo had it before our answer was read."""
    client, told = Client(stack.plan.portal_url, stack.api_key), {}
    due = time.perf_counter()
    for body in requests:
        client.post(body)
        now = time.time()
        document = json.loads(body)
        told.update({event["id"]: now for event in document.get("events", [document])})
        due += pause
        time.sleep(max(0.0, due - time.perf_counter()))
    while stack.rows("SELECT count(*) FROM deliveries WHERE state = 'pending'")[0][0]:
        time.sleep(0.5)
    calls = {call.id: ended_at(call) for call in stack.rows("SELECT id, started_at, duration_ms FROM calls")}
    carried = stack.rows("SELECT e.event_id, d.calls FROM deliveries d JOIN events e ON e.id = d.id")
    return [max(0.0, calls[int(row.calls.split()[-1])] - told[row.event_id]) for row in carried if row.event_id in told]


def cut(seconds: list[float], percent: int) -> float:
    return quantiles(seconds, n=100)[percent - 1]
