"""Tiers and signals: what follows from a customer's points under each of the programme's rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from portal.models import Channel, TierBasis, TierLoss
from portal.services.rules import RewardRule, Rules, TierRule
from portal.services.standing import Earning, Standing, add_months, follow_tier, signals

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
BRONZE, SILVER, GOLD = (
    TierRule(1, "Bronze", 0, None),
    TierRule(2, "Silver", 250_00, None),
    TierRule(3, "Gold", 1_000_00, None),
)
COFFEE = RewardRule(1, "coffee", "Free coffee", 100_00, Channel.BOTH, None, None)
BEANS = RewardRule(2, "beans", "Bag of beans", 500_00, Channel.BOTH, None, None)
RULES = Rules(
    TierBasis.EARNED_EVER,
    TierLoss.AT_ONCE,
    (BRONZE, SILVER, GOLD),
    (COFFEE, BEANS),
    0,
    0,
    ZoneInfo("Europe/Copenhagen"),
)


def _moved(
    rules: Rules, standing: Standing, *earnings: Earning, at: datetime = NOW
) -> tuple[str | None, str | None] | None:
    moved = follow_tier(rules, standing, earnings, at)
    return moved and (moved[0] and moved[0].name, moved[1] and moved[1].name)  # type: ignore[return-value]


def test_the_highest_tier_that_the_points_are_enough_for_is_reached_in_one_step() -> None:
    standing = Standing(7, earned=1_000_00, tier_id=1)
    assert _moved(RULES, standing) == ("Bronze", "Gold")
    assert (standing.tier_id, standing.tier_entered_at, standing.tier_expires_at) == (3, NOW, None)
    assert _moved(RULES, standing) is None


def test_a_point_short_of_the_threshold_is_not_enough() -> None:
    assert _moved(RULES, Standing(7, earned=249_99, tier_id=1)) is None


@pytest.mark.parametrize(
    ("loss", "moved"), [(TierLoss.AT_ONCE, ("Gold", "Bronze")), (TierLoss.AT_EXPIRY, None), (TierLoss.NEVER, None)]
)
def test_too_few_points_cost_a_tier_without_an_end_only_where_the_rules_say_so(
    loss: TierLoss, moved: tuple[str, str] | None
) -> None:
    rules = replace(RULES, basis=TierBasis.BALANCE, loss=loss)
    assert _moved(rules, Standing(7, balance=10, tier_id=3)) == moved


def test_a_tier_that_is_valid_for_a_time_is_kept_for_that_time_and_then_lost() -> None:
    rules = replace(RULES, basis=TierBasis.BALANCE, tiers=(BRONZE, replace(SILVER, valid_months=12)))
    standing = Standing(7, balance=250_00, tier_id=1)
    assert _moved(rules, standing) == ("Bronze", "Silver")
    assert standing.tier_expires_at == standing.tier_review_at == datetime(2027, 11, 25, 12, tzinfo=UTC)
    standing.balance = 0
    assert _moved(rules, standing, at=NOW + timedelta(days=364)) is None
    assert _moved(rules, standing, at=NOW + timedelta(days=365)) == ("Silver", "Bronze")


def test_a_tier_that_is_earned_again_when_it_ends_begins_anew() -> None:
    rules = replace(RULES, tiers=(BRONZE, replace(SILVER, valid_months=6)))
    standing = Standing(7, earned=300_00, tier_id=2, tier_expires_at=NOW)
    assert _moved(rules, standing) is None
    assert standing.tier_expires_at == add_months(NOW, 6)


def test_points_leave_the_twelve_months_that_count_and_the_day_is_known_before() -> None:
    rules = replace(RULES, basis=TierBasis.EARNED_12_MONTHS)
    earned = Earning(datetime(2026, 1, 10, tzinfo=UTC), 300_00)
    standing = Standing(7, earned=300_00, tier_id=1)
    assert _moved(rules, standing, earned) == ("Bronze", "Silver")
    assert standing.tier_review_at == datetime(2027, 1, 10, tzinfo=UTC) + timedelta(seconds=1)
    assert _moved(rules, standing, earned, at=standing.tier_review_at) == ("Silver", "Bronze")


@pytest.mark.parametrize("loss", [TierLoss.AT_EXPIRY, TierLoss.NEVER])
def test_when_points_leave_is_known_also_where_no_tier_is_lost_by_it(loss: TierLoss) -> None:
    rules = replace(RULES, basis=TierBasis.EARNED_12_MONTHS, loss=loss)
    first, second = (Earning(datetime(2026, month, 10, tzinfo=UTC), 50_00) for month in (1, 6))
    standing = Standing(7, tier_id=1)
    assert _moved(rules, standing, first, second) is None
    assert standing.tier_review_at == datetime(2027, 1, 10, tzinfo=UTC) + timedelta(seconds=1)
    assert _moved(rules, standing, first, second, at=standing.tier_review_at) is None
    assert standing.tier_review_at == datetime(2027, 6, 10, tzinfo=UTC) + timedelta(seconds=1)


def test_the_calendar_year_begins_in_the_shops_time_zone() -> None:
    rules = replace(RULES, basis=TierBasis.EARNED_CALENDAR_YEAR)
    standing = Standing(7, tier_id=1)
    midnight_in_copenhagen = datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert _moved(rules, standing, Earning(midnight_in_copenhagen, 300_00)) == ("Bronze", "Silver")
    assert standing.tier_review_at == datetime(2026, 12, 31, 23, tzinfo=UTC)
    before = Earning(midnight_in_copenhagen - timedelta(seconds=1), 300_00)
    assert _moved(rules, Standing(8, tier_id=1), before) is None


def test_a_month_without_such_a_day_ends_on_its_last() -> None:
    assert add_months(datetime(2024, 2, 29, tzinfo=UTC), 12) == datetime(2025, 2, 28, tzinfo=UTC)
    assert add_months(datetime(2026, 3, 31, tzinfo=UTC), -1) == datetime(2026, 2, 28, tzinfo=UTC)


def test_signals_say_how_far_it_is_to_the_next_tier_and_the_next_reward() -> None:
    standing = Standing(7, balance=120_50, earned=240_00, tier_id=1)
    assert signals(RULES, standing, 240_00) == {
        "balance": 120.5,
        "tier": "Bronze",
        "next_tier": "Silver",
        "points_to_next_tier": 10,
        "next_reward": "Bag of beans",
        "points_to_next_reward": 379.5,
        "rewards_available": 1,
        "wallet_pass_status": "not_installed",
    }


def test_at_the_top_there_is_no_next_and_without_rules_nothing_is_made_up() -> None:
    told = signals(RULES, Standing(7, balance=500_00, earned=1_000_00, tier_id=3), 1_000_00)
    assert told.keys() == {"balance", "tier", "rewards_available", "wallet_pass_status"}
    bare = replace(RULES, tiers=(), rewards=())
    assert signals(bare, Standing(7), 0) == {"balance": 0, "wallet_pass_status": "not_installed"}
