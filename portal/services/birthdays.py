"""Telling of birthdays: once a year, in the morning of the merchant's time zone. Who was born on 29 February has theirs on the 28th
in other years.

The year is noted on the customer in the same transaction, and the event's id is the same whoever tells it. What was missed while
nothing ran is caught up for a week.
"""

from __future__ import annotations

import hashlib
from calendar import isleap
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select, update

from portal.db import db, insert_or_update, one_of
from portal.models import Customer, Merchant, PeriodicTask
from portal.services import events
from portal.services.customers import Identifiers
from portal.services.recording import DERIVED, Told

AT_ONCE = 500
# Nobody wants to be congratulated at midnight.
FROM_HOUR = 8
# Today, and what was missed before: later than that nobody wants to be congratulated either.
MOST_DAYS = 8
TOLD_UNTIL = "birthdays told until"
LEAP_DAY = 229


def days_due(now: datetime) -> dict[date, list[str]]:
    """The days whose morning has come somewhere and that are not told to their end, with the time zones where it has."""
    until = db.session.scalar(select(PeriodicTask.ran_at).where(PeriodicTask.name == TOLD_UNTIL))
    days: dict[date, list[str]] = defaultdict(list)
    for zone in db.session.scalars(select(Merchant.timezone).distinct()):
        today = _morning_of(now, zone)
        missed = (today - _morning_of(until, zone)).days if until else 1
        # Of today some may have become known since it was told.
        for ago in range(min(max(missed, 1), MOST_DAYS)):
            days[today - timedelta(days=ago)].append(zone)
    return dict(sorted(days.items()))


def _morning_of(moment: datetime, zone: str) -> date:
    """The last day whose morning had come by then."""
    return (moment.astimezone(ZoneInfo(zone)) - timedelta(hours=FROM_HOUR)).date()


def note_told(now: datetime) -> None:
    """Every birthday whose morning came until then has been told."""
    told = insert_or_update(PeriodicTask).values(name=TOLD_UNTIL, due_at=now, ran_at=now)
    db.session.execute(told.on_conflict_do_update(index_elements=["name"], set_={"ran_at": now}))


def birthdays_on(day: date) -> list[int]:
    """Whose turn it is, as `customers.birthday` writes a day."""
    today = day.month * 100 + day.day
    return [today, LEAP_DAY] if today == LEAP_DAY - 1 and not isleap(day.year) else [today]


def tell(day: date, zones: Iterable[str], now: datetime) -> bool:
    """Tell of the next ones; False when everybody has been told of."""
    due = (
        select(Customer.id, Customer.merchant_id)
        .join(Merchant, Merchant.id == Customer.merchant_id)
        .where(Customer.birthday.in_(birthdays_on(day)), Merchant.timezone.in_(zones))
        .where(Customer.birthday_told_in.is_(None) | (Customer.birthday_told_in < day.year))
        .order_by(Customer.id)
        .limit(AT_ONCE)
        # Another ticker that does the same waits for nothing and takes the others.
        .with_for_update(of=Customer, skip_locked=True, key_share=True)
    )
    rows = db.session.execute(due).all()
    by_merchant: dict[int, list[int]] = defaultdict(list)
    for customer_id, merchant_id in rows:
        by_merchant[merchant_id].append(customer_id)
    for merchant_id, ids in sorted(by_merchant.items()):
        db.session.execute(
            update(Customer)
            .where(one_of(Customer.id, ids))
            .values(birthday_told_in=day.year)
            .execution_options(synchronize_session=False)
        )
        events.record(merchant_id, [_told(customer_id, day.year, now) for customer_id in ids])
    return len(rows) == AT_ONCE


def _told(customer_id: int, year: int, now: datetime) -> Told:
    event_id = f"{DERIVED}birthday:{customer_id}:{year}"
    digest = hashlib.blake2b(event_id.encode(), digest_size=16).digest()
    return Told(event_id, "customer_birthday", Identifiers(id=customer_id), now, {}, digest, source="portal")
