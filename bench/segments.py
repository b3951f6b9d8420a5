"""Klaviyo's segments: a first import and a refresh against Klaviyo's limit and a plain serial walk, and the pages over what was imported.

The sandbox keeps its limits and takes 300 ms for each page. `BENCH_SEGMENT_MEMBERS` says how many members; a million if left out.
"""

from __future__ import annotations

import os
import secrets
import time
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import requests
from sqlalchemy import create_engine, insert

from bench.lag import cut
from bench.stack import ACCOUNT, Stack, running
from bench.watching import Watching
from launch.processes import stop
from portal.db import new_ids
from portal.models import CardStatus, Customer
from portal.services.segment_schedule import FRESH

MEMBERS = int(os.environ.get("BENCH_SEGMENT_MEMBERS") or 1_000_000)
CEILING = 75_000 / 60  # 750 pages a minute of 100 members, as Klaviyo documents
LATENCY_MS = 300
A_MONTH_SECONDS = 30 * 86_400
# Every fifth member is a customer; of those every second has the card on a phone.
CUSTOMER_EVERY = 5
AT_ONCE = 5_000
LOOKS = 40


def segments(database: str, members: int = MEMBERS, baseline_seconds: float = 61.0) -> None:
    with running(database, limits=True) as stack, Watching(stack) as watching:
        klaviyo_id = prepare(stack, members)
        baseline = _serial_walk(stack, klaviyo_id, baseline_seconds)
        watching.most()
        select(stack, [klaviyo_id])
        first = _completed(stack, time.time())
        changed = _change(stack, klaviyo_id, members)
        since = time.time()
        _tell(database, f"first import of {members:,} members", members, first, baseline)
        print(f"  at most: {watching.told()}", flush=True)
        time.sleep(FRESH.total_seconds() + 1)  # a large one has begun again by then
        post(stack, "/segments/sync")
        _look(stack, database, "during a refresh")
        refresh = _completed(stack, since)
        _tell(database, f"refresh with {2 * changed / members:.1%} changed", members, refresh, baseline)
        _check(stack, members, changed)
        print(f"  at most, with the pages: {watching.told()}", flush=True)
        stop([stack.importing], 10)
        _look(stack, database, "at rest")


def _tell(database: str, what: str, members: int, seconds: float, baseline: float) -> None:
    rate = members / seconds
    print(
        f"segments, {database}: {what} in {seconds:,.0f} s: {rate:,.0f} members/s = {rate / CEILING:.0%} of Klaviyo's "
        f"{CEILING:,.0f}; a serial walk: {baseline:,.0f}/s; ratio {rate / baseline:.1f}",
        flush=True,
    )


def prepare(stack: Stack, members: int) -> str:
    """One segment at Klaviyo with so many members, some of whom are customers, and Segments switched on; its id there."""
    stack.start_delivering()
    # What the connection itself brings about is over; customers who come into the database later are not told of.
    while not stack.rows("SELECT 1 FROM profile_sweeps WHERE ended_at IS NOT NULL"):
        time.sleep(0.5)
    stack.order("POST", "profiles", account=ACCOUNT, count=members, prefix="member")
    told = stack.order(
        "POST", "segments", account=ACCOUNT, name="Everybody", first=members, joined_over_seconds=A_MONTH_SECONDS
    )
    stack.order("POST", "profiles", account=ACCOUNT, count=_joiners(members), prefix="joiner")
    make_customers(stack, [f"member{number}@shop.example.com" for number in range(0, members, CUSTOMER_EVERY)])
    stack.order("PUT", "settings", latency_ms={"/api/segments": LATENCY_MS})
    post(stack, "/modules/switches", module="segments", on="yes")
    stack.importing.start()
    return str(told["id"])


def make_customers(stack: Stack, emails: list[str]) -> None:
    """Into the database, as long known. Every second one has the card on a phone."""
    merchant_id = stack.rows("SELECT id FROM merchants")[0][0]
    engine = create_engine(stack.database_url)
    try:
        for start in range(0, len(emails), AT_ONCE):
            batch = emails[start : start + AT_ONCE]
            rows = [
                {
                    "id": customer_id,
                    "merchant_id": merchant_id,
                    "email": email,
                    "created_at": datetime.now(UTC),
                    "link_token": secrets.token_urlsafe(16),
                    "card_status": CardStatus.INSTALLED if place % 2 else CardStatus.NOT_INSTALLED,
                    "on_ios": bool(place % 2),
                }
                for place, (customer_id, email) in enumerate(zip(new_ids(len(batch)), batch, strict=True))
            ]
            with engine.begin() as connection:
                connection.execute(insert(Customer), rows)
    finally:
        engine.dispose()


