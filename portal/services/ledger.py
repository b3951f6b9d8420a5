"""The standings of customers under a lock, and the ledger that explains their balances.

Whoever changes a balance reads it here first: from then on nobody else changes it until the transaction ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, Executable, Select, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from portal.bulk import insert_rows, update_rows
from portal.db import UtcDateTime, changed_rows, db, one_of, run
from portal.errors import ConflictError
from portal.lists import one_of_given
from portal.models import Customer, PointsChange, ProfileSync, Redemption, Reward
from portal.services.effects import Change
from portal.services.rules import RewardRule, Rules
from portal.services.standing import STATE, Earning, Standing

_CUSTOMERS = Customer.__table__
_CHANGES = PointsChange.__table__
# A burst of changes is one update of the profile.
COALESCE = timedelta(seconds=2)
_IDS = bindparam("ids", type_=ARRAY(_CUSTOMERS.c.id.type))
_COLUMNS = (_CUSTOMERS.c.id, *(_CUSTOMERS.c[name] for name in STATE))
# Locked in one order everywhere: two requests about the same customers would wait for each other.
_LOCK_ON_POSTGRESQL = (
    select(*_COLUMNS)
    .where(one_of_given("postgresql", _CUSTOMERS.c.id, "ids"))
    .order_by(_CUSTOMERS.c.id)
    .with_for_update(
        key_share=True
    )  # rows that refer to the customer may come meanwhile: their writers never wait for us
)
_READ = select(*_COLUMNS).where(one_of_given("sqlite", _CUSTOMERS.c.id, "ids"))


def lock(customer_ids: Collection[int]) -> dict[int, Standing]:
    """The standing of each, as it is and stays until the transaction ends. SQLite has one writer anyway."""
    if not customer_ids:
        return {}
    query: Executable = _LOCK_ON_POSTGRESQL if db.engine.dialect.name == "postgresql" else _READ
    return {row[0]: Standing(*row) for row in run(query, {"ids": sorted(customer_ids)})}


def earnings(rules: Rules, customer_ids: Collection[int], since: datetime) -> dict[int, list[Earning]]:
    """What each earned from a year before `since` on, by rising time; read only where the rules ask for a period."""
    found: dict[int, list[Earning]] = defaultdict(list)
    if not (rules.tiers and customer_ids and rules.by_period):
        return found
    query = (
        select(_CHANGES.c.customer_id, _CHANGES.c.occurred_at, _CHANGES.c.change)
        .where(
            one_of(_CHANGES.c.customer_id, customer_ids),
            _CHANGES.c.change > 0,
            _CHANGES.c.occurred_at >= since - timedelta(days=367),
        )
        .order_by(_CHANGES.c.occurred_at)
    )
    rows: Sequence[Any] = run(query).all()
    for customer_id, occurred_at, points in rows:
        found[customer_id].append(Earning(occurred_at, points))
    return found


def latest_changes(customer_ids: Collection[int]) -> dict[int, datetime]:
    """When the points of each last moved."""
    query = select(_CHANGES.c.customer_id, func.max(_CHANGES.c.occurred_at)).where(
        one_of(_CHANGES.c.customer_id, customer_ids)
    )
    rows: Sequence[Any] = run(query.group_by(_CHANGES.c.customer_id)).all() if customer_ids else ()
    return {row[0]: row[1] for row in rows}


def latest_entries(customer_ids: Collection[int], since: datetime) -> dict[int, int]:
    """The id of what was entered last for each, of points that moved since then."""
    query = select(_CHANGES.c.customer_id, func.max(_CHANGES.c.id)).where(
        one_of(_CHANGES.c.customer_id, customer_ids), _CHANGES.c.occurred_at >= since
    )
    rows: Sequence[Any] = run(query.group_by(_CHANGES.c.customer_id)).all() if customer_ids else ()
    return {row[0]: row[1] for row in rows}


def save(standings: Iterable[Standing]) -> None:
    """Write those that have changed."""
    rows = [{"id": standing.customer_id, **standing.state()} for standing in standings if standing.changed]
    if rows:
        update_rows(Customer, rows)


@dataclass(frozen=True)
class Entry:
    """A change of a balance on its way into the ledger. Its opening, where there is one, has an id of its own before it."""

    event_id: int
    opening_id: int
    customer_id: int
    change: Change
    occurred_at: datetime


def enter(merchant_id: int, entries: Sequence[Entry]) -> None:
    """Write the ledger's rows."""
    rows: list[dict[str, Any]] = []
    for entry in entries:
        change, known = entry.change, entry.change.balance - entry.change.points
        if change.opening:
            opened = (change.opening, known, entry.occurred_at, "Known from before")
            rows.append(_row(entry.opening_id, merchant_id, entry.customer_id, *opened))
        moved = (change.points, change.balance, entry.occurred_at, change.reason)
        rows.append(_row(entry.event_id, merchant_id, entry.customer_id, *moved))
    if rows:
        insert_rows(PointsChange, rows)


