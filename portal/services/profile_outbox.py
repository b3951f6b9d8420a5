"""Profiles that are to be brought in step, and the only place that writes their schedule: claim, settle, release.

As in the outbox, a claim leases rows by moving `due_at` ahead. A lease that ends unsettled leaves open what Klaviyo has, so that
everything is sent again. Locks are taken in one order everywhere: customers, then their rows here.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, case, exists, or_, select, update

from portal.bulk import update_rows
from portal.db import changed_rows, db, new_id, one_of
from portal.klaviyo import profiles as wire
from portal.models import Connection, ConnectionState, Customer, Merchant, Module, ModuleSwitch, ProfileSync
from portal.services import ledger
from portal.services.delivering import Refusal
from portal.services.ledger import COALESCE
from portal.services.outbox import FAILURES_BEFORE_PROBING, GIVEN_UP, JITTER, RETRY_AFTER, Mode, may_send
from portal.services.profile_contract import difference, properties_of
from portal.services.rules import current_rules
from portal.services.smart_link import link_of
from portal.services.standing import STATE, Standing, score

SINGLE_LIMIT = 50
# With this many waiting or fewer it is quiet, and each goes by itself: there within a second, with the profile's id as answer.
QUIET = 10
# About as many fit into one request; whoever claims more holds them in memory while others could send them.
BULK_LIMIT = 5_000

_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True)
class Update:
    """A leased row, as far as sending it needs: `properties` is JSON of what differs, `whole` of all that holds then."""

    customer_id: int
    attempts: int
    klaviyo_profile_id: str | None
    email: str | None
    phone: str | None
    properties: str
    whole: str

    @property
    def resource(self) -> str:
        return wire.upsert(
            klaviyo_profile_id=self.klaviyo_profile_id, email=self.email, phone=self.phone, properties=self.properties
        )

    @property
    def identifier(self) -> str:
        """The one by which Klaviyo is told."""
        return self.klaviyo_profile_id or self.email or self.phone or ""


@dataclass(frozen=True)
class Batch:
    """What one claim leased of one merchant. `idle` rows turned out to have nothing to send, and are settled already."""

    merchant_id: int
    lease: int
    mode: Mode
    updates: tuple[Update, ...] = ()
    idle: int = 0
    after_failures: bool = False


# --- what is due ---------------------------------------------------------------------------------


def _due(merchant_id: int, now: datetime) -> Select[Any]:
    return (
        select(ProfileSync.customer_id)
        .where(ProfileSync.merchant_id == merchant_id, ProfileSync.due_at <= now)
        .order_by(ProfileSync.due_at, ProfileSync.customer_id)
    )


def mode_for(merchant_id: int, now: datetime) -> Mode | None:
    """How to send what is due; None where nothing is. Reads only, and little."""
    rows = db.session.execute(_due(merchant_id, now).add_columns(ProfileSync.alone).limit(QUIET + 1)).all()
    if not rows:
        return None
    return Mode.SINGLE if len(rows) <= QUIET or rows[0].alone else Mode.BULK


def sending() -> Any:
    """Condition on `Connection`: its merchant's properties are sent, which is part of the Events module."""
    return and_(
        Connection.state == ConnectionState.CONNECTED,
        exists().where(ModuleSwitch.merchant_id == Connection.merchant_id, ModuleSwitch.module == Module.EVENTS),
    )


def merchants_due(now: datetime) -> Sequence[int]:
    """Merchants with a profile to bring in step now."""
    waiting = exists().where(ProfileSync.merchant_id == Connection.merchant_id, ProfileSync.due_at <= now)
    rested = or_(Connection.paused_until.is_(None), Connection.paused_until <= now)
    return db.session.scalars(select(Connection.merchant_id).where(sending(), rested, waiting)).all()


# --- claiming ------------------------------------------------------------------------------------


