"""How fast the API takes events while delivery runs: one at a time, and in batches of 500 against one at a time."""

from __future__ import annotations

import time

from bench.load import bodies, send
from bench.stack import running

SINGLE_CONNECTIONS, BATCH_CONNECTIONS = 16, 4
BATCH = 500


def ingest(database: str, singles: int = 6_000, batched: int = 120_000) -> None:
    """`singles` one by one, then `batched` in batches, both while workers deliver to a Klaviyo with its limits on."""
    with running(database, limits=True) as stack:
        stack.start_delivering()
        one, many = bodies(singles, 1), bodies(batched, BATCH)
        # Connections and caches are warm.
        send(stack.plan.portal_url, stack.api_key, bodies(200, 1), SINGLE_CONNECTIONS)
        single = send(stack.plan.portal_url, stack.api_key, one, SINGLE_CONNECTIONS)
        time.sleep(2)
        batch = send(stack.plan.portal_url, stack.api_key, many, BATCH_CONNECTIONS)
        delivered = stack.rows("SELECT count(*) FROM deliveries WHERE state = 'delivered'")[0][0]
    if single.refused or batch.refused:
        raise SystemExit(f"{single.refused + batch.refused} requests were refused")
    per_second, batched_per_second = singles / single.elapsed, batched / batch.elapsed
    print(
        f"ingest, single, {database}: {per_second:,.0f} events/s, "
        f"p50 {single.quantile(0.5) * 1000:.1f} ms, p99 {single.quantile(0.99) * 1000:.1f} ms"
    )
    print(
        f"ingest, batches of {BATCH}, {database}: {batched_per_second:,.0f} events/s, "
        f"p50 {batch.quantile(0.5) * 1000:.0f} ms, p99 {batch.quantile(0.99) * 1000:.0f} ms; "
        f"{batched_per_second / per_second:.1f} times single; {delivered:,} were delivered meanwhile"
    )