def _row(
    row_id: int, merchant_id: int, customer_id: int, points: int, balance: int, moment: datetime, reason: str
) -> dict[str, Any]:
    return {
        "id": row_id,
        "merchant_id": merchant_id,
        "customer_id": customer_id,
        "change": points,
        "balance": balance,
        "occurred_at": moment,
        "reason": reason,
    }


# --- rewards -------------------------------------------------------------------------------------


def reserve(reward: RewardRule, customer_id: int, unwritten: int) -> None:
    """Take one of a reward. Raises `ConflictError` when there is none left, for this customer or at all.

    `unwritten` is how many this customer has redeemed in this transaction already.
    """
    if reward.most_per_customer is not None:
        had = select(func.count()).where(Redemption.customer_id == customer_id, Redemption.reward_id == reward.id)
        if (db.session.scalar(had) or 0) + unwritten >= reward.most_per_customer:
            raise ConflictError(
                f"The customer has redeemed {reward.name} as often as it may be.",
                field="properties.reward_id",
                code="reward_used_up",
            )
    taken = (
        update(Reward)
        .where(Reward.id == reward.id, Reward.withdrawn_at.is_(None))
        .where((Reward.most_in_all.is_(None)) | (Reward.redeemed < Reward.most_in_all))
        .values(redeemed=Reward.redeemed + 1)
        .execution_options(synchronize_session=False)
    )
    if not changed_rows(db.session.execute(taken)):
        raise ConflictError(
            f"{reward.name} is not available any more.", field="properties.reward_id", code="reward_used_up"
        )


# --- profiles ------------------------------------------------------------------------------------


def mark_profiles(merchant_id: int, customer_ids: Iterable[int], now: datetime) -> None:
    """Their profiles at Klaviyo may differ from what is known here: let them be sent in a moment."""
    ids, same = sorted(customer_ids), {"merchant_id": merchant_id, "due_at": now + COALESCE}
    if not ids:
        return
    if db.engine.dialect.name == "postgresql":
        run(_mark_from_array(), {"ids": ids, **same})
    else:
        run(_mark_each(), [{"customer_id": customer_id, **same} for customer_id in ids])


@cache
def _mark_from_array() -> Executable:
    """One statement for all of them: psycopg sends many rows one by one."""
    each = func.unnest(_IDS).table_valued("id", name="touched").render_derived()
    row: Select[Any] = select(each.c.id, bindparam("merchant_id"), bindparam("due_at", type_=UtcDateTime))
    return _or_mark_again(postgresql.insert(ProfileSync).from_select(["customer_id", "merchant_id", "due_at"], row))


@cache
def _mark_each() -> Executable:
    row: dict[str, Any] = {name: bindparam(name) for name in ("customer_id", "merchant_id", "due_at")}
    return _or_mark_again(sqlite.insert(ProfileSync).values(row))


def _or_mark_again(marking: postgresql.Insert | sqlite.Insert) -> Executable:
    marked: Executable = marking.on_conflict_do_update(
        index_elements=["customer_id"],
        set_={
            "due_at": func.coalesce(ProfileSync.due_at, marking.excluded.due_at),
            "revision": ProfileSync.revision + 1,
        },
    )
    return marked
