"""Sets the stage for the tests of services: rows made through the services themselves, and answers of Klaviyo's to order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.klaviyo import Answer
from portal.klaviyo.oauth import Tokens
from portal.models import Connection, Delivery, Module
from portal.services import accounts, connecting, delivering, events, modules, outbox
from portal.services.connecting import Granted
from portal.services.customers import Identifiers
from portal.services.delivering import Judgement
from portal.services.events import Outcome
from portal.services.outbox import Batch, Mode
from portal.services.recording import Told
from tests.factories import know

ACTOR = "owner@nordic.example"
ACCOUNT = "K9x2Lm"
LEASE = 60
_numbers = count(1)


def make_merchant(timezone: str = "UTC") -> int:
    with transaction():
        return accounts.create_merchant("Nordic Coffee", slug=f"stage-{next(_numbers)}", timezone=timezone).id


def tokens(access: str = "access-1", refresh: str | None = "refresh-1", seconds: float = 3600) -> Tokens:
    return Tokens(access, refresh, utcnow() + timedelta(seconds=seconds), tuple(connecting.SCOPES))


def connect(merchant_id: int, account: str = ACCOUNT, given: Tokens | None = None) -> None:
    with transaction():
        connecting.save(merchant_id, Granted(given or tokens(), account, f"Account {account}"), ACTOR)


def switch_on(merchant_id: int, module: Module = Module.EVENTS) -> None:
    with transaction():
        modules.switch(merchant_id, module, True, ACTOR)


def connection(merchant_id: int) -> Connection:
    """As it is in the database now."""
    query = select(Connection).where(Connection.merchant_id == merchant_id).execution_options(populate_existing=True)
    return db.session.scalars(query).one()


def change_connection(merchant_id: int, **values: Any) -> None:
    with transaction():
        row = connection(merchant_id)
        for name, value in values.items():
            setattr(row, name, value)


def told(event_id: str, who: str | Identifiers = "ada@example.com", **changes: Any) -> Told:
    """An event as a program tells it, about the customer with this email address unless told otherwise."""
    customer = Identifiers(email=who) if isinstance(who, str) else who
    digest = events.digest_of({"id": event_id, "who": repr(customer), "changes": repr(changes)})
    given = {
        "type": "balance_changed",
        "occurred_at": datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
        "properties": {"change": 5},
    }
    return Told(event_id=event_id, customer=customer, digest=digest, **{**given, **changes})


def record(merchant_id: int, *what: Told | str) -> list[Outcome]:
    """Of customers who are known already, so that each event is one event."""
    events_told = [told(each) if isinstance(each, str) else each for each in what]
    know(merchant_id, [event.customer for event in events_told])
    with transaction():
        return events.record(merchant_id, events_told)


def record_many(merchant_id: int, number: int, customers: int | None = None) -> None:
    """`e0`, `e1`, ... spread over customers `c0`, `c1`, ...; each has a customer of its own unless told otherwise."""
    record(merchant_id, *(told(f"e{n}", f"c{n % (customers or number)}@example.com") for n in range(number)))


def claim(merchant_id: int, mode: Mode = Mode.SINGLE, *, after: float = 0) -> Batch | None:
    """What a worker would be given this many seconds from now."""
    with transaction():
        return outbox.claim(merchant_id, mode, utcnow() + timedelta(seconds=after), LEASE)


def must_claim(merchant_id: int, mode: Mode = Mode.SINGLE, *, after: float = 0) -> Batch:
    batch = claim(merchant_id, mode, after=after)
    assert batch is not None
    return batch


def answer(status: int | None = 202, body: str = "", *, content_type: str = "application/json", **more: Any) -> Answer:
    return Answer(
        method="POST",
        path="/api/events",
        started_at=utcnow(),
        duration_ms=12,
        status=status,
        content_type=content_type,
        body=body.encode(),
        **more,
    )


def settle(batch: Batch, given: Answer, *, first: int | None = None, after: float = 0) -> Judgement:
    """Judge and write down an answer to the first of a batch, or to all of it."""
    parcels = batch.parcels[:first]
    judgement = delivering.judge(given)
    with transaction():
        delivering.settle(batch, parcels, given, judgement, utcnow() + timedelta(seconds=after))
    return judgement


def deliveries(merchant_id: int) -> list[Delivery]:
    """Every row of the outbox as it is now, oldest first."""
    query = select(Delivery).where(Delivery.merchant_id == merchant_id).order_by(Delivery.id)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def states(merchant_id: int) -> list[str]:
    return [str(row.state) for row in deliveries(merchant_id)]


def event_ids(batch: Batch | None) -> list[str]:
    """What a batch carries, by the merchant's ids."""
    if batch is None:
        return []
    rows = {row.id: row.event.event_id for row in deliveries(batch.merchant_id)}
    return [rows[parcel.id] for parcel in batch.parcels]
