"""The list of customers through the web: first and far pages, every kind of search, the filters, and one customer's page.

Aimed at is a p95 below 200 ms for each. `BENCH_CUSTOMERS` says how many customers there are; a million if left out.
"""

from __future__ import annotations

import os
import time

from sqlalchemy import create_engine, text

from bench.lag import cut
from bench.stack import Stack, running
from portal.models.card_number import card_number

CUSTOMERS = int(os.environ.get("BENCH_CUSTOMERS") or 1_000_000)
LOOKS = 20
AIM_MS = 200

# In either database's own words, as long known. Nobody who removed the card has the highest tier: a filter that matches nobody.
FILL = """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :customers)
    INSERT INTO customers (
        id, merchant_id, external_id, email, phone, klaviyo_profile_id, first_name, last_name,
        balance, tier_id, card_status, on_ios, created_at, link_token
    )
    SELECT n, :merchant_id, 'shop-' || n, 'c' || n || '@example.com', '+479' || (1000000 + n), '01BENCH' || n,
           'Kari' || (n % 20), 'Nordmann' || (n % 10000), (n % 1000) * 100,
           CASE WHEN n % 100 = 0 THEN :highest WHEN n % 4 = 0 THEN :lowest END,
           CASE WHEN n % 2 = 0 THEN 'installed' WHEN n % 3 = 0 THEN 'uninstalled' ELSE 'not_installed' END,
           n % 2 = 0, CURRENT_TIMESTAMP, 'bench-' || n
    FROM numbers
"""


def customers(database: str, number: int = CUSTOMERS) -> None:
    with running(database, limits=False) as stack:
        lowest, highest = _fill(stack, number)
        seconds = _look(stack, _paths(number, lowest, highest))
    for name, taken in seconds.items():
        p50, p95 = (cut(taken, percent) * 1000 for percent in (50, 95))
        over = "" if p95 < AIM_MS else f", above the {AIM_MS} ms that are aimed at"
        print(f"customers, {number:,}, {database}: {name}: p50 {p50:.0f} ms, p95 {p95:.0f} ms{over}", flush=True)


def _fill(stack: Stack, number: int) -> tuple[int, int]:
    """The ids of the lowest tier and of the highest."""
    tiers = [row.id for row in stack.rows("SELECT id FROM tiers ORDER BY threshold")]
    merchant_id = stack.rows("SELECT id FROM merchants")[0].id
    values = {"customers": number, "merchant_id": merchant_id, "lowest": tiers[0], "highest": tiers[-1]}
    engine = create_engine(stack.database_url)
    try:
        with engine.begin() as connection:
            connection.execute(text(FILL), values)
        with engine.begin() as connection:
            connection.execute(text("ANALYZE"))
    finally:
        engine.dispose()
    return tiers[0], tiers[-1]


def _paths(number: int, lowest: int, highest: int) -> dict[str, str]:
    middle = number // 2
    return {
        "first page": "/customers",
        "page in the middle": f"/customers?before={middle}",
        "last page": "/customers?before=50",
        "email as it begins": "/customers?q=c77",
        "one email": f"/customers?q=c{middle}@example.com",
        "phone as it begins": "/customers?q=%2B479123",
        "first name": "/customers?q=kari7",
        "first and last name": "/customers?q=kari7+nordmann777",
        "one letter": "/customers?q=k",
        "the shop's id": f"/customers?q=shop-{middle}",
        "our id": f"/customers?q=cus_{middle}",
        "card number": f"/customers?q={card_number(middle)}",
        "nobody": "/customers?q=zzz",
        "of a tier": f"/customers?tier={highest}",
        "of no tier, from the middle": f"/customers?tier=none&before={middle}",
        "with the card": "/customers?card=installed",
        "of a tier, with the card": f"/customers?tier={lowest}&card=installed",
        "of a tier, with the card removed (nobody)": f"/customers?tier={highest}&card=uninstalled",
        "first name, of a tier": f"/customers?q=kari0&tier={highest}",
        "one letter, of a tier, with the card removed (nobody)": f"/customers?q=k&tier={highest}&card=uninstalled",
        "one customer": f"/customers/{middle}",
        "one customer's points": f"/customers/{middle}/points",
    }


def _look(stack: Stack, paths: dict[str, str]) -> dict[str, list[float]]:
    """Seconds from each request to its whole answer; the first look at each warms it and does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in paths}
    with stack.browser() as (browser, _):
        for _ in range(LOOKS + 1):
            for name, path in paths.items():
                begun = time.perf_counter()
                browser.get(stack.plan.portal_url + path, timeout=60).raise_for_status()
                seconds[name].append(time.perf_counter() - begun)
    return {name: taken[1:] for name, taken in seconds.items()}
