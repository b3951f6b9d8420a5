"""Which profile is whose: what is learnt from Klaviyo's answers, and what becomes a case for a person."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.db import db, transaction, utcnow
from portal.errors import InvalidError, NotFoundError
from portal.models import CaseKind
from portal.services import identity
from portal.services.profile_contract import PREFIX
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.portal.jobs.loyal import cases, change_customer, customer_of, give_points, settle_down, sync_of, turn

ADA, BO, PHONE = "ada@example.com", "bo@example.com", "+4530123456"
BALANCE = f"{PREFIX}balance"


@pytest.fixture
def shop(app: Flask, sandbox: Sandbox, connected: Shop) -> Shop:
    turn(app, connected)
    return connected


def _decide(app: Flask, shop: Shop, decision: str) -> None:
    [case] = [each for each in cases(app, shop) if each.decided_at is None]
    with app.app_context(), transaction():
        identity.decide(shop.id, case.id, decision, factories.ACTOR, utcnow())


def test_the_profiles_id_and_the_shops_own_are_learnt_and_ours_is_never_written(
    app: Flask, sandbox: Sandbox, shop: Shop
) -> None:
    [profile_id] = sandbox.plant_profiles({"email": ADA, "external_id": "shop-77"})
    give_points(app, shop, 4, email=ADA)
    give_points(app, shop, 4, email=BO, external_id="shop-78")
    settle_down(app, shop)
    ada = customer_of(app, shop, email=ADA)
    assert (ada.klaviyo_profile_id, ada.external_id) == (profile_id, "shop-77")
    assert sandbox.profiles(email=BO)[0]["attributes"]["external_id"] is None


def test_an_id_of_the_shops_that_is_another_customers_is_left_alone(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    sandbox.plant_profiles({"email": ADA, "external_id": "shop-77"})
    give_points(app, shop, 4, external_id="shop-77")
    give_points(app, shop, 4, email=ADA)
    settle_down(app, shop)
    assert customer_of(app, shop, email=ADA).external_id is None


def test_a_profile_that_is_gone_is_looked_up_by_email(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    give_points(app, shop, 4, email=ADA)
    change_customer(app, shop, customer_of(app, shop, email=ADA), klaviyo_profile_id="01GONE")
    settle_down(app, shop)
    assert sandbox.properties(email=ADA)[BALANCE] == 4
    assert customer_of(app, shop, email=ADA).klaviyo_profile_id == sandbox.profiles(email=ADA)[0]["id"]
    assert cases(app, shop) == []


def test_a_merge_into_a_profile_with_the_same_email_is_followed(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    give_points(app, shop, 4, email=ADA)
    settle_down(app, shop)
    old = customer_of(app, shop, email=ADA).klaviyo_profile_id
    [winner] = sandbox.plant_profiles({"phone_number": PHONE})
    sandbox.merge(str(old), winner)
    give_points(app, shop, 1, email=ADA)
    settle_down(app, shop)
    assert customer_of(app, shop, email=ADA).klaviyo_profile_id == winner
    assert sandbox.properties(id=winner)[BALANCE] == 5
    assert cases(app, shop) == []


def test_a_merge_into_somebody_elses_profile_is_a_case_and_never_done_by_itself(
    app: Flask, sandbox: Sandbox, shop: Shop
) -> None:
    give_points(app, shop, 4, email=ADA)
    settle_down(app, shop)
    old = customer_of(app, shop, email=ADA).klaviyo_profile_id
    [winner] = sandbox.plant_profiles({"email": "eva@example.com"})
    sandbox.merge(str(old), winner)
    for _ in range(2):
        give_points(app, shop, 1, email=ADA)
        settle_down(app, shop)
    [case] = cases(app, shop)
    assert (case.kind, case.klaviyo_profile_id, case.profile_label) == (CaseKind.MERGED, winner, "eva@example.com")
    assert customer_of(app, shop, email=ADA).klaviyo_profile_id == old
    _decide(app, shop, identity.LOOK_AGAIN)
    settle_down(app, shop)
    found = sandbox.profiles(email=ADA)[0]
    assert found["id"] not in (old, winner)
    assert customer_of(app, shop, email=ADA).klaviyo_profile_id == found["id"]


def test_a_profile_that_is_gone_and_cannot_be_looked_up_is_a_case(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    give_points(app, shop, 4, klaviyo_profile_id="01GONE")
    settle_down(app, shop)
    [case] = cases(app, shop)
    assert case.kind == CaseKind.GONE
    assert "no longer has this profile" in str(sync_of(app, shop, klaviyo_profile_id="01GONE").problem)
    _decide(app, shop, identity.KEEP)
    with app.app_context():
        assert [each.balance for each in identity.unreachable(shop.id, 10)] == [400]


def test_a_conflict_names_the_other_profile_and_a_person_chooses(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    [there] = sandbox.plant_profiles({"email": "ada@old.example.com"})
    sandbox.order("status", "/api/profile-import", status=409)
    give_points(app, shop, 4, email=ADA)
    settle_down(app, shop)
    [case] = cases(app, shop)
    assert case.kind == CaseKind.DUPLICATE
    assert "two profiles" in str(sync_of(app, shop, email=ADA).problem)
    with app.app_context(), transaction():
        db.session.merge(case).klaviyo_profile_id = there
    _decide(app, shop, identity.USE)
    settle_down(app, shop)
    assert sandbox.properties(id=there)[BALANCE] == 4
    assert customer_of(app, shop, email=ADA).klaviyo_profile_id == there


@pytest.fixture
def shared(app: Flask, sandbox: Sandbox, shop: Shop) -> str:
    """Klaviyo has one profile where we have two customers; its id."""
    [profile_id] = sandbox.plant_profiles({"email": ADA, "phone_number": PHONE})
    give_points(app, shop, 4, email=ADA)
    settle_down(app, shop)
    give_points(app, shop, 50, phone=PHONE)
    settle_down(app, shop)
    return profile_id


def test_two_customers_with_one_profile_are_a_case_and_the_first_one_stays(
    app: Flask, sandbox: Sandbox, shop: Shop, shared: str
) -> None:
    [case] = cases(app, shop)
    assert (case.kind, case.customer_id) == (CaseKind.SHARED, customer_of(app, shop, phone=PHONE).id)
    assert case.other_customer_id == customer_of(app, shop, email=ADA).id
    give_points(app, shop, 50, phone=PHONE)
    settle_down(app, shop)
    assert sandbox.properties(id=shared)[BALANCE] == 4
    _decide(app, shop, identity.KEEP)
    give_points(app, shop, 50, phone=PHONE)
    settle_down(app, shop)
    assert sandbox.properties(id=shared)[BALANCE] == 4
    assert len(cases(app, shop)) == 1


def test_a_person_may_give_the_profile_to_the_other_customer(
    app: Flask, sandbox: Sandbox, shop: Shop, shared: str
) -> None:
    _decide(app, shop, identity.USE)
    give_points(app, shop, 1, email=ADA)
    settle_down(app, shop)
    assert sandbox.properties(id=shared)[BALANCE] == 50
    assert customer_of(app, shop, phone=PHONE).klaviyo_profile_id == shared
    assert customer_of(app, shop, email=ADA).klaviyo_profile_id is None


def test_a_decision_is_taken_once_by_its_own_merchant_and_among_the_proposals(
    app: Flask, sandbox: Sandbox, shop: Shop, shared: str
) -> None:
    other = factories.make_shop(app, "Harbor Tea")
    [case] = cases(app, shop)
    with app.app_context():
        for merchant_id, decision, error in (
            (other.id, identity.KEEP, NotFoundError),
            (shop.id, "merge", InvalidError),
        ):
            with pytest.raises(error), transaction():
                identity.decide(merchant_id, case.id, decision, factories.ACTOR, utcnow())
    _decide(app, shop, identity.LOOK_AGAIN)
    with app.app_context(), pytest.raises(NotFoundError), transaction():
        identity.decide(shop.id, case.id, identity.KEEP, factories.ACTOR, utcnow())
