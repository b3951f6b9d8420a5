"""The comparison of a sample of profiles with the ledger, and the repair of what differs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from portal import queue
from portal.db import db, transaction, utcnow
from portal.jobs import drift as job
from portal.models import Connection, DriftCheck, ProfileSweep
from portal.services import drift
from portal.services.profile_contract import PREFIX
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.portal.jobs.loyal import change_customer, customer_of, give_points, know_many, settle_down, syncs, turn

BALANCE = f"{PREFIX}balance"


@pytest.fixture
def shop(app: Flask, sandbox: Sandbox, connected: Shop) -> Shop:
    """Thirty customers whose profiles are in step."""
    sandbox.set(import_step_seconds=0)
    turn(app, connected)
    know_many(app, connected, 29)
    give_points(app, connected, 4, phone="+4530123456")
    settle_down(app, connected)
    return connected


def _check(app: Flask, shop: Shop) -> DriftCheck:
    with app.app_context():
        with transaction():
            drift.begin(shop.id, utcnow(), by_hand=True)
        with transaction():
            check_id = drift.take(utcnow())
        assert check_id is not None
        job.check(check_id)
        return drift.latest(shop.id)[0]


def _overwrite(sandbox: Sandbox, email: str, **properties: object) -> None:
    """As a mistaken import of the merchant's would."""
    attributes = {"email": email, "properties": properties}
    sandbox.ask("POST", "/api/profile-import", json={"data": {"type": "profile", "attributes": attributes}})


def test_profiles_that_are_as_the_ledger_says_are_in_step(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    check = _check(app, shop)
    assert (check.compared, check.in_step, check.differing, check.missing) == (30, 30, 0, 0)
    assert check.ended_at is not None
    assert {row.due_at for row in syncs(app, shop)} == {None}


def test_only_what_differs_is_repaired(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    _overwrite(sandbox, "c3@example.com", **{BALANCE: 999, "shoe_size": 39})
    _overwrite(sandbox, "c4@example.com", **{f"{PREFIX}next_reward": "Free tea"})
    check = _check(app, shop)
    assert (check.compared, check.in_step, check.differing, check.missing) == (30, 28, 2, 0)
    assert sum(row.due_at is not None for row in syncs(app, shop)) == 2
    settle_down(app, shop)
    assert sandbox.properties(email="c3@example.com")[BALANCE] == 0
    assert sandbox.properties(email="c3@example.com")["shoe_size"] == 39
    assert f"{PREFIX}next_reward" not in sandbox.properties(email="c4@example.com")
    assert _check(app, shop).in_step == 30


def test_whom_klaviyo_cannot_be_asked_about_is_not_compared(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    change_customer(app, shop, customer_of(app, shop, email="c3@example.com"), email=None, klaviyo_profile_id=None)
    settle_down(app, shop)
    assert (_check(app, shop).compared, _check(app, shop).missing) == (29, 0)


def test_what_klaviyo_cannot_tell_now_is_said(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    sandbox.order("status", "/api/profiles", method="GET", status=500)
    check = _check(app, shop)
    assert check.ended_at is not None
    assert check.problem == "Klaviyo did not answer. Nothing is lost; try again in a minute."


def test_a_check_that_is_under_way_is_enough(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    with app.app_context():
        for _ in range(2):
            with transaction():
                drift.begin(shop.id, utcnow(), by_hand=True)
        assert len(drift.latest(shop.id)) == 1
        with transaction():
            first = drift.take(utcnow())
        with transaction():
            assert drift.take(utcnow()) is None, "a worker has it"
            assert drift.take(utcnow() + drift.LEASE) == first, "its worker is gone"


def test_everybody_is_compared_once_a_day(
    app: Flask, sandbox: Sandbox, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        job.begin_daily()
        assert drift.latest(shop.id) == [], "not before a day has passed"
        with transaction():
            db.session.execute(update(ProfileSweep).values(ended_at=utcnow() - timedelta(days=2), total=30))
        monkeypatch.setattr(queue, "enqueue", lambda *_: False)
        for _ in range(2):
            job.begin_daily()
            job.ring_for_waiting()
        [check] = drift.latest(shop.id)
        assert (check.by_hand, check.in_step) == (False, 30)


def test_a_check_without_a_connection_says_so(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    with app.app_context(), transaction():
        db.session.execute(update(Connection).values(access_expires_at=utcnow() - timedelta(days=1)))
    sandbox.uninstall()
    assert "Reconnect" in str(_check(app, shop).problem) or "Connect" in str(_check(app, shop).problem)
    assert factories.connection_of(app, shop).broken_at is not None
