"""What events do: balances and the ledger behind them, derived events in order, and refusals that change nothing."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from portal.db import db, new_id, transaction, utcnow
from portal.errors import PortalError
from portal.models import Channel, Customer, Event, PointsChange, ProfileSync, Programme, Reward, Tier, TierBasis
from portal.services import events
from portal.services import programme as programme_rules
from portal.services.customers import Identifiers
from tests.portal.services import stage
from tests.portal.services.stage import told

ADA = "ada@example.com"


@pytest.fixture
def programme(shop: int) -> int:
    with transaction():
        for name, threshold in (("Bronze", 0), ("Silver", 250_00), ("Gold", 1_000_00)):
            db.session.add(Tier(merchant_id=shop, name=name, threshold=threshold))
        db.session.add(Reward(merchant_id=shop, code="coffee", name="Free coffee", cost=100_00, most_per_customer=2))
        db.session.add(
            Reward(merchant_id=shop, code="mug", name="Mug", cost=50_00, channel=Channel.IN_STORE, most_in_all=1)
        )
        _change_programme(shop)
    return shop


def _change_programme(merchant_id: int, **values: Any) -> None:
    db.session.execute(update(Programme).where(Programme.merchant_id == merchant_id).values(version=new_id(), **values))


def _customer(merchant_id: int, email: str = ADA) -> Customer:
    query = select(Customer).where(Customer.merchant_id == merchant_id, Customer.email == email)
    return db.session.scalars(query.execution_options(populate_existing=True)).one()


def _ledger(merchant_id: int) -> list[tuple[int, int]]:
    query = select(PointsChange.change, PointsChange.balance).where(PointsChange.merchant_id == merchant_id)
    return [(row[0], row[1]) for row in db.session.execute(query.order_by(PointsChange.id))]


def _told_to_klaviyo(merchant_id: int) -> list[tuple[str, dict[str, Any]]]:
    payloads = [json.loads(row.payload) for row in stage.deliveries(merchant_id)]
    return [(each["metric"]["data"]["attributes"]["name"], each["properties"]) for each in payloads]


def _points(merchant_id: int, event_id: str, **properties: Any) -> list[object]:
    return list(stage.record(merchant_id, told(event_id, properties=properties)))


def _error(outcomes: list[object]) -> tuple[str, str | None]:
    [error] = outcomes
    assert isinstance(error, PortalError), outcomes
    return error.code, error.field


def test_points_move_the_balance_and_the_tier_that_follows_is_told_after_them(programme: int) -> None:
    _points(programme, "a", change=300, reason="Purchase 1042")
    customer = _customer(programme)
    assert (customer.balance, customer.earned, _ledger(programme)) == (300_00, 300_00, [(300_00, 300_00)])
    [(_, changed), (name, upgraded)] = _told_to_klaviyo(programme)
    common = {
        "source": "api",
        "balance": 300,
        "tier": "Silver",
        "next_tier": "Gold",
        "points_to_next_tier": 700,
        "rewards_available": 2,
        "wallet_pass_status": "not_installed",
    }
    own = {"direction": "increase", "change": 300, "previous_balance": 0, "reason": "Purchase 1042"}
    assert changed == {**common, **own}
    assert (name, upgraded) == (
        "Tier upgraded",
        {**common, "previous_tier": "Bronze"} if "previous_tier" in upgraded else common,
    )


def test_a_new_customer_is_told_of_once_and_before_what_they_did(programme: int) -> None:
    with transaction():
        events.record(programme, [told("a", "new@example.com"), told("b", "new@example.com")])
    assert [name for name, _ in _told_to_klaviyo(programme)] == [
        "Customer created",
        "Balance changed",
        "Balance changed",
    ]
    assert _customer(programme, "new@example.com").tier_id is not None, "whoever joins is in the first tier"


def test_history_welcomes_nobody_and_sets_off_no_flow(programme: int) -> None:
    past = datetime(1997, 1, 1, tzinfo=UTC)
    with transaction():
        events.record(programme, [told("a", "old@example.com", occurred_at=past)], history=True)
    [row] = stage.deliveries(programme)
    assert json.loads(row.payload)["backfill"] is True
    assert _customer(programme, "old@example.com").member_since == past


def test_a_welcome_gift_is_in_the_balance(programme: int) -> None:
    with transaction():
        _change_programme(programme, welcome_points=25_00)
    with transaction():
        events.record(programme, [told("a", "new@example.com", type="card_opened", properties={})])
    assert [name for name, _ in _told_to_klaviyo(programme)] == [
        "Customer created",
        "Balance changed",
        "Loyalty card opened",
    ]
    assert _ledger(programme) == [(25_00, 25_00)]


def test_a_balance_that_a_program_states_is_taken_over_and_the_ledger_still_adds_up(shop: int) -> None:
    _points(shop, "a", direction="increase", change=25, balance=145)
    assert _ledger(shop) == [(120_00, 120_00), (25_00, 145_00)]
    _points(shop, "b", direction="decrease", change=45, balance=100, previous_balance=145)
    assert _ledger(shop)[2:] == [(-45_00, 100_00)]
    _points(shop, "c", balance=130)
    assert _ledger(shop)[3:] == [(30_00, 130_00)]


@pytest.mark.parametrize(
    ("properties", "field"),
    [
        ({}, "properties.change"),
        ({"reason": "why"}, "properties.change"),
        ({"change": 1.005}, "properties.change"),
        ({"change": 10**13}, "properties.change"),
        ({"change": -5, "direction": "increase"}, "properties.change"),
        ({"change": 5, "balance": 0.001}, "properties.balance"),
    ],
)
def test_points_that_make_no_sense_name_their_property_and_change_nothing(
    shop: int, properties: dict[str, Any], field: str
) -> None:
    assert _error(_points(shop, "a", **properties)) == ("invalid", field)
    assert (_ledger(shop), stage.deliveries(shop)) == ([], [])


def test_a_redeemed_reward_costs_its_points_and_says_what_is_left(programme: int) -> None:
    _points(programme, "points", change=240)
    stage.record(programme, told("r", type="reward_redeemed_online", properties={"reward_id": "coffee", "code": "X1"}))
    names = [name for name, _ in _told_to_klaviyo(programme)]
    assert names[-2:] == ["Reward redeemed (online)", "Balance changed"]
    redeemed = _told_to_klaviyo(programme)[-2][1]
    assert (redeemed["reward_name"], redeemed["cost"], redeemed["balance"]) == ("Free coffee", 100, 140)
    assert _ledger(programme)[-1] == (-100_00, 140_00)
    assert _customer(programme).earned == 240_00, "what is spent has been earned all the same"


def test_more_than_the_balance_is_refused_and_nothing_is_taken(programme: int) -> None:
    _points(programme, "points", change=99.99)
    refused = stage.record(programme, told("r", type="reward_redeemed_online", properties={"reward_id": "coffee"}))
    assert _error(list(refused)) == ("not_enough_points", "properties.cost")
    assert _customer(programme).balance == 99_99
    assert db.session.scalar(select(Reward.redeemed).where(Reward.code == "coffee")) == 0


def test_a_reward_that_there_is_not_is_named_unless_its_cost_is_told(programme: int) -> None:
    _points(programme, "points", change=100)
    unknown = {"type": "reward_redeemed_online", "properties": {"reward_id": "cofee"}}
    refused = stage.record(programme, told("r", **unknown))
    assert _error(list(refused)) == ("invalid", "properties.reward_id")
    assert '"cofee"' in str(refused[0])
    unknown["properties"]["cost"] = 40
    assert stage.record(programme, told("s", **unknown)) == ["accepted"]


def test_a_refused_event_makes_no_customer(programme: int) -> None:
    with transaction():
        events.record(programme, [told("r", "new@example.com", type="reward_redeemed_online", properties={"cost": 5})])
    assert db.session.scalar(select(func.count()).select_from(Customer)) == 0
    assert db.session.scalar(select(func.count()).select_from(Event)) == 0


def test_limits_of_a_reward_hold_within_one_list_too(programme: int) -> None:
    _points(programme, "points", change=1_000)
    redeem = {"type": "reward_redeemed_online", "properties": {"reward_id": "coffee"}}
    outcomes = stage.record(programme, *(told(f"r{n}", **redeem) for n in range(3)))
    assert [str(getattr(outcome, "code", outcome)) for outcome in outcomes] == [
        "accepted",
        "accepted",
        "reward_used_up",
    ]
    again = stage.record(programme, told("later", **redeem))
    assert _error(list(again)) == ("reward_used_up", "properties.reward_id")


def test_the_last_of_a_reward_is_given_once_and_only_where_it_may_be(programme: int) -> None:
    for who in (ADA, "bo@example.com"):
        stage.record(programme, told(f"points of {who}", who, properties={"change": 500}))
    wrong = stage.record(programme, told("w", type="reward_redeemed_online", properties={"reward_id": "mug"}))
    assert _error(list(wrong)) == ("wrong_channel", "properties.reward_id")
    redeem = {"type": "reward_redeemed_in_store", "properties": {"reward_id": "mug"}}
    outcomes = stage.record(programme, told("1", **redeem), told("2", "bo@example.com", **redeem))
    assert [str(getattr(outcome, "code", outcome)) for outcome in outcomes] == ["accepted", "reward_used_up"]


def test_a_withdrawn_reward_is_refused_by_its_name_but_for_what_happened_before(programme: int) -> None:
    _points(programme, "points", change=500)
    with transaction():
        programme_rules.offer_reward(
            programme, db.session.scalars(select(Reward.id).where(Reward.code == "coffee")).one(), False
        )
    for number, cost in enumerate(({}, {"cost": 10})):
        redeem = {"type": "reward_redeemed_online", "properties": {"reward_id": "coffee", **cost}}
        refused = stage.record(programme, told(f"now-{number}", occurred_at=utcnow(), **redeem))
        assert _error(list(refused)) == ("reward_withdrawn", "properties.reward_id")
    before = utcnow() - timedelta(hours=1)
    redeem = {"type": "reward_redeemed_online", "properties": {"reward_id": "coffee"}}
    assert stage.record(programme, told("late", occurred_at=before, **redeem)) == ["accepted"]
    assert _customer(programme).balance == 400_00


def test_a_referral_brings_its_points(shop: int) -> None:
    stage.record(shop, told("a", type="referral_completed", properties={"points_awarded": 50}))
    assert [name for name, _ in _told_to_klaviyo(shop)] == ["Referral completed", "Balance changed"]
    assert _customer(shop).balance == 50_00


def test_the_card_is_installed_while_it_is_on_any_phone(shop: int) -> None:
    def status(event_id: str, event_type: str, **properties: str) -> tuple[str, bool, bool]:
        stage.record(shop, told(event_id, type=event_type, properties=properties))
        customer = _customer(shop)
        return str(customer.card_status), customer.on_ios, customer.on_android

    assert status("1", "card_installed", platform="ios") == ("installed", True, False)
    assert status("2", "card_installed", platform="android") == ("installed", True, True)
    assert status("3", "card_uninstalled", platform="ios") == ("installed", False, True)
    assert status("4", "card_uninstalled", platform="android") == ("uninstalled", False, False)


def test_a_scan_is_counted_and_the_latest_one_is_kept(shop: int) -> None:
    late = datetime(2026, 11, 24, tzinfo=UTC)
    for event_id, moment in (("1", late), ("2", late - timedelta(days=1))):
        stage.record(shop, told(event_id, type="pos_scanned", properties={}, occurred_at=moment))
    customer = _customer(shop)
    assert (customer.pos_scans, customer.last_pos_scan_at) == (2, late)


def test_what_changes_nothing_leaves_the_profile_alone(shop: int) -> None:
    stage.record(shop, told("a", type="card_opened", properties={}))
    assert db.session.scalar(select(func.count()).select_from(ProfileSync)) == 0
    _points(shop, "b", change=5)
    assert db.session.scalars(select(ProfileSync.due_at)).one() is not None


def test_a_tier_change_is_told_once_however_often_its_cause_is_repeated(programme: int) -> None:
    for _ in range(3):
        _points(programme, "a", change=300)
    assert [name for name, _ in _told_to_klaviyo(programme)].count("Tier upgraded") == 1


def test_an_identifier_that_is_learnt_makes_the_profile_due(shop: int) -> None:
    stage.record(shop, told("a", Identifiers(external_id="42"), type="card_opened", properties={}))
    with transaction():
        events.record(shop, [told("b", Identifiers(external_id="42", email=ADA), type="card_opened", properties={})])
    assert db.session.scalar(select(func.count()).select_from(ProfileSync)) == 1


_CHANGES = st.lists(st.tuples(st.sampled_from("abc"), st.integers(-50_000, 50_000)), min_size=1, max_size=30)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_CHANGES)
def test_the_ledger_adds_up_and_tiers_never_skip_or_repeat(programme: int, changes: list[tuple[str, int]]) -> None:
    with transaction():
        _change_programme(programme, tier_basis=TierBasis.BALANCE)
    run = new_id()
    stage.record(
        programme,
        *(
            told(f"{run}-{n}", f"{who}{run}@example.com", properties={"change": change / 100})
            for n, (who, change) in enumerate(changes)
        ),
    )
    for customer in db.session.scalars(select(Customer).where(Customer.email.like(f"%{run}@example.com"))):
        total = select(func.sum(PointsChange.change)).where(PointsChange.customer_id == customer.id)
        assert customer.balance == db.session.scalar(total)
        moves = db.session.scalars(
            select(Event.properties)
            .where(Event.customer_id == customer.id, Event.type.in_(["tier_upgraded", "tier_downgraded"]))
            .order_by(Event.id)
        )
        told_moves = [json.loads(each) for each in moves]
        for before, after in itertools.pairwise(told_moves):
            assert after["previous_tier"] == before["tier"], "each move begins where the last one ended"
