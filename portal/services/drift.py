"""Comparing a sample of profiles with the ledger: what share is in step, and repairing only what differs.

A sample is fair where customers are drawn from all over the list; those of whom something is due anyway are left out.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, exists, func, or_, select, update

from portal.db import db, one_of
from portal.klaviyo import Client
from portal.klaviyo import profiles as wire
from portal.klaviyo.profiles import Profile
from portal.models import Connection, Customer, DriftCheck, ProfileSweep, ProfileSync
from portal.services import profile_outbox
from portal.services.profile_contract import NAMES

EVERY = timedelta(days=1)
SAMPLE = 200
# So many neighbours are taken at each of the places that are drawn.
NEIGHBOURS = 10
KEPT = 14
LEASE = timedelta(minutes=2)


@dataclass(frozen=True)
class Drawn:
    """One customer of the sample, and how Klaviyo is asked about them."""

    customer_id: int
    klaviyo_profile_id: str | None
    email: str | None
    phone: str | None

    @property
    def asked_by(self) -> tuple[str, str]:
        if self.klaviyo_profile_id:
            return "id", self.klaviyo_profile_id
        return ("email", self.email) if self.email else ("phone_number", self.phone or "")


# --- when ----------------------------------------------------------------------------------------


def begin(merchant_id: int, now: datetime, *, by_hand: bool) -> DriftCheck:
    """Ask for a check; the one that is under way is enough."""
    running = db.session.scalar(_of(merchant_id).where(DriftCheck.ended_at.is_(None)).limit(1))
    if running is not None:
        return running
    check = DriftCheck(merchant_id=merchant_id, started_at=now, due_at=now, by_hand=by_hand)
    db.session.add(check)
    old = select(DriftCheck.id).where(DriftCheck.merchant_id == merchant_id).order_by(DriftCheck.id.desc()).offset(KEPT)
    for each in db.session.scalars(select(DriftCheck).where(DriftCheck.id.in_(old))):
        db.session.delete(each)
    return check


def merchants_for_daily(now: datetime) -> Sequence[int]:
    """Merchants whose last check is a day ago, and whose customers have all been sent."""
    lately = exists().where(DriftCheck.merchant_id == Connection.merchant_id, DriftCheck.started_at > now - EVERY)
    sent = exists().where(
        ProfileSweep.merchant_id == Connection.merchant_id, ProfileSweep.ended_at < now - EVERY, ProfileSweep.total > 0
    )
    query = select(Connection.merchant_id).where(profile_outbox.sending(), sent, ~lately)
    return db.session.scalars(query).all()


def take(now: datetime) -> int | None:
    """A check that waits for a worker, or whose worker is gone; nobody else is given it for a while."""
    query = (
        select(DriftCheck)
        .join(Connection, Connection.merchant_id == DriftCheck.merchant_id)
        .where(DriftCheck.ended_at.is_(None), DriftCheck.due_at <= now)
        .where(or_(Connection.paused_until.is_(None), Connection.paused_until <= now))
        .limit(1)
        .with_for_update(of=DriftCheck, skip_locked=True)
    )
    check = db.session.scalar(query.execution_options(populate_existing=True))
    if check is None:
        return None
    check.due_at = now + LEASE
    return check.id


def merchant_of(check_id: int) -> int | None:
    """Whose check it is; None where it has ended."""
    query = select(DriftCheck.merchant_id).where(DriftCheck.id == check_id, DriftCheck.ended_at.is_(None))
    return db.session.scalar(query)


def latest(merchant_id: int) -> Sequence[DriftCheck]:
    """The newest first."""
    query = _of(merchant_id).order_by(DriftCheck.id.desc()).limit(KEPT)
    return db.session.scalars(query.execution_options(populate_existing=True)).all()


def _of(merchant_id: int) -> Select[DriftCheck]:
    return select(DriftCheck).where(DriftCheck.merchant_id == merchant_id)


# --- what ----------------------------------------------------------------------------------------


def draw(merchant_id: int) -> list[Drawn]:
    """A sample of customers whose profiles should be in step."""
    ends = select(func.min(Customer.id), func.max(Customer.id)).where(Customer.merchant_id == merchant_id)
    first, last = db.session.execute(ends).one()
    if first is None:
        return []
    found: dict[int, Drawn] = {}
    for place in sorted(random.randint(first, last) for _ in range(SAMPLE // NEIGHBOURS)):  # noqa: S311 - a sample
        found.update({each.customer_id: each for each in _settled(merchant_id, place, NEIGHBOURS)})
    if len(found) < SAMPLE:
        found.update({each.customer_id: each for each in _settled(merchant_id, first, SAMPLE - len(found))})
    return list(found.values())


def _settled(merchant_id: int, place: int, count: int) -> list[Drawn]:
    columns = (Customer.id, Customer.klaviyo_profile_id, Customer.email, Customer.phone)
    query = (
        select(*columns)
        .join(ProfileSync, ProfileSync.customer_id == Customer.id)
        .where(Customer.merchant_id == merchant_id, Customer.id >= place)
        .where(ProfileSync.due_at.is_(None), ProfileSync.sent_at.is_not(None), ProfileSync.held.is_(False))
        .where(ProfileSync.problem.is_(None), or_(*(column.is_not(None) for column in columns[1:])))
        .order_by(Customer.id)
        .limit(count)
    )
    return [Drawn(*row) for row in db.session.execute(query)]


def ask(client: Client, drawn: Sequence[Drawn]) -> dict[int, Profile]:
    """The profile of each, where Klaviyo has it. HTTP. Raises a `KlaviyoError`."""
    by: dict[str, dict[str, int]] = {"id": {}, "email": {}, "phone_number": {}}
    for each in drawn:
        name, value = each.asked_by
        by[name][value] = each.customer_id
    found: dict[int, Profile] = {}
    for name, wanted in by.items():
        for profile in wire.fetch_by(client, name, list(wanted)):
            value = {"id": profile.id, "email": (profile.email or "").lower(), "phone_number": profile.phone or ""}[
                name
            ]
            if value in wanted:
                found[wanted[value]] = profile
    return found


def save(check_id: int, drawn: Sequence[Drawn], found: Mapping[int, Profile], now: datetime) -> None:
    """Write down what was seen, and let what differs be sent again, and only that."""
    check = db.session.get(DriftCheck, check_id, populate_existing=True)
    if check is None or check.ended_at is not None:
        return
    ids = [each.customer_id for each in drawn]
    still = set(
        db.session.scalars(
            select(ProfileSync.customer_id)
            .where(one_of(ProfileSync.customer_id, ids), ProfileSync.due_at.is_(None))
            .order_by(ProfileSync.customer_id)
            .with_for_update()
        )
    )
    for person, properties in profile_outbox.properties_now(check.merchant_id, still, now):
        profile = found.get(person.id)
        there = {name: (profile.properties or {}).get(name) for name in NAMES} if profile else None
        check.compared += 1
        if there == properties:
            check.in_step += 1
            continue
        check.missing += profile is None
        check.differing += profile is not None
        _repair(person.id, there, now)
    check.ended_at = now


def _repair(customer_id: int, there: Mapping[str, Any] | None, now: datetime) -> None:
    """What Klaviyo has is known now, so that only the difference is sent."""
    query = update(ProfileSync).where(ProfileSync.customer_id == customer_id)
    values = {"due_at": now, "sent": json.dumps(there) if there is not None else None}
    db.session.execute(query.values(**values).execution_options(synchronize_session=False))


def give_up(check_id: int, problem: str, now: datetime) -> None:
    """It could not be done; a person is told why."""
    check = db.session.get(DriftCheck, check_id, populate_existing=True)
    if check is not None and check.ended_at is None:
        check.ended_at, check.problem = now, problem[:200]
