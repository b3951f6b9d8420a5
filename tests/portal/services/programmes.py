"""Makes programmes for tests: tiers and rewards by name, and customers who have so many points."""

from __future__ import annotations

from itertools import count
from typing import Any

from sqlalchemy import select

from portal.db import db, new_id, transaction, utcnow
from portal.models import Channel, Customer, Event, Reward, TierBasis, TierLoss
from portal.services import events, programme, reviewing
from portal.services.customers import Identifiers
from portal.services.programme import RewardPlan, TierPlan
from portal.services.rules import TierRule, current_rules
from tests.portal.services import stage

_numbers = count(1)


def plan(merchant_id: int, tiers: dict[str, int], **changes: Any) -> TierPlan:
    """Tiers by name with their thresholds in points; one that is there under this name is kept."""
    present = {tier.name: tier for tier in programme.tiers_of(merchant_id)}
    rules = [
        TierRule(present[name].id if name in present else -place, name, points * 100, changes.get("valid_months"))
        for place, (name, points) in enumerate(tiers.items(), start=1)
    ]
    basis, loss = changes.get("basis", TierBasis.EARNED_EVER), changes.get("loss", TierLoss.AT_ONCE)
    return TierPlan(basis, loss, sorted(rules, key=lambda rule: rule.threshold))


def set_tiers(merchant_id: int, tiers: dict[str, int], **changes: Any) -> None:
    with transaction():
        version = programme.programme_of(merchant_id).version
        programme.save_tiers(merchant_id, plan(merchant_id, tiers, **changes), version)


def add_reward(merchant_id: int, code: str = "coffee", cost: int = 100, **changes: Any) -> Reward:
    values: dict[str, Any] = {
        "name": code.capitalize(),
        "channel": Channel.BOTH,
        "most_per_customer": None,
        "most_in_all": None,
    }
    with transaction():
        return programme.add_reward(merchant_id, RewardPlan(code=code, cost=cost * 100, **{**values, **changes}))


def customer_with(merchant_id: int, points: float = 0, **columns: Any) -> Customer:
    """A new customer who has so many points."""
    email = f"customer-{next(_numbers)}@example.com"
    stage.record(merchant_id, stage.told(f"points-{email}", email, properties={"change": points}, occurred_at=utcnow()))
    with transaction():
        customer = db.session.scalars(select(Customer).where(Customer.email == email)).one()
        for name, value in columns.items():
            setattr(customer, name, value)
    return customer


def review(merchant_id: int) -> None:
    """As the job does, to the end."""
    for step in (reviewing.continue_changed, reviewing.continue_timed):
        more = True
        while more:
            with transaction():
                more = step(merchant_id, utcnow())


def tier_of(customer: Customer) -> str | None:
    tier_id = db.session.scalar(select(Customer.tier_id).where(Customer.id == customer.id))
    tier = current_rules(customer.merchant_id).tier(tier_id)
    return tier.name if tier else None


def events_of(customer: Customer, *types: str) -> list[str]:
    """The types of what happened to a customer, in order; of those given where any are."""
    query = select(Event.type).where(Event.customer_id == customer.id).order_by(Event.id)
    return [each for each in db.session.scalars(query) if not types or each in types]


def change(customer: Customer, points: float) -> None:
    told = stage.told(f"change-{new_id()}", Identifiers(id=customer.id), properties={"change": points})
    with transaction():
        events.record(customer.merchant_id, [told])
