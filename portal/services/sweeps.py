"""Looking at all customers once: at the first switch-on, and whenever something changes that everybody's properties hang on.

That one is due is derived from what the last one was made for, so that nobody has to remember to ask for it. Customers are marked
a batch at a time, just ahead of the sending; what turns out to be the same as before is not sent.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, exists, func, literal, null, or_, select, update

from portal.db import db, insert_or_update, one_of
from portal.klaviyo.profiles import Profile
from portal.models import Connection, Customer, Merchant, ProfileSweep, ProfileSync, Programme
from portal.services import profile_outbox
from portal.services.example_events import EMAIL as EXAMPLE
from portal.services.profile_contract import NAMES

AT_ONCE = 10_000
# Below this the share done says too little about the time that is left.
ENOUGH_TO_ESTIMATE = 0.01


@dataclass(frozen=True)
class Progress:
    total: int
    done: int
    started_at: datetime
    left_seconds: float | None

    @property
    def share(self) -> float:
        return self.done / self.total


_REACHABLE = or_(Customer.email.is_not(None), Customer.phone.is_not(None), Customer.klaviyo_profile_id.is_not(None))
# What everybody's properties hang on, beside the customer.
_BASIS = (
    select(
        Connection.merchant_id,
        Connection.klaviyo_account_id,
        Programme.version.label("programme_version"),
        Merchant.slug,
    )
    .join(Merchant, Merchant.id == Connection.merchant_id)
    .join(Programme, Programme.merchant_id == Connection.merchant_id)
)
_SAME = and_(
    ProfileSweep.merchant_id == Connection.merchant_id,
    ProfileSweep.klaviyo_account_id == Connection.klaviyo_account_id,
    ProfileSweep.programme_version == Programme.version,
    ProfileSweep.slug == Merchant.slug,
)


def merchants_due(now: datetime) -> Sequence[int]:
    """Merchants whose customers are all to be looked at, or who are not through with it."""
    rested = or_(Connection.paused_until.is_(None), Connection.paused_until <= now)
    through = exists().where(_SAME, ProfileSweep.ended_at.is_not(None))
    query = _BASIS.where(profile_outbox.sending(), rested, ~through)
    return [row.merchant_id for row in db.session.execute(query)]


def is_through(merchant_id: int) -> bool:
    """Everybody has been looked at since anything changed that everybody's properties hang on."""
    through = exists().where(_SAME, ProfileSweep.ended_at.is_not(None))
    return db.session.execute(_BASIS.where(Connection.merchant_id == merchant_id, through)).first() is not None


def must_ask(merchant_id: int) -> bool:
    """Nothing has been sent to this account yet: it can still be told what was there before."""
    same = and_(
        ProfileSweep.merchant_id == merchant_id, ProfileSweep.klaviyo_account_id == Connection.klaviyo_account_id
    )
    query = select(Connection.merchant_id).where(
        Connection.merchant_id == merchant_id, profile_outbox.sending(), ~exists().where(same)
    )
    return db.session.scalar(query) is not None


def begin(merchant_id: int, seen: Sequence[Profile] | None, now: datetime) -> bool:
    """Begin a sweep where one is due. `seen` is a sample of the account's profiles before anything was sent."""
    basis = db.session.execute(
        _BASIS.where(Connection.merchant_id == merchant_id).with_for_update(of=Connection)
    ).first()
    if basis is None:
        return False
    last = db.session.get(ProfileSweep, merchant_id, populate_existing=True)
    if last is not None and _basis_of(last) == tuple(basis)[1:]:
        return False
    another = last is not None and last.klaviyo_account_id != basis.klaviyo_account_id
    unfinished = last is not None and last.afresh and last.marked_at is None
    total = db.session.scalar(select(func.count()).where(Customer.merchant_id == merchant_id, _REACHABLE)) or 0
    if last is None:
        last = ProfileSweep(merchant_id=merchant_id)
        db.session.add(last)
    last.klaviyo_account_id = basis.klaviyo_account_id
    last.programme_version, last.slug = basis.programme_version, basis.slug
    last.started_at, last.reached, last.done, last.marked_at, last.ended_at = now, 0, 0, None, None
    last.afresh = another or unfinished
    last.total = total
    if seen is not None:
        # The example profile may be there already; it is ours.
        theirs = [each.properties or {} for each in seen if each.email != EXAMPLE]
        last.found_before = json.dumps([name for name in NAMES if any(name in each for each in theirs)])
    db.session.flush()
    return True


