"""A customer as a whole: identifiers, standing with the way to the next tier, card, and what Klaviyo was last told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from portal.db import LARGEST_ID, db, utcnow
from portal.errors import NotFoundError
from portal.models import Customer, Merchant, ProfileSync
from portal.services import ledger
from portal.services.points import to_number
from portal.services.rules import RewardRule, Rules, TierRule, current_rules
from portal.services.smart_link import link_of
from portal.services.standing import STATE, Standing, next_reward, next_tier, rewards_within, score


@dataclass(frozen=True)
class Portrait:
    """Points as numbers, as they are told outside."""

    customer: Customer
    tier: TierRule | None
    points: int | float
    next_tier: TierRule | None
    points_to_next_tier: int | float | None
    rewards_available: int
    next_reward: RewardRule | None
    points_to_next_reward: int | float | None
    link: str
    properties: dict[str, Any]
    properties_sent_at: datetime | None


def portray(merchant_id: int, customer_id: int) -> Portrait:
    """Raises `NotFoundError`, also for another merchant's customer."""
    query = select(Customer, Merchant.slug).join(Merchant, Merchant.id == Customer.merchant_id)
    found = db.session.execute(
        query.where(Customer.merchant_id == merchant_id, Customer.id == min(customer_id, LARGEST_ID))
    ).first()
    if found is None:
        raise NotFoundError("There is no customer with this id.", field="id")
    customer, slug = found
    rules = current_rules(merchant_id)
    standing = Standing(customer.id, *(getattr(customer, name) for name in STATE))
    points = _points(rules, standing)
    above, reward = next_tier(rules, standing, points), next_reward(rules, standing.balance)
    sync = db.session.get(ProfileSync, customer.id)
    return Portrait(
        customer=customer,
        tier=rules.tier(customer.tier_id),
        points=to_number(points),
        next_tier=above and above[0],
        points_to_next_tier=to_number(above[1]) if above else None,
        rewards_available=rewards_within(rules, standing.balance),
        next_reward=reward,
        points_to_next_reward=to_number(reward.cost - standing.balance) if reward else None,
        link=link_of(slug, customer.link_token),
        properties=json.loads(sync.sent) if sync and sync.sent else {},
        properties_sent_at=sync.sent_at if sync else None,
    )


def _points(rules: Rules, standing: Standing) -> int:
    now = utcnow()
    earned = ledger.earnings(rules, [standing.customer_id], now)
    return score(rules, standing, earned[standing.customer_id], now)
