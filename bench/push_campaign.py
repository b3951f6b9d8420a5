"""A campaign to a whole segment, from its start until Apple was told of every phone, against one push after another in the same run.

`BENCH_PUSHES` says to how many. Apple is as far away as it is for most, and phones are woken as fast as it takes them.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import requests

from bench import card_holders
from bench.pushes import FAR_MS
from bench.stack import Stack, running
from portal import config
from portal.bulk import insert_rows
from portal.db import db, transaction, utcnow
from portal.models import CampaignStart, Module, Segment, SegmentMember
from portal.services import campaigns, modules
from portal.services.campaigns import CampaignPlan
from portal.services.wallet_accounts import apple_certificate
from portal.wallet import PassCertificate, Pusher

PUSHES = int(os.environ.get("BENCH_PUSHES", "100000"))
ALONE = 200
ACTOR = "bench"


def push_campaign(database: str, number: int = PUSHES) -> None:
    with running(database, limits=True, PORTAL_PUSHES_PER_SECOND="2000") as stack:
        with card_holders.portal_of(stack) as merchant_id:
            segment_id = _segment(merchant_id, card_holders.make(merchant_id, number))
            certificate = apple_certificate(merchant_id)
        assert certificate is not None
        far = {"latency_ms": {"/3/device/": FAR_MS}}
        requests.put(f"{stack.plan.sandbox_url}/_sandbox/settings", json=far, timeout=30).raise_for_status()
        alone = _one_after_another(stack, certificate)
        stack.start_delivering()
        with _watched(stack) as samples:
            begun = time.perf_counter()
            _start(stack, segment_id)
            _until_all_are_woken(stack, number)
            rate = number / (time.perf_counter() - begun)
        taken = stack.rows("SELECT count(*), count(DISTINCT customer_id) FROM pushes WHERE state = 'sent'")[0]
    if tuple(taken) != (number, number):
        raise SystemExit(f"{number} customers, {taken[0]} pushes to {taken[1]} of them")
    print(
        f"push-campaign, {number:,} phones {FAR_MS:.0f} ms away, {database}: {rate:,.0f}/s from its start to Apple's last answer, "
        f"{number / rate / 60:.1f} min; one after another: {alone:,.1f}/s; ratio {rate / alone:.0f}"
    )
    print(f"push-campaign, memory, {database}: {_growth(samples)}")


def _segment(merchant_id: int, customer_ids: Sequence[int]) -> int:
    """As a complete import leaves it."""
    with transaction():
        modules.switch(merchant_id, Module.SEGMENTS, True, ACTOR)
        now = utcnow()
        known = {"klaviyo_segment_id": "bench", "name": "Everybody", "listed_at": now, "selected_at": now}
        segment = Segment(merchant_id=merchant_id, **known, generation=1, members=len(customer_ids))
        segment.complete_from = segment.complete_at = now
        db.session.add(segment)
        db.session.flush()
        seen = {"segment_id": segment.id, "joined_generation": 1, "seen_generation": 1}
        rows = [{**seen, "klaviyo_profile_id": f"P{each}", "customer_id": each} for each in customer_ids]
        insert_rows(SegmentMember, rows)
        return segment.id


def _start(stack: Stack, segment_id: int) -> None:
    with card_holders.portal_of(stack) as merchant_id, transaction():
        plan = CampaignPlan(
            name="Autumn roast",
            include=[segment_id],
            exclude=(),
            tier_id=None,
            card_status=None,
            message="Your reward is ready!",
            url="https://yourstore.com/rewards",
            start=CampaignStart.NOW,
            start_at=None,
            guard_percent=campaigns.GUARD_PERCENT,
        )
        campaigns.start(merchant_id, campaigns.save(merchant_id, None, plan, ACTOR).id, ACTOR)


def _until_all_are_woken(stack: Stack, number: int) -> None:
    while stack.rows("SELECT count(*) FROM devices WHERE outcome = 'accepted'")[0][0] < number:
        time.sleep(1)


def _one_after_another(stack: Stack, certificate: PassCertificate) -> float:
    """The baseline: each push is sent when the one before was answered, over one connection that is kept."""
    settings = config.load(stack.env)
    authorities = Path(stack.env["PORTAL_APPLE_PUSH_CA_FILE"])
    with Pusher(certificate, url=settings.apple_push_url, ca_file=authorities, streams=1) as pusher:
        pusher.push_many([card_holders.token(0)])
        begun = time.perf_counter()
        for number in range(ALONE):
            pusher.push_many([card_holders.token(number)])
        return ALONE / (time.perf_counter() - begun)


@contextmanager
def _watched(stack: Stack) -> Iterator[list[dict[str, float]]]:
    """Resident MB of each process, once a second."""
    samples: list[dict[str, float]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(1.0):
            samples.append(stack.memory())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield samples
    finally:
        done.set()
        watching.join()


def _growth(samples: Sequence[dict[str, float]]) -> str:
    """The most that each process had in the second quarter of the time, when it is warm, and in the last one."""
    quarter = max(1, len(samples) // 4)
    warm, last = samples[quarter : 2 * quarter] or samples, samples[-quarter:]
    told = []
    for name in samples[-1]:
        if name.startswith(("worker", "ticker", "web")):
            before, after = (max(each.get(name, 0.0) for each in part) for part in (warm, last))
            told.append(f"{name} {before:.0f} MB, at the end {after:.0f}")
    return "; ".join(told)