def _basis_of(sweep: ProfileSweep) -> tuple[Any, ...]:
    return sweep.klaviyo_account_id, sweep.programme_version, sweep.slug


def mark_more(merchant_id: int, now: datetime) -> int:
    """Mark the next customers; how many. None are left where there are fewer than were looked for."""
    sweep = db.session.scalar(
        select(ProfileSweep)
        .where(ProfileSweep.merchant_id == merchant_id, ProfileSweep.marked_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if sweep is None:
        return 0
    # Customers are locked first, in one order, as by whoever records an event.
    ids = db.session.scalars(
        select(Customer.id)
        .where(Customer.merchant_id == merchant_id, Customer.id > sweep.reached, _REACHABLE)
        .order_by(Customer.id)
        .limit(AT_ONCE)
        .with_for_update(read=True, key_share=True)
    ).all()
    if ids:
        _mark(merchant_id, ids, now, afresh=sweep.afresh)
        sweep.reached = ids[-1]
    if len(ids) < AT_ONCE:
        sweep.marked_at = now
    return len(ids)


def _mark(merchant_id: int, ids: Sequence[int], now: datetime, *, afresh: bool) -> None:
    if afresh:
        # Ids of profiles are another account's; whoever is known by nothing else keeps it, as a person gave it.
        forget = update(Customer).where(
            one_of(Customer.id, ids), or_(Customer.email.is_not(None), Customer.phone.is_not(None))
        )
        db.session.execute(forget.values(klaviyo_profile_id=None).execution_options(synchronize_session=False))
    everybody = (
        select(Customer.id, literal(merchant_id), literal(now, ProfileSync.due_at.type), literal(0), literal(0))
        .where(one_of(Customer.id, ids))
        .order_by(Customer.id)
    )
    marked = insert_or_update(ProfileSync).from_select(
        ["customer_id", "merchant_id", "due_at", "revision", "attempts"], everybody
    )
    values: dict[str, Any] = {
        "due_at": func.coalesce(ProfileSync.due_at, marked.excluded.due_at),
        "revision": ProfileSync.revision + 1,
    }
    if afresh:
        values |= {"sent": null(), "held": False, "email_refused": False, "problem": null(), "problem_at": null()}
    db.session.execute(marked.on_conflict_do_update(index_elements=["customer_id"], set_=values))


def count(merchant_id: int, settled: int) -> None:
    """So many more are in step."""
    if settled:
        db.session.execute(
            update(ProfileSweep)
            .where(ProfileSweep.merchant_id == merchant_id, ProfileSweep.ended_at.is_(None))
            .values(
                done=case(
                    (ProfileSweep.done + settled > ProfileSweep.total, ProfileSweep.total),
                    else_=ProfileSweep.done + settled,
                )
            )
            .execution_options(synchronize_session=False)
        )


def end(merchant_id: int, now: datetime) -> None:
    """Everybody has been looked at, and nothing is due or under way any more."""
    db.session.execute(
        update(ProfileSweep)
        .where(
            ProfileSweep.merchant_id == merchant_id,
            ProfileSweep.marked_at.is_not(None),
            ProfileSweep.ended_at.is_(None),
        )
        .values(ended_at=now)
        .execution_options(synchronize_session=False)
    )


def of(merchant_id: int) -> ProfileSweep | None:
    return db.session.get(ProfileSweep, merchant_id, populate_existing=True)


def found_before(merchant_id: int) -> list[str]:
    """Names of ours that profiles of the account had before anything was sent."""
    sweep = of(merchant_id)
    names: list[str] = json.loads(sweep.found_before) if sweep and sweep.found_before else []
    return names


def progress(merchant_id: int, now: datetime) -> Progress | None:
    """How far the present one is; None where there is none, or nobody to look at."""
    sweep = of(merchant_id)
    if sweep is None or sweep.ended_at is not None or not sweep.total:
        return None
    left = None
    if sweep.done >= sweep.total * ENOUGH_TO_ESTIMATE and sweep.done:
        left = (now - sweep.started_at).total_seconds() / sweep.done * (sweep.total - sweep.done)
    return Progress(sweep.total, sweep.done, sweep.started_at, left)
