"""Several processes change the points of the same customers at once: none is lost or spent twice, and the ledger explains each balance."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import select

from launch import ports
from portal.db import db
from portal.models import Customer, PointsChange
from portal.services.customers import Identifiers
from tests import factories
from tests.factories import Shop
from tests.portal.services import programmes
from tests.servers import Processes

EARNERS = ("ada@example.com", "bob@example.com", "eve@example.com")
SPENDERS = ("dan@example.com", "fay@example.com")
COST, PROCESSES, AT_ONCE = 300, 3, 12


@pytest.fixture
def portals(app: Flask, merchant: Shop, processes: Processes) -> list[str]:
    """Web servers of one process each, on the same database."""
    with app.app_context():
        factories.know(merchant.id, [Identifiers(email=email) for email in (*EARNERS, *SPENDERS)])
        programmes.add_reward(merchant.id, "coffee", COST)
    return [processes.web(ports.find_free()) for _ in range(PROCESSES)]


def _tell(portals: Sequence[str], shop: Shop, bodies: Sequence[Sequence[dict[str, Any]]]) -> Counter[str]:
    """Each body in a request of its own, many at once and spread over the servers; what became of their events."""

    def tell(events: Sequence[dict[str, Any]], portal: str) -> list[str]:
        key = {"Authorization": f"Bearer {shop.api_key}"}
        answer = requests.post(f"{portal}/v1/events", json={"events": events}, headers=key, timeout=60)
        assert answer.status_code == 202, answer.text
        return [each.get("error", {}).get("code") or each["status"] for each in answer.json()["results"]]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return Counter(outcome for outcomes in pool.map(tell, bodies, cycle(portals)) for outcome in outcomes)


def _redeem(name: str, email: str) -> dict[str, Any]:
    return factories.event(name, email, type="reward_redeemed_online", properties={"reward_id": "coffee"})


def _ledger(app: Flask, email: str) -> tuple[int, list[PointsChange]]:
    """A customer's balance, and its changes in the order in which they were made."""
    with app.app_context():
        customer = db.session.scalars(select(Customer).where(Customer.email == email)).one()
        query = select(PointsChange).where(PointsChange.customer_id == customer.id)
        return customer.balance, list(db.session.scalars(query))


def _check(app: Flask, email: str, points: int) -> list[PointsChange]:
    """The balance is the sum of its changes, and each change began where another had ended."""
    balance, changes = _ledger(app, email)
    assert balance == sum(change.change for change in changes) == points * 100
    begun, ended = (Counter(change.balance - back * change.change for change in changes) for back in (1, 0))
    assert begun + Counter([balance]) == ended + Counter([0])
    return changes


def test_points_are_neither_lost_nor_spent_twice_between_processes(
    app: Flask, merchant: Shop, portals: list[str]
) -> None:
    _many_are_added_and_none_is_lost(app, merchant, portals)
    _no_more_is_redeemed_than_there_is(app, merchant, portals)


def _many_are_added_and_none_is_lost(app: Flask, shop: Shop, portals: list[str]) -> None:
    draw = random.Random(3)
    changes = [(number, draw.choice(EARNERS), draw.randint(1, 90)) for number in range(360)]
    told = [factories.event(f"e{number}", who, properties={"change": points}) for number, who, points in changes]
    # Batches with the same customers, each in another order.
    assert _tell(portals, shop, [told[start : start + 5] for start in range(0, len(told), 5)]) == {"accepted": 360}
    made = [_check(app, who, sum(points for _, each, points in changes if each == who)) for who in EARNERS]
    assert len({change.id >> 12 & 0x3FF for each in made for change in each}) == PROCESSES, "an id tells its process"


def _no_more_is_redeemed_than_there_is(app: Flask, shop: Shop, portals: list[str]) -> None:
    _tell(portals, shop, [[factories.event(f"start-{who}", who, properties={"change": 1_000})] for who in SPENDERS])
    redeeming = [_redeem(f"{number}-{who}", who) for number in range(16) for who in SPENDERS]
    adding = [factories.event(f"a{number}", SPENDERS[0], properties={"change": 100}) for number in range(8)]
    outcomes = _tell(portals, shop, [[each] for each in (*redeeming, *adding)])
    taken = {who: sum(change.change < 0 for change in _ledger(app, who)[1]) for who in SPENDERS}
    # The first has 1,800 in the end, which is enough for six; the other has 1,000, which is enough for three.
    assert 3 <= taken[SPENDERS[0]] <= 6
    assert taken[SPENDERS[1]] == 3
    assert outcomes == {"accepted": sum(taken.values()) + 8, "not_enough_points": 2 * 16 - sum(taken.values())}
    for who, points in zip(SPENDERS, (1_800, 1_000), strict=True):
        changes = _check(app, who, points - taken[who] * COST)
        assert min(change.balance for change in changes) >= 0
