"""How many customers would change their tier if tiers were otherwise: counted by the database, decided by the same rule that moves them.

The database sorts all customers into few groups that are alike for the rule; one of each group is then tried out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, func, literal, null, select

from portal.db import db
from portal.models import Customer, PointsChange, TierBasis
from portal.services.rules import Rules, TierRule
from portal.services.standing import Standing, counts_since, tier_after

_NEVER, _OVER, _AHEAD = 0, 1, 2


@dataclass(frozen=True)
class Move:
    """So many customers go from one tier to another; None is no tier."""

    before: TierRule | None
    after: TierRule | None
    count: int

    @property
    def is_rise(self) -> bool:
        return self.after is not None and (self.before is None or self.after.threshold > self.before.threshold)

    @property
    def is_told(self) -> bool:
        """Whoever gets a first tier that takes no points has not risen, and nothing is told of it."""
        return not (self.before is None and self.after is not None and self.after.threshold == 0)


@dataclass(frozen=True)
class Moves:
    """`before` and `after` count the customers of each tier by its id, None being no tier."""

    moves: Sequence[Move]
    before: Counter[int | None]
    after: Counter[int | None]

    @property
    def up(self) -> int:
        return sum(move.count for move in self.moves if move.is_rise and move.is_told)

    @property
    def down(self) -> int:
        return sum(move.count for move in self.moves if not move.is_rise)

    @property
    def customers(self) -> int:
        return self.before.total()


def foresee(merchant_id: int, rules: Rules, moment: datetime) -> Moves:
    """What would become of everybody under these rules."""
    before: Counter[int | None] = Counter()
    after: Counter[int | None] = Counter()
    moved: Counter[tuple[TierRule | None, TierRule | None]] = Counter()
    for tier_id, place, expiry, count in db.session.execute(_groups(merchant_id, rules, moment)):
        one = Standing(0, tier_id=tier_id, tier_expires_at=_expires_at(expiry, moment))
        present = rules.tier(tier_id)
        wanted = tier_after(rules, one, rules.tiers[place] if place >= 0 else None, moment)
        before[present.id if present else None] += count
        after[wanted.id if wanted else None] += count
        if present != wanted:
            moved[present, wanted] += count
    return Moves([Move(*tiers, count) for tiers, count in moved.most_common()], before, after)


def _groups(merchant_id: int, rules: Rules, moment: datetime) -> Any:
    """(tier now, place of the tier that the points are enough for or -1, whether the tier expires, how many)."""
    points = _points(rules, moment)
    places = [(points >= tier.threshold, place) for place, tier in reversed(list(enumerate(rules.tiers)))]
    expires = Customer.tier_expires_at
    each = (
        select(
            Customer.tier_id.label("tier_id"),
            (case(*places, else_=-1) if places else literal(-1)).label("place"),
            case((expires.is_(null()), _NEVER), (expires <= moment, _OVER), else_=_AHEAD).label("expiry"),
        )
        .where(Customer.merchant_id == merchant_id)
        .subquery()
    )
    return select(each.c.tier_id, each.c.place, each.c.expiry, func.count()).group_by(
        each.c.tier_id, each.c.place, each.c.expiry
    )


def _points(rules: Rules, moment: datetime) -> ColumnElement[int]:
    """The points of a customer that decide, as `standing.score` counts them."""
    if rules.basis is TierBasis.BALANCE:
        return Customer.balance.expression
    since = counts_since(rules, moment)
    if since is None:
        return Customer.earned.expression
    return (
        select(func.coalesce(func.sum(PointsChange.change), 0))
        .where(
            PointsChange.customer_id == Customer.id,
            PointsChange.change > 0,
            PointsChange.occurred_at.between(since, moment),
        )
        .correlate(Customer)
        .scalar_subquery()
    )


def _expires_at(expiry: int, moment: datetime) -> datetime | None:
    return {_NEVER: None, _OVER: moment, _AHEAD: moment + timedelta(days=1)}[expiry]
