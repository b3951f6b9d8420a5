"""Sets the stage for tests of profiles: customers with points, and turns of the job whose time has come."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import select, update

from portal.db import db, transaction, utcnow
from portal.jobs import profiles
from portal.models import Customer, IdentityCase, ProfileImport, ProfileSync
from portal.services import events, ledger
from portal.services.customers import Identifiers
from portal.services.recording import Told
from tests.factories import Shop, know


def give_points(app: Flask, shop: Shop, points: float, **who: str) -> None:
    """A balance change, told as a program would."""
    customer = Identifiers(**who)  # type: ignore[arg-type]
    name = f"{who}-{utcnow().timestamp()}"
    told = Told(name, "balance_changed", customer, utcnow(), {"change": points}, name.encode()[-16:])
    with app.app_context():
        know(shop.id, [customer])
        with transaction():
            assert events.record(shop.id, [told]) == [events.ACCEPTED]


def know_many(app: Flask, shop: Shop, number: int, prefix: str = "c", **changes: str) -> None:
    """Customers `c0@example.com`, `c1@...`, who are all to be brought in step now; nothing is told of them."""
    with app.app_context():
        people = know(shop.id, [Identifiers(email=f"{prefix}{place}@example.com") for place in range(number)])
        with transaction():
            ledger.mark_profiles(shop.id, [person.id for person in people if person], utcnow() - ledger.COALESCE)


def let_time_pass(app: Flask, shop: Shop, seconds: float = 10) -> None:
    """What waits for a moment is closer to it; what is leased is too, as if its worker had been gone for so long."""
    earlier = timedelta(seconds=seconds)
    with app.app_context(), transaction():
        for row in db.session.scalars(select(ProfileSync).where(ProfileSync.merchant_id == shop.id)):
            row.due_at = row.due_at and row.due_at - earlier
        for each in db.session.scalars(select(ProfileImport).where(ProfileImport.merchant_id == shop.id)):
            each.due_at -= earlier


def turn(app: Flask, shop: Shop) -> bool:
    with app.app_context():
        return profiles.take_turn(shop.id)


def settle_down(app: Flask, shop: Shop) -> None:
    """Turn after turn until nothing is due or under way."""
    for _ in range(40):
        let_time_pass(app, shop)
        if not turn(app, shop) and not _busy(app, shop):
            return
    raise AssertionError([(row.customer_id, row.due_at, row.problem) for row in syncs(app, shop)][:3])


def _busy(app: Flask, shop: Shop) -> bool:
    with app.app_context():
        due = select(ProfileSync.customer_id).where(ProfileSync.merchant_id == shop.id, ProfileSync.due_at.is_not(None))
        job = select(ProfileImport.id).where(ProfileImport.merchant_id == shop.id)
        return bool(db.session.scalars(due.limit(1)).first() or db.session.scalars(job.limit(1)).first())


def syncs(app: Flask, shop: Shop) -> list[ProfileSync]:
    with app.app_context():
        query = select(ProfileSync).where(ProfileSync.merchant_id == shop.id).order_by(ProfileSync.customer_id)
        return list(db.session.scalars(query.execution_options(populate_existing=True)))


def sync_of(app: Flask, shop: Shop, **who: str) -> ProfileSync:
    customer = customer_of(app, shop, **who)
    return next(row for row in syncs(app, shop) if row.customer_id == customer.id)


def customer_of(app: Flask, shop: Shop, **who: str) -> Customer:
    with app.app_context():
        query = select(Customer).filter_by(merchant_id=shop.id, **who).execution_options(populate_existing=True)
        return db.session.scalars(query).one()


def change_customer(app: Flask, shop: Shop, customer: Customer, **values: Any) -> None:
    with app.app_context(), transaction():
        db.session.execute(update(Customer).where(Customer.id == customer.id).values(**values))
        ledger.mark_profiles(shop.id, [customer.id], utcnow() - ledger.COALESCE)


def cases(app: Flask, shop: Shop) -> list[IdentityCase]:
    with app.app_context():
        query = select(IdentityCase).where(IdentityCase.merchant_id == shop.id).order_by(IdentityCase.id)
        return list(db.session.scalars(query.execution_options(populate_existing=True)))
