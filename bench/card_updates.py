"""A change that reaches many installed cards: new versions, then every phone is woken, by the job that workers run, with its database.

Against the same phones woken one after another, in the same run. BENCH_CARDS says how many there are.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flask_migrate
import psutil
from flask import Flask
from sqlalchemy import func, insert, select

from bench.pushes import FAR_MS, Far, far_service
from bench.stack import ground
from launch.commands import ROOT
from portal import cli, create_app
from portal.config import Settings
from portal.db import Model, db, new_ids, transaction, utcnow
from portal.jobs import cards as job
from portal.models import Card, Customer, Device, Registration
from portal.models.card import new_serial
from portal.models.customer import new_link_token
from portal.services import accounts, cards, waking, wallet_accounts
from portal.services.card_versions import take_versions
from sandbox.apple.authority import PASS_TYPE

CARDS, FEW = int(os.environ.get("BENCH_CARDS", "100000")), 200
AT_ONCE = 5_000


def card_updates(database: str) -> None:
    with ground(database) as (folder, url), far_service() as far, _portal(folder, url, far):
        merchant_id = _make_cards(CARDS)
        with transaction():
            cards.touch_all(merchant_id)
        before = _memory()
        versions = CARDS / _seconds_of(lambda: job._make_versions(merchant_id, time.monotonic() + 3_600))
        one_by_one = _one_by_one(merchant_id, far)
        left = CARDS - FEW
        at_once = left / _seconds_of(lambda: _wake_all(merchant_id))
        grown = _memory() - before
    print(
        f"card updates, {CARDS:,} installed cards, {database}, {FAR_MS:.0f} ms away: {versions:,.0f} versions/s; "
        f"{at_once:,.0f} phones/s with many streams of one connection, {one_by_one:,.0f}/s one after another, "
        f"{at_once / one_by_one:.0f} times; all in {CARDS / versions / 60 + CARDS / at_once / 60:.1f} min; "
        f"{before:.0f} MB before, {grown:.0f} MB more after it"
    )


@contextmanager
def _portal(folder: Path, url: str, far: Far) -> Iterator[Flask]:
    """As a worker has it; the pace is left out, for there are no phones that come back."""
    settings = Settings(
        data_dir=folder,
        database_url=url,
        apple_pass_certificate=far.issued.pass_file.read_text(),
        apple_intermediate=far.issued.intermediate_file.read_text(),
        apple_push_url=far.url,
        apple_push_ca=far.issued.root_file.read_text(),
        pushes_per_second=1_000_000,
        log_level="WARNING",
    )
    app = create_app(settings)
    cli.allow_migrations(app)
    with app.app_context():
        flask_migrate.upgrade(str(ROOT / "migrations"))
        yield app
        db.session.remove()
        db.engine.dispose()


def _make_cards(number: int) -> int:
    """Each on a phone of its own that has fetched it, and its customer has other points by now."""
    with transaction():
        merchant_id = accounts.create_merchant("Nordic Coffee").id
    for start in range(0, number, AT_ONCE):
        with transaction():
            _make_some(merchant_id, min(AT_ONCE, number - start))
    return merchant_id


def _make_some(merchant_id: int, count: int) -> None:
    now, version = utcnow().replace(microsecond=0), take_versions(1)
    rows: dict[type[Model], list[dict[str, Any]]] = {Customer: [], Card: [], Device: [], Registration: []}
    for each in new_ids(count):
        ours = {"id": each, "merchant_id": merchant_id}
        rows[Customer].append(ours | {"created_at": now, "link_token": new_link_token(), "balance": 100 + each % 1_000})
        rows[Card].append(
            ours
            | {"customer_id": each, "serial": new_serial(), "token_sealed": "", "face": {"balance": 0}, "installs": 1}
            | {"version": version, "issued_version": version, "modified_at": now}
        )
        rows[Device].append(
            ours | {"library_id": f"phone-{each}", "pass_type_id": PASS_TYPE, "push_token": f"{each:064x}"}
        )
        rows[Registration].append(
            {"device_id": each, "card_id": each, "merchant_id": merchant_id, "fetched_version": version}
        )
    for model, made in rows.items():
        db.session.execute(insert(model), made)


def _wake_all(merchant_id: int) -> None:
    """Also those whose push has to be tried again."""
    while db.session.scalar(select(func.count()).where(Device.outcome.is_(None) | (Device.outcome != "accepted"))):
        db.session.rollback()
        job._wake(merchant_id, time.monotonic() + 3_600)
        time.sleep(0.1)


def _one_by_one(merchant_id: int, far: Far) -> float:
    """The baseline: a push waits for the answer to the last one. Claimed and settled as the job does."""
    certificate = wallet_accounts.apple_certificate(merchant_id)
    assert certificate is not None

    def wake() -> None:
        with transaction():
            wakes = waking.claim(merchant_id, certificate.pass_type_id, utcnow(), FEW)
        with far.pusher(streams=1) as pusher:
            pushed = pusher.push_many([wake.push_token for wake in wakes], seconds=600)
        with transaction():
            waking.settle(merchant_id, wakes, pushed, utcnow())

    return FEW / _seconds_of(wake)


def _seconds_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _memory() -> float:
    return float(psutil.Process().memory_info().rss / 1e6)