def _serial_walk(stack: Stack, klaviyo_id: str, seconds: float) -> float:
    """Members a second of one page after the other, over as many pages as come in that time."""
    headers = {"Authorization": f"Klaviyo-API-Key {stack.secrets.klaviyo_private_key}", "revision": "2026-07-15"}
    url = f"{stack.plan.sandbox_url}/api/segments/{klaviyo_id}/profiles"
    params = {"page[size]": "100", "fields[profile]": "email,phone_number,external_id,joined_group_at"}
    done, begun = 0, time.perf_counter()
    with requests.Session() as session:
        while time.perf_counter() - begun < seconds:
            while (answer := session.get(url, params=params, headers=headers)).status_code == 429:
                time.sleep(int(answer.headers["Retry-After"]))
            answer.raise_for_status()
            page = answer.json()
            done += len(page["data"])
            if not (following := page["links"]["next"]):
                break
            params["page[cursor]"] = parse_qs(urlsplit(following).query)["page[cursor]"][0]
    return done / (time.perf_counter() - begun)


# --- the portal --------------------------------------------------------------------------------------


def post(stack: Stack, path: str, **form: object) -> None:
    """A form of the portal's, sent by the owner."""
    with stack.browser() as (browser, token):
        answer = browser.post(stack.plan.portal_url + path, data={"csrf_token": token, **form})
        answer.raise_for_status()


def select(stack: Stack, klaviyo_ids: list[str]) -> None:
    ids = {row.klaviyo_segment_id: row.id for row in stack.rows("SELECT id, klaviyo_segment_id FROM segments")}
    with stack.browser() as (browser, token):
        for each in klaviyo_ids:
            form = {"csrf_token": token, "segment_id": ids[each], "selected": "yes"}
            browser.post(f"{stack.plan.portal_url}/segments/table", data=form).raise_for_status()


def _completed(stack: Stack, since: float) -> float:
    """Seconds that the first run took which began after that, once it is complete."""
    while True:
        runs = stack.rows("SELECT started_at, ended_at FROM segment_runs WHERE state = 'complete' ORDER BY id")
        if found := [run for run in runs if _seconds(run.started_at) > since - 1]:
            return _seconds(found[0].ended_at) - max(since, _seconds(found[0].started_at))
        time.sleep(1)


def _seconds(moment: datetime | str) -> float:
    known = datetime.fromisoformat(moment).replace(tzinfo=UTC) if isinstance(moment, str) else moment
    return known.timestamp()


def _joiners(members: int) -> int:
    return max(1, members // 200)


def _change(stack: Stack, klaviyo_id: str, members: int) -> int:
    """Half a percent leaves, and as many others join; how many each."""
    number = _joiners(members)
    leaving = [f"member{place * CUSTOMER_EVERY}@shop.example.com" for place in range(number)]
    stack.order("DELETE", f"segments/{klaviyo_id}/members", emails=leaving)
    joining = [f"joiner{place}@shop.example.com" for place in range(number)]
    stack.order("POST", f"segments/{klaviyo_id}/members", emails=joining)
    return number


def _check(stack: Stack, members: int, changed: int) -> None:
    """As many as Klaviyo has, and of those who changed each."""
    run = stack.rows('SELECT members, joined, "left" AS gone, requests, reason FROM segment_runs ORDER BY id DESC')[0]
    if (run.members, run.joined, run.gone) != (members, changed, changed):
        raise SystemExit(f"{members}, {changed} and {changed} expected: {run.members}, {run.joined}, {run.gone}")
    print(f"  {run.requests:,} requests" + (f"; {run.reason}" if run.reason else ""), flush=True)


def _look(stack: Stack, database: str, when: str) -> None:
    """The pages about a segment, each opened many times, in seconds from the request to the whole answer."""
    row = stack.rows("SELECT id FROM segments WHERE selected_at IS NOT NULL")[0]
    page = f"/segments/{row.id}"
    member = stack.rows(f"SELECT klaviyo_profile_id AS id FROM segment_members WHERE segment_id = {row.id} LIMIT 1")[0]
    paths = {
        "the list": "/segments",
        "members and reach": page,
        "far into the members": f"{page}?after={member.id[:-2]}",
        "customers among them": f"{page}?stage=matched",
        "not customers": f"{page}?stage=unmatched",
        "can be notified": f"{page}?stage=notifiable",
        "removed the card (nobody)": f"{page}?stage=removed",
        "searched": f"{page}?q=member77@shop.example.com",
        "the live panel": "/status/panel",
    }
    seconds: dict[str, list[float]] = {name: [] for name in paths}
    with stack.browser() as (browser, _):
        for _ in range(LOOKS):
            for name, path in paths.items():
                begun = time.perf_counter()
                browser.get(stack.plan.portal_url + path, timeout=60).raise_for_status()
                seconds[name].append(time.perf_counter() - begun)
    each = ", ".join(f"{name} {cut(taken, 95) * 1000:.0f}" for name, taken in seconds.items())
    everything = [one for taken in seconds.values() for one in taken]
    print(f"  pages {when}, {database}: p95 {cut(everything, 95) * 1000:.0f} ms; each: {each}", flush=True)
