"""A first switch-on with many customers against Klaviyo's limit and one call per customer, and how late a changed balance is there."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import requests
from sqlalchemy import create_engine, insert

from bench.lag import cut
from bench.load import Client
from bench.stack import Stack, running
from portal.db import new_ids
from portal.klaviyo import profiles as wire
from portal.models import Customer

BULK_PER_MINUTE = 150  # requests, as Klaviyo documents
AT_ONCE = 5_000
PER_SECOND = 5


def properties(database: str, customers: int = 100_000, baseline_seconds: float = 61.0, changes: int = 150) -> None:
    with running(database, limits=True) as stack:
        _make_customers(stack, customers)
        rate, per_request = _sweep(stack, customers)
        one_by_one = _one_by_one(stack, baseline_seconds)
        lags = _lags(stack, changes)
    ceiling = BULK_PER_MINUTE / 60 * per_request
    print(
        f"properties of {customers:,} customers, {database}: {rate:,.0f}/s from switch-on to the last import's end "
        f"= {rate / ceiling:.0%} of Klaviyo's {ceiling:,.0f} ({per_request:,.0f} fit into a request); "
        f"one call per customer: {one_by_one:,.1f}/s; ratio {rate / one_by_one:,.0f}"
    )
    print(
        f"lag of a changed balance, {PER_SECOND} changes/s, {database}: p50 {cut(lags, 50):.2f} s, "
        f"p95 {cut(lags, 95):.2f} s from our 202 to Klaviyo's answer, with 2 s in which a burst becomes one update"
    )


def _make_customers(stack: Stack, number: int) -> None:
    """Into the database, as after an import long ago: nothing is to be told of them but their properties."""
    merchant_id = stack.rows("SELECT id FROM merchants")[0][0]
    engine = create_engine(stack.database_url)
    try:
        for start in range(0, number, AT_ONCE):
            count = min(AT_ONCE, number - start)
            rows = [
                {
                    "id": customer_id,
                    "merchant_id": merchant_id,
                    "email": f"bench-{start + place}@example.com",
                    "created_at": datetime.now(UTC),
                    "link_token": secrets.token_urlsafe(16),
                    "balance": 100 * (start + place),
                }
                for place, customer_id in enumerate(new_ids(count))
            ]
            with engine.begin() as connection:
                connection.execute(insert(Customer), rows)
    finally:
        engine.dispose()


def _sweep(stack: Stack, customers: int) -> tuple[float, float]:
    """(profiles a second from when the workers are started, profiles that fit into a request); every one of them is found at Klaviyo."""
    begun, before = time.time(), stack.ledger()["profiles"]
    stack.start_delivering()
    while not stack.rows("SELECT 1 FROM profile_sweeps WHERE ended_at IS NOT NULL"):
        time.sleep(0.5)
    # Since the panel says it is done a moment later, the clock stops at what Klaviyo ended last.
    sent_at = stack.rows("SELECT max(sent_at) FROM profile_syncs")[0][0]
    problems = stack.rows("SELECT count(*) FROM profile_syncs WHERE problem IS NOT NULL")[0][0]
    arrived = stack.ledger()["profiles"] - before
    if problems or arrived < customers:
        raise SystemExit(f"{customers} customers, {arrived} new profiles at Klaviyo, {problems} refused")
    calls = stack.rows(f"SELECT items, status FROM calls WHERE path = '{wire.BULK_PATH}' ORDER BY id")
    if throttled := sum(call.status == 429 for call in calls):
        print(f"  Klaviyo asked to slow down {throttled} times")
    return customers / (_seconds(sent_at) - begun), max(call.items for call in calls if call.status == 202)


def _seconds(moment: datetime | str) -> float:
    known = datetime.fromisoformat(moment).replace(tzinfo=UTC) if isinstance(moment, str) else moment
    return known.timestamp()


def _one_by_one(stack: Stack, seconds: float) -> float:
    """The baseline: a plain loop over POST /api/profile-import with one session, which waits when it is told to."""
    headers = {
        "Authorization": f"Klaviyo-API-Key {stack.secrets.klaviyo_private_key}",
        "revision": "2026-07-15",
        "Content-Type": "application/vnd.api+json",
    }
    sent = stack.rows("SELECT sent FROM profile_syncs WHERE sent IS NOT NULL LIMIT 1")[0][0]
    done, begun = 0, time.perf_counter()
    with requests.Session() as session:
        while time.perf_counter() - begun < seconds:
            profile = wire.upsert(
                klaviyo_profile_id=None, email=f"alone-{done}@example.com", phone=None, properties=sent
            )
            url = f"{stack.plan.sandbox_url}{wire.PATH}"
            while (answer := session.post(url, data=wire.single(profile), headers=headers)).status_code == 429:
                time.sleep(int(answer.headers["Retry-After"]))
            answer.raise_for_status()
            done += 1
    return done / (time.perf_counter() - begun)


def _lags(stack: Stack, changes: int) -> Sequence[float]:
    """Seconds for each change, of customers of whom nothing else is told meanwhile."""
    client, told = Client(stack.plan.portal_url, stack.api_key), {}
    due = time.perf_counter()
    for number in range(changes):
        email = f"bench-{number}@example.com"
        event = {
            "id": f"lag-{number}",
            "type": "balance_changed",
            "customer": {"email": email},
            "properties": {"change": 7},
        }
        client.post(json.dumps(event).encode())
        told[email] = time.time()
        due += 1 / PER_SECOND
        time.sleep(max(0.0, due - time.perf_counter()))
    while stack.rows("SELECT 1 FROM profile_syncs WHERE due_at IS NOT NULL LIMIT 1"):
        time.sleep(0.5)
    rows = stack.rows(
        "SELECT c.email, s.sent_at FROM profile_syncs s JOIN customers c ON c.id = s.customer_id"
        f" WHERE s.sent_at IS NOT NULL ORDER BY s.sent_at DESC LIMIT {changes}"
    )
    return [_seconds(row.sent_at) - told[row.email] for row in rows if row.email in told]
