"""What `flask doctor` says when parts are down: never two things that cannot both be true."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask

from launch import ports
from portal import doctor, queue
from portal.config import Settings
from portal.db import db, transaction, utcnow
from portal.models import Heartbeat

NOTHING_LOST = "Events are kept, and nothing is lost."


def _findings(app: Flask, settings: Settings, *, redis: bool, alive: tuple[str, ...]) -> dict[str, doctor.Finding]:
    with app.app_context():
        with transaction():
            for kind in alive:
                db.session.add(Heartbeat(name=kind, kind=kind, at=utcnow()))
        if not redis:
            queue.use_redis(f"redis://127.0.0.1:{ports.find_free()}/0")
        try:
            return {finding.subject: finding for finding in doctor.examine(replace(settings, workers=1))}
        finally:
            queue.use_redis(settings.redis_url)


@pytest.mark.parametrize(
    ("redis", "alive", "ok", "told"),
    [
        (True, ("worker", "ticker"), True, "works."),
        (True, ("worker",), False, "works for new events; what failed is not tried again without the ticker."),
        (False, ("worker", "ticker"), False, "works slowly: without Redis the ticker sends by itself."),
        (False, ("worker",), False, f"stands still: it needs the ticker or Redis with a worker. {NOTHING_LOST}"),
        (False, (), False, f"stands still: it needs the ticker or Redis with a worker. {NOTHING_LOST}"),
        (True, ("ticker",), False, f"stands still: it needs a worker. {NOTHING_LOST}"),
    ],
)
def test_what_is_left_of_redis_ticker_and_workers_decides_whether_anything_is_sent(
    app: Flask, settings: Settings, redis: bool, alive: tuple[str, ...], ok: bool, told: str
) -> None:
    found = _findings(app, settings, redis=redis, alive=alive)
    assert (found["Sending"].ok, found["Sending"].text) == (ok, told)
    assert (found["Redis"].ok, found["Ticker"].ok, found["Workers"].ok) == (redis, "ticker" in alive, "worker" in alive)
    others = [finding.text for subject, finding in found.items() if subject != "Sending"]
    assert not [text for text in others if "sent" in text or "go out" in text], "said once, of all three together"


@pytest.mark.parametrize("alive", [(), ("importer",)])
def test_an_importer_that_is_missing_is_told(app: Flask, settings: Settings, alive: tuple[str, ...]) -> None:
    found = _findings(app, settings, redis=True, alive=alive)["Importer"]
    assert found.ok is bool(alive)
    assert ("worker.py --importer" in found.text) is not found.ok
