"""Looking at everybody: at the first switch-on, after a change of the programme, and for another account of Klaviyo's."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import delete, update

from portal.db import db, transaction, utcnow
from portal.klaviyo import profiles as wire
from portal.models import Delivery, ProfileSweep, ProfileSync, Programme
from portal.services import example_events, profile_outbox, sweeps
from portal.services.profile_contract import NAMES, PREFIX
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import HARBOR, Sandbox
from tests.portal.jobs.loyal import customer_of, give_points, know_many, settle_down, sync_of, turn

ADA = "ada@example.com"


@pytest.fixture
def shop(app: Flask, sandbox: Sandbox, connected: Shop) -> Shop:
    """Connected, with the first look at everybody behind it, and a Klaviyo that imports at once."""
    sandbox.set(import_step_seconds=0)
    turn(app, connected)
    return connected


def test_the_first_switch_on_looks_at_everybody_and_says_how_far_it_is(
    app: Flask, sandbox: Sandbox, merchant: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps, "AT_ONCE", 50)
    know_many(app, merchant, 120)
    with app.app_context(), transaction():
        db.session.execute(delete(ProfileSync))
    sandbox.plant_profiles(
        {"email": "old@example.com", "properties": {f"{PREFIX}tier": "Blue"}},
        {"email": example_events.EMAIL, "properties": example_events.PROPERTIES},
    )
    sandbox.set(import_step_seconds=3600)
    factories.connect(app, sandbox, merchant)
    factories.switch(app, merchant)
    with app.app_context():
        assert sweeps.merchants_due(utcnow()) == [merchant.id]
    turn(app, merchant)
    with app.app_context():
        progress = sweeps.progress(merchant.id, utcnow())
        assert progress is not None
        assert progress.total == 120
    sandbox.set(import_step_seconds=0)
    settle_down(app, merchant)
    with app.app_context():
        assert sweeps.progress(merchant.id, utcnow()) is None
        assert sweeps.merchants_due(utcnow()) == [], "afterwards it is quiet"
        sweep = sweeps.of(merchant.id)
        assert sweep is not None
        assert (sweep.done, sweep.found_before) == (120, f'["{PREFIX}tier"]')
    assert sandbox.properties(email="c119@example.com")[f"{PREFIX}balance"] == 0


def test_a_change_of_the_programme_looks_at_everybody_and_sends_what_differs(
    app: Flask, sandbox: Sandbox, shop: Shop
) -> None:
    give_points(app, shop, 4, email=ADA)
    settle_down(app, shop)
    before = sandbox.requests(wire.PATH)
    with app.app_context(), transaction():
        db.session.execute(
            update(Programme).where(Programme.merchant_id == shop.id).values(version=Programme.version + 1)
        )
    settle_down(app, shop)
    assert sandbox.requests(wire.PATH) == before, "nothing differs"
    with app.app_context():
        assert sweeps.merchants_due(utcnow()) == []


def test_another_account_is_told_everything_anew(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    give_points(app, shop, 4, email=ADA)
    settle_down(app, shop)
    assert customer_of(app, shop, email=ADA).klaviyo_profile_id is not None
    with app.app_context(), transaction():
        db.session.execute(delete(Delivery))
    factories.connect(app, sandbox, shop, HARBOR)
    settle_down(app, shop)
    assert sandbox.properties(HARBOR, email=ADA)[f"{PREFIX}balance"] == 4
    there = sandbox.profiles(HARBOR, email=ADA)[0]["id"]
    assert customer_of(app, shop, email=ADA).klaviyo_profile_id == there


def test_every_property_has_a_place_in_the_contract(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    give_points(app, shop, 4, email=ADA)
    ada = customer_of(app, shop, email=ADA)
    with app.app_context():
        [(_, properties)] = profile_outbox.properties_now(shop.id, [ada.id], utcnow())
    assert tuple(properties) == NAMES


def test_a_sweep_that_was_interrupted_goes_on_where_it_was(
    app: Flask, sandbox: Sandbox, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps, "AT_ONCE", 10)
    know_many(app, shop, 25)
    settle_down(app, shop)
    with app.app_context():
        with transaction():
            db.session.execute(update(ProfileSweep).values(ended_at=None, marked_at=None, reached=0, done=0))
        marked = []
        for _ in range(4):
            with transaction():
                marked.append(sweeps.mark_more(shop.id, utcnow()))
    assert marked == [10, 10, 5, 0]
    settle_down(app, shop)
    assert sync_of(app, shop, email="c24@example.com").due_at is None
