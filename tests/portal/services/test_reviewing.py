"""Customers move into the tier that fits after a change of the rules, and as time passes; each move is told once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from portal.db import db, transaction, utcnow
from portal.errors import ConflictError
from portal.jobs import reviews
from portal.models import Customer, Event, FormerTier, ProfileSync, Programme, TierBasis, TierLoss
from portal.services import moving, profile_outbox, programme, reviewing
from portal.services.rules import current_rules
from tests.portal.services import programmes, stage
from tests.portal.services.programmes import customer_with, events_of, plan, review, set_tiers, tier_of

THREE = {"Bronze": 0, "Silver": 250, "Gold": 1000}
MOVED = ("tier_upgraded", "tier_downgraded")


def test_whoever_has_the_points_rises_when_tiers_are_made(shop: int) -> None:
    low, high = customer_with(shop, 10), customer_with(shop, 300)
    set_tiers(shop, THREE)
    review(shop)
    assert (tier_of(low), tier_of(high)) == ("Bronze", "Silver")
    # Nobody has risen to a tier that takes no points.
    assert (events_of(low, *MOVED), events_of(high, *MOVED)) == ([], ["tier_upgraded"])


def test_a_raised_threshold_lets_customers_fall_and_says_from_where(shop: int) -> None:
    set_tiers(shop, THREE)
    customer = customer_with(shop, 300)
    set_tiers(shop, {**THREE, "Silver": 400})
    review(shop)
    assert events_of(customer, *MOVED) == ["tier_upgraded", "tier_downgraded"]
    told = json.loads(db.session.scalars(select(Event.properties).where(Event.type == "tier_downgraded")).one())
    assert told == {"tier": "Bronze", "previous_tier": "Silver"}


def test_whoever_was_in_a_tier_that_was_removed_falls_from_it_by_its_name(shop: int) -> None:
    set_tiers(shop, THREE, loss=TierLoss.NEVER)
    customer = customer_with(shop, 1200)
    set_tiers(shop, {"Bronze": 0, "Silver": 250}, loss=TierLoss.NEVER)
    review(shop)
    told = json.loads(db.session.scalars(select(Event.properties).where(Event.type == "tier_downgraded")).one())
    assert (tier_of(customer), told) == ("Silver", {"tier": "Silver", "previous_tier": "Gold"})
    assert db.session.scalar(select(func.count()).select_from(FormerTier)) == 0


def test_whoever_never_loses_a_tier_keeps_it_when_its_threshold_rises(shop: int) -> None:
    set_tiers(shop, THREE, loss=TierLoss.NEVER)
    customer = customer_with(shop, 300)
    set_tiers(shop, {**THREE, "Silver": 400}, loss=TierLoss.NEVER)
    review(shop)
    assert tier_of(customer) == "Silver"


def _review_and_die(shop: int) -> None:
    with transaction():
        reviewing.continue_changed(shop, utcnow())
        raise RuntimeError("the worker was killed")


def test_a_review_that_is_interrupted_goes_on_where_it_was_and_tells_nothing_twice(
    shop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviewing, "AT_ONCE", 2)
    people = [customer_with(shop, 300) for _ in range(5)]
    set_tiers(shop, THREE)
    with pytest.raises(RuntimeError):
        _review_and_die(shop)
    with transaction():
        assert reviewing.continue_changed(shop, utcnow())
    assert [tier_of(person) for person in people] == ["Silver", "Silver", None, None, None]
    reviews.review(shop)
    reviews.review(shop)
    assert [events_of(person, *MOVED) for person in people] == [["tier_upgraded"]] * 5
    assert reviewing.merchants_due(utcnow()) == []


def test_every_profile_is_sent_anew_where_the_next_reward_is_another(shop: int) -> None:
    customer = customer_with(shop, 10)
    revision = select(ProfileSync.revision).where(ProfileSync.customer_id == customer.id)
    before = db.session.scalar(revision)
    programmes.add_reward(shop)
    review(shop)
    assert db.session.scalar(revision) == (before or 0) + 1


def test_a_tier_that_expires_is_lost_on_that_day_without_any_event(shop: int) -> None:
    set_tiers(shop, THREE, basis=TierBasis.EARNED_12_MONTHS, loss=TierLoss.AT_EXPIRY, valid_months=12)
    with time_machine.travel(datetime(2025, 1, 15, 12, tzinfo=UTC), tick=False):
        customer = customer_with(shop, 300)
    with time_machine.travel(datetime(2026, 1, 14, 12, tzinfo=UTC), tick=False):
        review(shop)
        assert tier_of(customer) == "Silver"
    with time_machine.travel(datetime(2026, 1, 15, 12, 5, tzinfo=UTC), tick=False):
        reviews.ring_for_due()
        reviews.review(shop)
        reviews.review(shop)
        assert (tier_of(customer), events_of(customer, *MOVED)) == ("Bronze", ["tier_upgraded", "tier_downgraded"])


def test_a_tier_that_gets_months_ends_for_those_who_are_in_it_already_and_without_months_no_more(shop: int) -> None:
    set_tiers(shop, THREE, basis=TierBasis.EARNED_12_MONTHS, loss=TierLoss.AT_EXPIRY)
    with time_machine.travel(datetime(2025, 1, 15, 12, tzinfo=UTC), tick=False):
        customer = customer_with(shop, 300)
        assert customer.tier_expires_at is None
    with time_machine.travel(datetime(2025, 9, 1, 12, tzinfo=UTC), tick=False):
        set_tiers(shop, THREE, basis=TierBasis.EARNED_12_MONTHS, loss=TierLoss.AT_EXPIRY, valid_months=6)
        review(shop)
        assert _ends(customer) == datetime(2026, 3, 1, 12, tzinfo=UTC)
        set_tiers(shop, THREE, basis=TierBasis.EARNED_12_MONTHS, loss=TierLoss.AT_EXPIRY)
        review(shop)
        assert _ends(customer) is None
        set_tiers(shop, THREE, basis=TierBasis.EARNED_12_MONTHS, loss=TierLoss.AT_EXPIRY, valid_months=6)
        review(shop)
    with time_machine.travel(datetime(2026, 3, 1, 12, 5, tzinfo=UTC), tick=False):
        reviews.review(shop)
        assert tier_of(customer) == "Bronze"


def _ends(customer: Customer) -> datetime | None:
    return db.session.scalar(select(Customer.tier_expires_at).where(Customer.id == customer.id))


def test_the_way_to_the_next_tier_grows_by_time_alone_and_only_then_is_told(shop: int) -> None:
    set_tiers(shop, THREE, basis=TierBasis.EARNED_12_MONTHS, loss=TierLoss.NEVER)
    with time_machine.travel(datetime(2025, 1, 15, 12, tzinfo=UTC), tick=False):
        aged, bystander = customer_with(shop, 100), customer_with(shop)
        review(shop)

    def marks() -> list[int | None]:
        query = select(ProfileSync.revision)
        return [db.session.scalar(query.where(ProfileSync.customer_id == each.id)) for each in (aged, bystander)]

    before = marks()
    with time_machine.travel(datetime(2026, 1, 15, 11, 59, tzinfo=UTC), tick=False):
        review(shop)
        assert marks() == before
    with time_machine.travel(datetime(2026, 1, 15, 12, 1, tzinfo=UTC), tick=False):
        review(shop)
        review(shop)
        assert marks() == [(before[0] or 0) + 1, before[1]]
        [(_, told)] = profile_outbox.properties_now(shop, [aged.id], utcnow())
        assert told["jericommerce_points_to_next_tier"] == 250
        assert events_of(aged, *MOVED) == []


def test_somebody_elses_change_in_between_is_not_overwritten(shop: int) -> None:
    version = programme.programme_of(shop).version
    set_tiers(shop, THREE)
    with pytest.raises(ConflictError, match="nothing was saved"), transaction():
        programme.save_tiers(shop, plan(shop, {"Only": 0}), version)
    assert [tier.name for tier in programme.tiers_of(shop)] == list(THREE)


def test_two_tiers_can_change_places(shop: int) -> None:
    set_tiers(shop, THREE)
    set_tiers(shop, {"Bronze": 0, "Gold": 250, "Silver": 1000})
    assert [tier.name for tier in programme.tiers_of(shop)] == ["Bronze", "Gold", "Silver"]


# --- what is foreseen ----------------------------------------------------------------------------


def _populate(shop: int) -> None:
    set_tiers(shop, THREE, valid_months=12)
    for points in (0, 100, 250, 300, 999, 1000, 5000):
        customer_with(shop, points)
    for points in (300, 1200):
        spent = customer_with(shop, points)
        programmes.change(spent, -points + 1)
    long_ago = customer_with(shop, 0)
    with transaction():
        reviewing.begin(shop)
    review(shop)
    with transaction():
        # One whose tier ends today, one whose tier never ends.
        db.session.get_one(Customer, long_ago.id).tier_expires_at = utcnow() - timedelta(days=1)
        last = db.session.scalars(select(Customer).where(Customer.balance == 500_000)).one()
        last.tier_expires_at = None


RULES = [(basis, TierLoss.AT_ONCE, None) for basis in TierBasis] + [
    (TierBasis.EARNED_EVER, TierLoss.AT_EXPIRY, 12),
    (TierBasis.BALANCE, TierLoss.AT_EXPIRY, 12),
    (TierBasis.BALANCE, TierLoss.AT_EXPIRY, None),
    (TierBasis.BALANCE, TierLoss.AT_ONCE, 12),
    (TierBasis.BALANCE, TierLoss.NEVER, None),
]


@pytest.mark.parametrize(("basis", "loss", "months"), RULES)
def test_what_is_foreseen_is_what_happens(shop: int, basis: TierBasis, loss: TierLoss, months: int | None) -> None:
    _populate(shop)
    tiers = {"Bronze": 0, "Silver": 280, "Platinum": 3000}
    wanted = plan(shop, tiers, basis=basis, loss=loss, valid_months=months)
    foreseen = moving.foresee(shop, wanted.rules(current_rules(shop)), utcnow())
    with transaction():
        programme.save_tiers(shop, wanted, programme.programme_of(shop).version)
    told = select(func.count()).where(Event.merchant_id == shop)
    up, down = ((db.session.scalar(told.where(Event.type == kind)) or 0) for kind in MOVED)
    review(shop)
    assert (foreseen.up, foreseen.down) == (
        (db.session.scalar(told.where(Event.type == MOVED[0])) or 0) - up,
        (db.session.scalar(told.where(Event.type == MOVED[1])) or 0) - down,
    )
    after = current_rules(shop)
    counted = dict(
        db.session.execute(
            select(Customer.tier_id, func.count()).where(Customer.merchant_id == shop).group_by(Customer.tier_id)
        ).all()
    )
    by_name = {after.tier(tier_id).name: number for tier_id, number in counted.items()}  # type: ignore[union-attr]
    expected = {tier.id: tier.name for tier in wanted.tiers}
    assert by_name == {expected[tier_id]: number for tier_id, number in foreseen.after.items() if tier_id is not None}


def test_another_merchants_customers_are_neither_counted_nor_moved(shop: int) -> None:
    stranger = customer_with(stage.make_merchant(), 5000)
    set_tiers(shop, THREE)
    assert moving.foresee(shop, current_rules(shop), utcnow()).customers == 0
    review(shop)
    assert tier_of(stranger) is None
    assert db.session.scalars(select(Programme.reviewed_to)).all().count(None) == 2
