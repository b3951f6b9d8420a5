"""Who the members of a segment are: matched to customers by whatever they have in common with them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select

from portal.config import Settings
from portal.db import db
from portal.models import Customer, SegmentMember
from portal.services.customers import Identifiers
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.portal.jobs.segment_stage import SegmentStage


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """Klaviyo counts the members of a segment every four seconds at most; here nobody waits for that."""
    return replace(settings, klaviyo_pacing=False)


@pytest.fixture
def stage(app: Flask, sandbox: Sandbox, connected: Shop) -> SegmentStage:
    sandbox.set(limits=False)
    return SegmentStage(app, sandbox, connected)


def test_members_are_matched_by_every_identifier_and_customers_learn_their_profile(
    app: Flask, stage: SegmentStage
) -> None:
    people = stage.sandbox.plant(
        [
            {"email": "Ada@Example.com"},
            {"phone_number": "+4520123456"},
            {"external_id": "shop-7", "email": "other@example.com"},
            {"email": "nobody@example.com"},
        ]
    )
    with app.app_context():
        factories.know(
            stage.shop.id,
            [
                Identifiers(email="ada@example.com"),
                Identifiers(phone="+4520123456"),
                Identifiers(external_id="shop-7"),
            ],
        )
    segment_id = stage.select("VIP Gold", profile_ids=people)
    stage.import_now(segment_id)
    with app.app_context():
        matched = dict(db.session.execute(select(SegmentMember.klaviyo_profile_id, SegmentMember.customer_id)).all())  # type: ignore[arg-type]
        learnt = {row.klaviyo_profile_id for row in db.session.scalars(select(Customer))}
    assert [matched[each] is not None for each in people] == [True, True, True, False]
    assert learnt == set(people[:3])


def test_a_profile_that_took_anothers_place_is_followed(app: Flask, stage: SegmentStage) -> None:
    (new,) = stage.sandbox.plant([{"email": "ada@example.com"}])
    with app.app_context():
        factories.know(stage.shop.id, [Identifiers(email="ada@example.com", klaviyo_profile_id="OLDONE")])
    segment_id = stage.select("VIP Gold", profile_ids=[new])
    stage.import_now(segment_id)
    with app.app_context():
        assert db.session.scalars(select(Customer.klaviyo_profile_id)).all() == [new]


def test_somebody_who_becomes_a_customer_is_matched_at_the_next_run(app: Flask, stage: SegmentStage) -> None:
    segment_id = stage.select("VIP Gold", profile_ids=stage.people(2))
    stage.import_now(segment_id)
    with app.app_context():
        factories.know(stage.shop.id, [Identifiers(email="m0@example.com")])
    stage.import_now(segment_id)
    with app.app_context():
        assert len(db.session.scalars(select(SegmentMember).where(SegmentMember.customer_id.is_not(None))).all()) == 1