def claim(merchant_id: int, mode: Mode, now: datetime, lease_seconds: int) -> Batch | None:
    """Lease what is due. None where nothing is, the connection rests, or Events is off."""
    connection = db.session.scalar(
        select(Connection)
        .where(Connection.merchant_id == merchant_id, sending())
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if connection is None or not may_send(connection, now):
        return None
    limit = BULK_LIMIT if mode is Mode.BULK else SINGLE_LIMIT
    if connection.failures_in_a_row >= FAILURES_BEFORE_PROBING:
        mode, limit = Mode.SINGLE, 1
    due = _due(merchant_id, now).limit(limit)
    if mode is Mode.BULK:
        due = due.where(ProfileSync.alone.is_(False))
    # Whoever holds a row is about to mark it again, and holds customers too: waiting for them could go round in a circle.
    ids = db.session.scalars(due.with_for_update(skip_locked=True)).all()
    if not ids:
        return None
    lease = new_id()
    rows = db.session.execute(
        update(ProfileSync)
        .where(one_of(ProfileSync.customer_id, ids))
        .values(
            due_at=now + timedelta(seconds=lease_seconds),
            attempts=ProfileSync.attempts + 1,
            lease=lease,
            revision=0,
            sent=case((ProfileSync.lease.is_(None), ProfileSync.sent), else_=None),
        )
        .returning(
            ProfileSync.customer_id,
            ProfileSync.attempts,
            ProfileSync.sent,
            ProfileSync.held,
            ProfileSync.email_refused,
        )
        .execution_options(synchronize_session=False)
    ).all()
    updates = _updates(merchant_id, rows, now)
    idle = {row.customer_id for row in rows} - {each.customer_id for each in updates}
    batch = Batch(merchant_id, lease, mode, tuple(updates), len(idle), connection.failures_in_a_row > 0)
    _finish(batch, idle, now)
    return batch


def _updates(merchant_id: int, rows: Iterable[Any], now: datetime) -> list[Update]:
    """What there is to say of each, in the order of their ids; nothing of one who is held or cannot be reached."""
    by_id = {row.customer_id: row for row in rows if not row.held}
    found = []
    for person, properties in properties_now(merchant_id, by_id, now):
        row = by_id[person.id]
        differing = difference(properties, json.loads(row.sent) if row.sent else None)
        if differing and (person.klaviyo_profile_id or person.email or person.phone):
            email = None if row.email_refused and person.phone else person.email
            identifiers = (person.klaviyo_profile_id, email, person.phone)
            whole = _json(properties)
            told = whole if len(differing) == len(properties) else _json(differing)
            found.append(Update(person.id, row.attempts, *identifiers, told, whole))
    return found


_WHO = ("id", "klaviyo_profile_id", "email", "phone", "link_token", "created_at", "joined_at")
_COLUMNS = tuple(Customer.__table__.c[name] for name in (*_WHO, *STATE))


def properties_now(
    merchant_id: int, customer_ids: Iterable[int], now: datetime
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """(a row with the customer's identifiers, the properties as the ledger has them) each, in the order of ids.

    One by one: ten thousand of them at once take more memory than everything else.
    """
    ids = sorted(customer_ids)
    rules = current_rules(merchant_id)
    slug = db.session.scalars(select(Merchant.slug).where(Merchant.id == merchant_id)).one()
    people = db.session.execute(
        select(*_COLUMNS).where(one_of(_COLUMNS[0], ids), Customer.merchant_id == merchant_id).order_by(_COLUMNS[0])
    ).all()
    earned = ledger.earnings(rules, ids, now)
    for person in people:
        standing = Standing(person.id, *person[len(_WHO) :])
        points = score(rules, standing, earned[person.id], now)
        joined = person.joined_at or person.created_at
        yield person, properties_of(rules, standing, points, joined, link_of(slug, person.link_token))


# --- settling ------------------------------------------------------------------------------------


def hold(batch: Batch, ids: Iterable[int]) -> list[int]:
    """Those of them that are still this batch's, locked. A customer who has been erased is in none."""
    query = (
        select(ProfileSync.customer_id)
        .where(one_of(ProfileSync.customer_id, ids), ProfileSync.lease == batch.lease)
        .order_by(ProfileSync.customer_id)
    )
    return list(db.session.scalars(query.with_for_update()))


def confirm(batch: Batch, taken: Update, now: datetime) -> int:
    """Klaviyo has this one. How many rows were still ours."""
    return _finish(batch, [taken.customer_id], now, sent=taken.whole, sent_at=now)


def confirm_import(batch: Batch, ids: Iterable[int], now: datetime) -> int:
    """Klaviyo has what was handed over of these. How many rows were still its."""
    return _finish(batch, hold(batch, ids), now, sent_at=now)


def hand_over(batch: Batch, updates: Sequence[Update], to: int, until: datetime) -> None:
    """Klaviyo is working on these: their lease is that import's, until it says how it went, or until then."""
    held = set(hold(batch, [each.customer_id for each in updates]))
    rows = [
        {"customer_id": each.customer_id, "sent": each.whole, "lease": to, "due_at": until}
        for each in updates
        if each.customer_id in held
    ]
    if rows:
        update_rows(ProfileSync, rows)


def _finish(batch: Batch, ids: Iterable[int], now: datetime, **values: Any) -> int:
    """Nothing is due any more, unless something changed meanwhile. An address that is not taken stays a problem."""
    again = case((ProfileSync.revision > 0, now + COALESCE), else_=None)
    problem = {
        name: case((ProfileSync.email_refused, ProfileSync.__table__.c[name])) for name in ("problem", "problem_at")
    }
    clean = {"attempts": 0, "alone": False, **problem}
    return _settle(batch, ids, due_at=again, **{**clean, **values})


def reject(batch: Batch, reasons: Mapping[int, Refusal], now: datetime, **values: Any) -> int:
    """Klaviyo does not take these as they are; a person is told why, and a change of the customer tries again. How many.

    Of whom it does not take the email address is told by phone number at once, where there is one.
    """
    rejected = 0
    for why in set(reasons.values()):
        ids = hold(batch, [customer_id for customer_id, each in reasons.items() if each == why])
        by_phone = _reachable_by_phone(ids) if why.of_email else set()
        told = {"problem": why.reason[:500], "problem_at": now}
        _settle(batch, by_phone, due_at=now, attempts=0, sent=None, email_refused=True, **told)
        rejected += _finish(batch, set(ids) - by_phone, now, **told, **values)
    return rejected


def _reachable_by_phone(ids: Iterable[int]) -> set[int]:
    """Who was named by email, and can be named by phone number instead."""
    query = select(Customer.id).join(ProfileSync, ProfileSync.customer_id == Customer.id)
    named_by_email = (Customer.klaviyo_profile_id.is_(None), ProfileSync.email_refused.is_(False))
    return set(db.session.scalars(query.where(one_of(Customer.id, ids), Customer.phone.is_not(None), *named_by_email)))


def postpone(batch: Batch, updates: Sequence[Update], now: datetime, reason: str) -> None:
    """Try again later, or tell a person where the schedule is used up. Klaviyo may have taken them all the same."""
    for attempts in {each.attempts for each in updates}:
        ids = hold(batch, [each.customer_id for each in updates if each.attempts == attempts])
        if attempts > len(RETRY_AFTER):
            given_up = f"{GIVEN_UP} Last: {reason}"[:500]
            _finish(batch, ids, now, sent=None, problem=given_up, problem_at=now)
            continue
        pause = RETRY_AFTER[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spread, not secrecy
        _settle(batch, ids, due_at=now + timedelta(seconds=pause), sent=None)


def make_due(batch: Batch, ids: Iterable[int], now: datetime) -> None:
    """Klaviyo may or may not have these: all of it is sent again, now."""
    _settle(batch, hold(batch, ids), due_at=now, sent=None)


def release(batch: Batch, ids: Iterable[int], now: datetime) -> None:
    """Give rows back as if they had not been claimed: nothing was tried, or it does not count."""
    _settle(batch, hold(batch, ids), due_at=now, attempts=ProfileSync.attempts - 1)


def keep_alone(batch: Batch, ids: Iterable[int], now: datetime) -> None:
    """Due at once, and each by itself from now on."""
    _settle(batch, hold(batch, ids), due_at=now, alone=True)


def _settle(batch: Batch, ids: Iterable[int], **values: Any) -> int:
    ids = list(ids)
    if not ids:
        return 0
    result = db.session.execute(
        update(ProfileSync)
        .where(one_of(ProfileSync.customer_id, ids), ProfileSync.lease == batch.lease)
        .values(lease=None, **values)
        .execution_options(synchronize_session=False)
    )
    return changed_rows(result)
