"""A history file from its upload to Klaviyo: events/s against Klaviyo's limit and one request per event, and memory over a million rows.

`BENCH_HISTORY_FILE` names another file in CDNOW's format than the extract that is here.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import requests

from bench.delivery import CEILING, one_by_one
from bench.stack import Stack, running
from bench.watching import Watching, in_words
from examples.history import past
from examples.replay import EXTRACT

FILE = Path(os.environ.get("BENCH_HISTORY_FILE") or EXTRACT)
SAMPLE_SECONDS = 0.5


def history(database: str, baseline_seconds: float = 61.0) -> None:
    """With Klaviyo's limits: every event once, every balance and every tier right, and how long that took."""
    with running(database, limits=True) as stack:
        stack.start_delivering()
        time.sleep(3)  # what the connection itself brings about is over
        before = stack.ledger()["events_recorded"]
        rows = list(past(FILE))
        ready = _upload(stack, (json.dumps(row).encode() + b"\n" for row in rows))
        begun = time.perf_counter()
        _change(stack, ready["id"], "start")
        ended = _await(stack, ready["id"], lambda work: work["state"] == "finished" and not work["waiting"])
        seconds = time.perf_counter() - begun
        risen = _check(stack, rows, before)
        baseline = one_by_one(stack, seconds=baseline_seconds)
    rate = ended["delivered"] / seconds
    print(
        f"history, {database}: {len(rows):,} rows of {len({row['customer']['email'] for row in rows}):,} customers and "
        f"{risen:,} new tiers in {seconds:.0f} s ({ready['seconds_left']} s foretold): {rate:,.0f} events/s = "
        f"{rate / CEILING:.0%} of Klaviyo's {CEILING:,.0f}; one request per event: {baseline:,.0f}/s; ratio {rate / baseline:.1f}"
    )


def history_memory(database: str, rows: int = 1_000_000) -> None:
    """Without limits: the most that each process holds up to a tenth of the rows and up to the end, and what the portal itself can do."""
    with running(database, limits=False) as stack:
        stack.start_delivering()
        time.sleep(3)
        with Watching(stack) as watching:
            begun = time.perf_counter()
            ready = _upload(stack, (json.dumps(row).encode() + b"\n" for row in islice(_over_and_over(), rows)))
            _tell(watching, database, f"{rows:,} rows uploaded and checked", rows / (time.perf_counter() - begun))
            _change(stack, ready["id"], "start")
            begun, largest = time.perf_counter(), []
            for share in (0.1, 0.5, 1.0):
                work = _await(stack, ready["id"], lambda work, least=share * rows: work["done"] >= least)
                done = work["done"]
                most = _tell(watching, database, f"{done:,} recorded", done / (time.perf_counter() - begun))
                largest.append(max(each for name, each in most.items() if name.startswith("worker")))
    tenth, end = largest[0], largest[-1]
    print(
        f"history-memory, {database}: the largest worker from a tenth on: {end - tenth:+.0f} MB, ratio {end / tenth:.2f}"
    )


def _tell(watching: Watching, database: str, phase: str, per_second: float) -> dict[str, float]:
    most = watching.most()
    print(f"history-memory, {database}: {phase}, {per_second:,.0f} rows/s; at most: {in_words(most)}", flush=True)
    return most


def _over_and_over() -> Iterator[dict[str, Any]]:
    """The real purchases, each time of customers and under ids of their own."""
    for run in count(1):
        for row in past(FILE):
            who = f"{run}-{row['customer']['external_id']}"
            yield {**row, "id": f"{run}-{row['id']}", "customer": {"external_id": who, "email": f"c{who}@example.com"}}


# --- the API ---------------------------------------------------------------------------------------


def _call(stack: Stack, method: str, path: str, **more: Any) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {stack.api_key}", **more.pop("headers", {})}
    answer = requests.request(method, f"{stack.plan.portal_url}/v1{path}", headers=headers, timeout=600, **more)
    if not answer.ok:
        raise SystemExit(f"{path} was answered {answer.status_code}: {answer.text[:300]}")
    told: dict[str, Any] = answer.json()
    return told


def _upload(stack: Stack, lines: Iterator[bytes]) -> dict[str, Any]:
    """The import once it is ready. The file lies on disk, so that its length can be said beforehand."""
    file = stack.plan.logs / "past.jsonl"
    with file.open("wb") as written:
        written.writelines(lines)
    with file.open("rb") as body:
        told = _call(stack, "POST", "/imports", data=body, headers={"Content-Type": "application/x-ndjson"})
    return _await(stack, told["id"], lambda work: work["state"] == "ready")


def _change(stack: Stack, import_id: str, deed: str) -> None:
    _call(stack, "POST", f"/imports/{import_id}/{deed}")


def _await(stack: Stack, import_id: str, done: Any) -> dict[str, Any]:
    while not done(work := _call(stack, "GET", f"/imports/{import_id}")):
        if work["state"] == "failed":
            raise SystemExit(f"the import failed: {work['reason']}")
        time.sleep(SAMPLE_SECONDS)
    return work


# --- checking ----------------------------------------------------------------------------------------


def _check(stack: Stack, rows: list[dict[str, Any]], before: int) -> int:
    """Each event once, each balance the sum, each tier reached in order; how many tiers were reached."""
    balances, risen = _expected(rows, stack.rows("SELECT name, threshold FROM tiers WHERE threshold > 0"))
    reached = sum(len(names) for names in risen.values())
    expected = before + len(rows) + reached
    deadline = time.monotonic() + 120
    while (ledger := stack.ledger())["waiting_events"] and time.monotonic() < deadline:
        time.sleep(SAMPLE_SECONDS)
    found = (ledger["events_recorded"], ledger["distinct_unique_ids"])
    if found != (expected, expected):
        raise SystemExit(f"{expected} events were to arrive; Klaviyo has {found[0]}, {found[1]} different ones")
    kept = {
        row.email: row.balance for row in stack.rows("SELECT email, balance FROM customers") if row.email in balances
    }
    if kept != balances:
        raise SystemExit(f"{sum(kept.get(who) != points for who, points in balances.items())} balances are wrong")
    told: defaultdict[str, list[str]] = defaultdict(list)
    for row in stack.rows(
        "SELECT c.email, e.properties FROM events e JOIN customers c ON c.id = e.customer_id"
        " WHERE e.type = 'tier_upgraded' ORDER BY e.occurred_at, e.id"
    ):
        if row.email in balances:
            told[row.email].append(json.loads(row.properties)["tier"])
    if told != risen:
        raise SystemExit("the tiers were not reached in order")
    return reached


def _expected(rows: list[dict[str, Any]], tiers: list[Any]) -> tuple[dict[str, int], dict[str, list[str]]]:
    """Balances in hundredths, and the tiers that each customer reaches, worked out apart from the portal."""
    balances: defaultdict[str, int] = defaultdict(int)
    risen: defaultdict[str, list[str]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: str(row["occurred_at"])):
        who, before = row["customer"]["email"], balances[row["customer"]["email"]]
        balances[who] += row["properties"]["change"] * 100
        reached = [tier for tier in tiers if before < tier.threshold <= balances[who]]
        if reached:
            risen[who].append(max(reached, key=lambda tier: int(tier.threshold)).name)
    return balances, risen
