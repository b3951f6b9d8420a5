"""What people do to customers: once per form, never below zero, and nothing is lost where many do it at once."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select

from portal.db import db, in_own_session, repeat, transaction
from portal.errors import ConflictError, InvalidError, NotFoundError, PortalError
from portal.models import Channel, Customer, Event, PointsChange, Redemption, Reward
from portal.services import events, programme, serving
from portal.services.customers import Identifiers
from portal.services.serving import Served
from tests.portal.services import programmes, stage
from tests.portal.services.programmes import customer_with, events_of


def _served(customer: Customer, once: str | None = None, **more: Any) -> Served:
    return Served(customer.merchant_id, customer.id, once or serving.new_once(), **more)


def _do(deed: Callable[[], object]) -> None:
    with transaction():
        deed()


def _balance(customer: Customer) -> tuple[int, int]:
    """The balance, and the sum of the ledger."""
    summed = select(func.sum(PointsChange.change)).where(PointsChange.customer_id == customer.id)
    balance = db.session.scalar(select(Customer.balance).where(Customer.id == customer.id))
    return balance or 0, int(db.session.scalar(summed) or 0)


def test_points_are_added_and_taken_with_a_reason(shop: int) -> None:
    customer = customer_with(shop, 10)
    _do(lambda: serving.change_points(_served(customer), 500, "Sorry for the wait"))
    _do(lambda: serving.change_points(_served(customer), -1_000, "Counted twice"))
    assert _balance(customer) == (500, 500)
    reasons = db.session.scalars(select(PointsChange.reason).order_by(PointsChange.id)).all()
    assert reasons[-2:] == ["Sorry for the wait", "Counted twice"]


def test_no_more_points_are_taken_than_there_are(shop: int) -> None:
    customer = customer_with(shop, 10)
    with pytest.raises(ConflictError, match=r"has 10 points, so 10.01 cannot be taken"):
        _do(lambda: serving.change_points(_served(customer), -1_001, "Too much"))
    assert _balance(customer) == (1_000, 1_000)


def test_a_form_that_is_sent_twice_is_done_once(shop: int) -> None:
    customer = customer_with(shop, 10)
    reward = programmes.add_reward(shop, cost=7)
    for _ in range(2):
        _do(lambda: serving.change_points(_served(customer, "first"), -100, "Mistake"))
        _do(lambda: serving.redeem(_served(customer, "second"), reward.id, Channel.ONLINE))
    assert _balance(customer) == (200, 200)
    with pytest.raises(ConflictError, match="sent before with other values"):
        _do(lambda: serving.change_points(_served(customer, "first"), 100, "Mistake"))


def test_an_amount_gives_points_by_the_rules(shop: int) -> None:
    customer = customer_with(shop)
    _do(lambda: serving.change_points_for(_served(customer), Decimal("24.90"), "Purchase"))
    assert _balance(customer) == (2_400, 2_400)
    with pytest.raises(InvalidError, match="gives no points"):
        _do(lambda: serving.change_points_for(_served(customer), Decimal("0.50"), "Purchase"))


def test_a_reward_that_was_withdrawn_in_the_meantime_takes_no_points(shop: int) -> None:
    customer, reward = customer_with(shop, 200), programmes.add_reward(shop)
    _do(lambda: programme.offer_reward(shop, reward.id, False))
    with pytest.raises(ConflictError, match=r"was withdrawn and can no longer be redeemed. No points were taken"):
        _do(lambda: serving.redeem(_served(customer), reward.id, Channel.IN_STORE))
    assert _balance(customer) == (20_000, 20_000)


def test_a_reward_tells_where_it_was_redeemed(shop: int) -> None:
    customer, reward = customer_with(shop, 200), programmes.add_reward(shop)
    at_the_till = _served(customer, source=serving.TILL, place={"location": "Nørrebro", "device": "Till 2"})
    _do(lambda: serving.redeem(at_the_till, reward.id, Channel.IN_STORE))
    told = db.session.scalars(select(Event.properties).where(Event.type == "reward_redeemed_in_store")).one()
    assert '"location":"Nørrebro"' in told
    assert "device" not in told


def test_scan_check_in_and_verification_are_events(shop: int) -> None:
    customer = customer_with(shop)
    _do(lambda: serving.scan(_served(customer, source=serving.TILL, place={"device": "Till 2"})))
    _do(lambda: serving.check_in(_served(customer, source=serving.TILL)))
    _do(lambda: serving.verify(_served(customer), "identity card"))
    assert events_of(customer)[-3:] == ["pos_scanned", "checked_in", "account_verified"]
    fresh = db.session.get_one(Customer, customer.id, populate_existing=True)
    assert (fresh.pos_scans, fresh.verified_at is not None) == (1, True)


def test_another_merchants_customer_and_reward_do_not_exist(shop: int) -> None:
    other = stage.make_merchant()
    stranger, foreign = customer_with(other, 100), programmes.add_reward(other)
    mine = customer_with(shop, 500)
    with pytest.raises(NotFoundError):
        _do(lambda: serving.change_points(Served(shop, stranger.id, "x"), 100, "Mine now"))
    with pytest.raises(NotFoundError):
        _do(lambda: serving.redeem(_served(mine), foreign.id, Channel.ONLINE))


# --- many at once --------------------------------------------------------------------------------


def test_nothing_is_lost_where_many_change_one_customer_at_once(shop: int) -> None:
    customer = customer_with(shop, 50)
    reward = programmes.add_reward(shop, "coffee", cost=20, most_in_all=15)
    done: list[int] = []

    def deed(number: int) -> None:
        kind = number % 3
        served = _served(customer, f"deed-{number}")
        if kind == 0:
            serving.change_points(served, 1_000 + number, "Purchase")
        elif kind == 1:
            serving.redeem(served, reward.id, Channel.ONLINE)
        else:
            told = stage.told(f"api-{number}", Identifiers(id=customer.id), properties={"change": number})
            events.record(shop, [told])

    @in_own_session
    def write(number: int) -> str:
        def once() -> None:
            with transaction():
                deed(number)

        try:
            repeat(once)
        except PortalError as error:
            return error.code
        done.append(number)
        return "done"

    numbers = list(range(60))
    random.Random(7).shuffle(numbers)
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(write, numbers))
    assert set(outcomes) <= {"done", "not_enough_points", "reward_used_up"}
    redeemed = sum(1 for number in done if number % 3 == 1)
    expected = 5_000 - redeemed * 2_000
    expected += sum(1_000 + number for number in done if number % 3 == 0)
    expected += sum(number * 100 for number in done if number % 3 == 2)
    assert len([number for number in done if number % 3 != 1]) == 40
    assert _balance(customer) == (expected, expected)
    assert redeemed == db.session.scalar(select(func.count()).select_from(Redemption))
    assert redeemed == db.session.get_one(Reward, reward.id, populate_existing=True).redeemed <= 15
    balances = db.session.scalars(select(PointsChange.balance).where(PointsChange.customer_id == customer.id)).all()
    assert min(balances) >= 0
