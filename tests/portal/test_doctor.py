"""What `flask doctor` says when parts are down: never two things that cannot both be true."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask

from launch import ports
from portal import create_app, doctor, queue
from portal.config import Settings
from portal.db import db, transaction, utcnow
from portal.models import Heartbeat
from sandbox.apple.authority import Authority

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


def _without_its_key(authority: Authority) -> dict[str, str]:
    mine, other = (authority.issue_pass_certificate().decode().partition("-----BEGIN PRIVATE") for _ in range(2))
    return {"apple_pass_certificate": mine[0] + other[1] + other[2]}


def _ended(authority: Authority) -> dict[str, str]:
    return {"apple_pass_certificate": authority.issue_pass_certificate(days=-1).decode()}


def _ends_soon(authority: Authority) -> dict[str, str]:
    return {"apple_pass_certificate": authority.issue_pass_certificate(days=20).decode()}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("subject", "broken", "words"),
    [
        ("Apple Wallet", _without_its_key, "does not belong to this certificate"),
        ("Apple Wallet", _ended, "PORTAL_APPLE_PASS_CERTIFICATE: The certificate ended on"),
        ("Apple Wallet", _ends_soon, "ends in 19 days"),
        ("Google Wallet", lambda _: {"google_service_account": "{"}, "PORTAL_GOOGLE_SERVICE_ACCOUNT: "),
        ("Google Wallet", lambda _: {"google_issuer_id": ""}, "PORTAL_GOOGLE_ISSUER_ID is not"),
    ],
)
def test_an_account_at_apple_or_google_that_cannot_work_is_named_with_the_remedy(
    settings: Settings,
    apple_authority: Authority,
    subject: str,
    broken: Callable[[Authority], dict[str, str]],
    words: str,
) -> None:
    spoiled = replace(settings, **broken(apple_authority))  # type: ignore[arg-type]
    with create_app(spoiled).app_context():
        (found,) = (each for each in doctor.examine(spoiled) if each.subject == subject)
        db.session.remove()
        db.engine.dispose()
    assert not found.ok
    assert words in found.text
