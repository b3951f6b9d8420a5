"""Send a purchase history to the portal as Balance changed events: `make replay`, or `python -m examples.replay --help`.

An example of a merchant's program: it knows nothing but the API and a key. The format is CDNOW's: customer, date (YYYYMMDD), items,
dollars, separated by blanks. Each row has an id of its own, so that a second replay of the same file changes nothing. The balance
that is told with each event becomes the portal's: its ledger takes over what the program says.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import requests

DEMO = Path(os.environ.get("PORTAL_DATA_DIR") or "var") / "demo.json"
EXTRACT = Path(__file__).with_name("cdnow-6000.txt")
# The history knows customers by number, and Klaviyo needs an address. example.com is reserved for examples (RFC 2606).
ADDRESS = "customer-{}@example.com"
TRIES = 5


class ReplayError(Exception):
    """The file or the portal is not as it should be; the message says where."""


def purchases(lines: Iterable[str]) -> Iterator[tuple[int, str, datetime, float]]:
    """(line number, customer, day, dollars). Raises `ReplayError` that names the line."""
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields or (number == 1 and not fields[0].isdigit()):
            continue
        try:
            customer, day, _, dollars = fields
            yield number, customer, datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC), float(dollars)
        except ValueError as error:
            raise ReplayError(
                f"Line {number} is not a purchase. It should read like: 00001 19970101 1 11.77 (customer, date, items, dollars)."
            ) from error


def events(file: Path, *, now: bool) -> Iterator[dict[str, Any]]:
    """The file's events in its order; points are whole dollars and the balance runs per customer."""
    balances: defaultdict[str, int] = defaultdict(int)
    with file.open(encoding="utf-8") as lines:
        for number, customer, day, dollars in purchases(lines):
            before = balances[customer]
            balances[customer] = before + round(dollars)
            # Purchases of one day keep their order in the file.
            happened = datetime.now(UTC) if now else day + timedelta(hours=12, milliseconds=number)
            yield {
                "id": f"{file.stem}-{number}",
                "type": "balance_changed",
                "customer": {"external_id": customer, "email": ADDRESS.format(customer)},
                "occurred_at": happened.isoformat(),
                "properties": {
                    "direction": "increase",
                    "change": round(dollars),
                    "balance": balances[customer],
                    "previous_balance": before,
                    "reason": "Purchase",
                },
            }


def post(session: requests.Session, url: str, batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The portal's result for each event. Tries again where that can help: the ids make it harmless."""
    for attempt in range(1, TRIES + 1):
        try:
            answer = session.post(f"{url}/v1/events", json={"events": batch}, timeout=30)
        except requests.RequestException as error:
            if attempt == TRIES:
                raise ReplayError(
                    f"The portal at {url} does not answer ({type(error).__name__}). Is `make run` running?"
                ) from error
            time.sleep(attempt)
            continue
        if answer.status_code in (429, 503) and attempt < TRIES:
            time.sleep(float(answer.headers.get("Retry-After", attempt)))
            continue
        if answer.status_code != 202:
            raise ReplayError(f"The portal answered {answer.status_code}: {answer.text[:300]}")
        return list(answer.json()["results"])
    raise ReplayError("The portal asked us to wait too often. Try again later; what was sent is not sent twice.")


def replay(file: Path, url: str, api_key: str, *, rows: int | None, batch: int, now: bool) -> Counter[str]:
    """Send the file; counts of accepted, duplicate and rejected."""
    counts: Counter[str] = Counter()
    waiting = islice(events(file, now=now), rows)
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {api_key}"
        while part := list(islice(waiting, batch)):
            counts.update(result["status"] for result in post(session, url, part))
            print(f"\r{counts.total():,} sent", end="", flush=True)
    print()
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description="Send a purchase history to the portal as Balance changed events.")
    parser.add_argument("file", nargs="?", type=Path, default=EXTRACT, help="default: the extract beside this program")
    parser.add_argument("--demo", type=Path, default=DEMO, help="where `make run` wrote address and key")
    parser.add_argument("--url", help="the portal, instead of the demo's")
    parser.add_argument("--api-key", help="its key, instead of the demo's")
    parser.add_argument("--rows", type=int, help="stop after so many purchases")
    parser.add_argument("--batch", type=int, default=500, choices=range(1, 1001), metavar="1-1000")
    parser.add_argument("--now", action="store_true", help="say that they happen now, instead of when they did")
    options = parser.parse_args()
    try:
        demo = json.loads(options.demo.read_text()) if options.demo.exists() else {}
        url, api_key = options.url or demo.get("portal_url"), options.api_key or demo.get("api_key")
        if not url or not api_key:
            raise ReplayError(f"{options.demo} is not there. Start `make run` first, or give --url and --api-key.")
        counts = replay(options.file, url, api_key, rows=options.rows, batch=options.batch, now=options.now)
    except (ReplayError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{counts['accepted']:,} accepted, {counts['duplicate']:,} known already, {counts['rejected']:,} rejected.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
