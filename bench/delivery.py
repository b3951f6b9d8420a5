"""How fast a backlog reaches Klaviyo: with Klaviyo's limits, and without any, against one request per event in the same run."""

from __future__ import annotations

import json
import time

import requests

from bench.load import bodies, purchases, send
from bench.stack import Stack, ended_at, running
from portal.klaviyo.limits import EVENT_BULK

BULK_PER_MINUTE = 150  # requests of up to 1,000 events, as Klaviyo documents
CEILING = BULK_PER_MINUTE * 1_000 / 60
BATCH = 500
# The first requests ride on what a fresh minute allows at once; they are not counted.
BURST = EVENT_BULK.capacity
MARK_SECONDS = 0.2


def with_limits(database: str, events: int = 60_000, baseline_seconds: float = 61.0) -> None:
    """Share of Klaviyo's documented bulk rate for one merchant; the sandbox counts and refuses as Klaviyo does."""
    with running(database, limits=True) as stack:
        rate = _drain(stack, events)
        baseline = one_by_one(stack, seconds=baseline_seconds)
    print(
        f"delivery, limits on, {database}: {rate:,.0f} events/s = {rate / CEILING:.0%} of Klaviyo's {CEILING:,.0f}; "
        f"one request per event: {baseline:,.0f}/s; ratio {rate / baseline:.1f}"
    )


def without_limits(database: str, events: int = 120_000, baseline_events: int = 3_000) -> None:
    """What the portal itself can do. Two cores carry the portal, its database and the sandbox."""
    with running(database, limits=False) as stack:
        rate = _drain(stack, events)
        baseline = one_by_one(stack, events=baseline_events)
    print(
        f"delivery, limits off, {database}: {rate:,.0f} events/s; "
        f"one request per event: {baseline:,.0f}/s; ratio {rate / baseline:.1f}"
    )


def _drain(stack: Stack, events: int) -> float:
    """Events per second between answers of Klaviyo's, once the burst is over. Every event is found there once."""
    send(stack.plan.portal_url, stack.api_key, bodies(events, BATCH), connections=4)
    stack.start_delivering()
    while stack.rows("SELECT count(*) FROM deliveries WHERE state = 'pending'")[0][0]:
        time.sleep(1)
    # Profiles are kept in step meanwhile, over requests of their own.
    calls = stack.rows(
        "SELECT items, started_at, duration_ms, status FROM calls WHERE path LIKE '/api/event%' ORDER BY id"
    )
    accepted = [call for call in calls if call.status == 202]
    throttled = sum(call.status == 429 for call in calls)
    _check(stack, events)
    if throttled:
        print(f"  Klaviyo asked to slow down {throttled} times")
    steady = accepted[BURST:]
    return sum(call.items for call in steady[1:]) / (ended_at(steady[-1]) - ended_at(steady[0]))


def _check(stack: Stack, events: int) -> None:
    """What was told, and what followed from it (a new customer, a better tier), is at Klaviyo once."""
    deadline = time.monotonic() + 120
    while (ledger := stack.ledger())["waiting_events"] and time.monotonic() < deadline:
        time.sleep(MARK_SECONDS)
    sent = "SELECT count(*) FROM deliveries JOIN events ON events.id = deliveries.id"
    promised, derived = (stack.rows(sent + which)[0][0] for which in ("", " WHERE event_id LIKE 'jc:%'"))
    found = (ledger["events_recorded"], ledger["distinct_unique_ids"])
    if promised - derived != events or found != (promised, promised):
        raise SystemExit(
            f"{events} events were told and {derived} follow from them; Klaviyo has {found[0]}, {found[1]} different ones"
        )


def one_by_one(stack: Stack, *, events: int | None = None, seconds: float | None = None) -> float:
    """The baseline: a plain loop over POST /api/events with one session, which waits when it is told to."""
    headers = {"Authorization": f"Klaviyo-API-Key {stack.secrets.klaviyo_private_key}", "revision": "2026-07-15"}
    done, begun = 0, time.perf_counter()
    with requests.Session() as session:
        for event in purchases():
            if (events and done >= events) or (seconds and time.perf_counter() - begun > seconds):
                break
            while (
                answer := session.post(
                    f"{stack.plan.sandbox_url}/api/events",
                    data=_body(event),
                    headers={**headers, "Content-Type": "application/vnd.api+json"},
                )
            ).status_code == 429:
                time.sleep(int(answer.headers["Retry-After"]))
            answer.raise_for_status()
            done += 1
    return done / (time.perf_counter() - begun)


def _body(event: dict[str, object]) -> str:
    customer = event["customer"]
    assert isinstance(customer, dict)
    attributes = {
        "properties": event["properties"],
        "time": event["occurred_at"],
        "unique_id": event["id"],
        "metric": {"data": {"type": "metric", "attributes": {"name": "Balance changed"}}},
        "profile": {"data": {"type": "profile", "attributes": {"email": customer["email"]}}},
    }
    return json.dumps({"data": {"type": "event", "attributes": attributes}})
