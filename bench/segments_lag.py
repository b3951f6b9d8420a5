"""How long it takes from a change at Klaviyo to a campaign that sees it, over fifty segments, with the portal's clocks as they are.

In each segment one customer joins, at moments spread over the ten minutes within which every segment is read once.
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime

from bench.lag import cut
from bench.segments import LATENCY_MS, make_customers, post, select
from bench.stack import ACCOUNT, Stack, running
from portal.services.segment_schedule import EVERY

SEGMENTS = 50
MEMBERS = 2_000
PROMISED_SECONDS = 15 * 60


def segments_lag(database: str) -> None:
    with running(database, limits=True) as stack:
        klaviyo_ids = _prepare(stack)
        lags = sorted(_lags(stack, klaviyo_ids))
    print(
        f"segments-lag, {database}: over {SEGMENTS} segments of {MEMBERS:,} members each, {LATENCY_MS} ms a page: "
        f"p50 {cut(lags, 50) / 60:.1f} min, p95 {cut(lags, 95) / 60:.1f} min, at most {lags[-1] / 60:.1f} min "
        f"of the {PROMISED_SECONDS // 60} promised, from joining at Klaviyo to being assigned to the campaign"
    )


def _prepare(stack: Stack) -> list[str]:
    """Every segment read once, and a campaign for whoever enters one of them."""
    stack.start_delivering()
    stack.order("POST", "profiles", account=ACCOUNT, count=MEMBERS, prefix="member")
    stack.order("POST", "profiles", account=ACCOUNT, count=SEGMENTS, prefix="joiner")
    wanted = {"account": ACCOUNT, "first": MEMBERS, "joined_over_seconds": 86_400}
    klaviyo_ids = [
        str(stack.order("POST", "segments", name=f"Segment {number}", **wanted)["id"]) for number in range(SEGMENTS)
    ]
    make_customers(stack, [f"joiner{number}@shop.example.com" for number in range(SEGMENTS)])
    stack.order("PUT", "settings", latency_ms={"/api/segments": LATENCY_MS})
    post(stack, "/modules/switches", module="segments", on="yes")
    select(stack, klaviyo_ids)
    stack.importing.start()
    begun = time.perf_counter()
    while stack.rows("SELECT 1 FROM segments WHERE selected_at IS NOT NULL AND generation = 0"):
        time.sleep(1)
    print(f"  all read once in {(time.perf_counter() - begun) / 60:.1f} min", flush=True)
    ids = [row.id for row in stack.rows("SELECT id FROM segments WHERE selected_at IS NOT NULL")]
    plan = {
        "name": "Welcome",
        "message": "Welcome.",
        "start": "on_entering",
        "guard": "50",
        "url": "",
        "tier": "",
        "card": "",
    }
    post(stack, "/campaigns/new", include=ids, **plan)
    post(stack, f"/campaigns/{stack.rows('SELECT id FROM campaigns')[0].id}/start")
    return klaviyo_ids


def _lags(stack: Stack, klaviyo_ids: list[str]) -> list[float]:
    """Seconds for each change."""
    order = random.sample(range(SEGMENTS), SEGMENTS)
    pause = EVERY.total_seconds() / SEGMENTS
    changed, due = {}, time.perf_counter()
    for number in order:
        email = f"joiner{number}@shop.example.com"
        changed[email] = time.time()
        stack.order("POST", f"segments/{klaviyo_ids[number]}/members", emails=[email])
        due += pause
        time.sleep(max(0.0, due - time.perf_counter()))
    while stack.rows("SELECT count(*) FROM assignments")[0][0] < SEGMENTS:
        time.sleep(2)
        if time.time() - max(changed.values()) > 2 * PROMISED_SECONDS:
            raise SystemExit("some changes were never seen")
    rows = stack.rows("SELECT c.email, a.assigned_at FROM assignments a JOIN customers c ON c.id = a.customer_id")
    return [_seconds(row.assigned_at) - changed[row.email] for row in rows]


def _seconds(moment: datetime | str) -> float:
    known = datetime.fromisoformat(moment).replace(tzinfo=UTC) if isinstance(moment, str) else moment
    return known.timestamp()
