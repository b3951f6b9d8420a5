"""One transaction's worth of events on their way into the database: what each does to its customer, and the rows that follow.

Everything is decided in memory under the customers' locks, and then written table by table.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

from pydantic_core import to_json
from sqlalchemy import bindparam, exists, select

from portal import queue
from portal.bulk import insert_rows
from portal.db import new_ids, on_commit, run, utcnow
from portal.errors import PortalError
from portal.klaviyo import bodies
from portal.models import (
    Connection,
    ConnectionState,
    Delivery,
    DeliveryState,
    ErasedEvent,
    Event,
    EventChoice,
    Module,
    ModuleSwitch,
    Programme,
    Redemption,
    Unsent,
)
from portal.services import cards, customers, ledger
from portal.services.catalogue import COMPUTED, RECORDED
from portal.services.customers import Identifiers, Person
from portal.services.effects import (
    BALANCE_CHANGED,
    CUSTOMER_CREATED,
    Happening,
    Subject,
    apply,
    review,
    welcome,
    without_balance,
)
from portal.services.rules import RewardRule, Rules, rules_of
from portal.services.standing import Standing

# Ids of events that follow from others begin like this; nobody else may use such an id.
DERIVED = "jc:"


class Told(NamedTuple):
    """An event as it was told, already checked. `digest` is of what was sent; `source` says where it came from.

    A `trial` shows that the road is open: it has no effect on anybody's standing.
    """

    event_id: str
    type: str
    customer: Identifiers
    occurred_at: datetime
    properties: dict[str, Any]
    digest: bytes
    source: str = "api"
    trial: bool = False


class Recording:
    """Collects rows for the customers of one list of events. `take` each event in order, then `write` once."""

    def __init__(self, merchant_id: int, people: Sequence[Person], told: Sequence[Told], *, history: bool) -> None:
        self._merchant_id, self._history = merchant_id, history
        self._now = utcnow()
        self._plan = _Plan(merchant_id)
        self._people = {person.id: person for person in people}
        self._standings = ledger.lock(self._people)
        earliest = min((event.occurred_at for event in told), default=self._now)
        self._earnings = ledger.earnings(self._plan.rules, self._people, min(earliest, self._now))
        self._moved_at = ledger.latest_changes(self._people) if history else {}
        self._taken: set[int] = set()
        self._joined_at: dict[int, datetime] = {}
        self._redeemed: Counter[tuple[int, int]] = Counter()
        self._events: list[dict[str, Any]] = []
        self._deliveries: list[dict[str, Any]] = []
        self._changes: list[ledger.Entry] = []
        self._redemptions: list[dict[str, Any]] = []

    @property
    def knows_erased(self) -> bool:
        """Customers of this merchant were erased: an event may be a repeat of theirs."""
        return self._plan.has_erased

    def meet(self, person: Person, moment: datetime, source: str) -> None:
        """Without an event: somebody new is welcomed, and what is known more about the others is kept."""
        if person.new and person.id not in self._taken:
            standing = Standing(person.id, changed=True)
            subject = Subject(self._plan.rules, standing, self._earnings[person.id])
            told = Told("", CUSTOMER_CREATED, Identifiers(), moment, {}, b"", source)
            for happening in self._greet(told, person, subject, by_event=False):
                self._add(told, person, happening)
            self._standings[person.id], self._earnings[person.id] = standing, subject.earnings
        if person.id in self._standings:  # or erased at this moment
            self._taken.add(person.id)

    def take(self, told: Told, person: Person) -> PortalError | None:
        """Let the event have its effect; the reason where it is refused, and then nothing has changed."""
        standing = self._standings.get(person.id) or Standing(person.id, changed=True)
        subject = Subject(self._plan.rules, standing, self._earnings[person.id])
        try:
            happenings = [*self._greet(told, person, subject), *self._apply(told, subject)]
        except PortalError as error:
            return error
        self._taken.add(person.id)
        if person.new and self._history:
            self._joined_at.setdefault(person.id, told.occurred_at)
        self._standings[person.id], self._earnings[person.id] = standing, subject.earnings
        for happening in happenings:
            self._add(told, person, happening)
        return None

    def review(self, person: Person) -> None:
        """Let time and rules have their effect on the tier, without anything having happened to the customer."""
        standing = self._standings.get(person.id)
        if standing is None:
            return  # erased at this moment
        cause = Told("", "", Identifiers(id=person.id), self._now, {}, b"", source="portal")
        for happening in review(Subject(self._plan.rules, standing, self._earnings[person.id]), self._now):
            self._add(cause, person, happening)
        self._taken.add(person.id)

    def _greet(self, told: Told, person: Person, subject: Subject, *, by_event: bool = True) -> list[Happening]:
        """A customer who is seen for the first time is told of, unless that is what we are being told."""
        if not person.new or person.id in self._taken:
            return []
        if self._history or told.trial or (by_event and told.type == CUSTOMER_CREATED):
            subject.follow(told.occurred_at)
            return []
        return welcome(subject, told.occurred_at, told.source)

    def _apply(self, told: Told, subject: Subject) -> list[Happening]:
        if told.trial:
            signals = subject.signals(told.occurred_at)
            return [Happening(told.type, told.properties, told.occurred_at, signals=signals)]

        def reserve(reward: RewardRule) -> None:
            taken = (subject.standing.customer_id, reward.id)
            ledger.reserve(reward, subject.standing.customer_id, self._redeemed[taken])
            self._redeemed[taken] += 1

        return apply(told.type, self._properties(told, subject), told.occurred_at, subject, reserve)

    def _properties(self, told: Told, subject: Subject) -> dict[str, Any]:
        """As they were told. A balance of before points moved that are known already says nothing about the one now."""
        moved_at = self._moved_at.get(subject.standing.customer_id)
        if told.type != BALANCE_CHANGED or moved_at is None or moved_at <= told.occurred_at:
            return told.properties
        return without_balance(told.properties)

    def _add(self, told: Told, person: Person, happening: Happening) -> None:
        opening_id, row_id = new_ids(2)
        event_id, digest = told.event_id, told.digest
        if happening.name:
            event_id = f"{DERIVED}{happening.name}:{row_id}"
            digest = hashlib.blake2b(event_id.encode(), digest_size=16).digest()
        unsent = self._plan.unsent(happening.type, person)
        self._events.append(
            {
                "id": row_id,
                "merchant_id": self._merchant_id,
                "event_id": event_id,
                "type": happening.type,
                "customer_id": person.id,
                "occurred_at": happening.occurred_at,
                "received_at": self._now,
                "properties": to_json(happening.properties).decode(),
                "digest": digest,
                "unsent": unsent and unsent.value,
            }
        )
        if unsent is None:
            self._deliveries.append(self._delivery(row_id, event_id, told.source, person, happening))
        if happening.change:
            self._changes.append(ledger.Entry(row_id, opening_id, person.id, happening.change, happening.occurred_at))
        if happening.redeemed:
            self._redemptions.append(
                {
                    "id": row_id,
                    "merchant_id": self._merchant_id,
                    "customer_id": person.id,
                    "reward_id": happening.redeemed.id,
                    "occurred_at": happening.occurred_at,
                }
            )

    def _delivery(
        self, row_id: int, event_id: str, source: str, person: Person, happening: Happening
    ) -> dict[str, Any]:
        properties = {"source": source, **_not_computed(happening), **happening.signals}
        return {
            "id": row_id,
            "merchant_id": self._merchant_id,
            "customer_id": person.id,
            "state": DeliveryState.PENDING.value,
            "attempts": 0,
            "calls": "",
            "created_at": self._now,
            "due_at": self._now,
            "profile": bodies.profile_of(
                klaviyo_profile_id=person.klaviyo_profile_id, email=person.email, phone=person.phone
            ),
            "payload": bodies.event_of(
                metric=RECORDED[happening.type].metric,
                unique_id=event_id,
                time=happening.occurred_at,
                properties=to_json(properties).decode(),
                backfill=self._history,
            ),
        }

    def write(self) -> None:
        """Everything that was taken, in one order of tables and rows everywhere, so that no two writers wait for each other."""
        people = [self._people[customer_id] for customer_id in self._taken]
        standings = [self._standings[person.id] for person in people]
        customers.save(
            self._merchant_id, people, {each.customer_id: each.state() for each in standings}, self._joined_at
        )
        ledger.save(standing for standing in standings if not self._people[standing.customer_id].new)
        if self._events:
            insert_rows(Event, sorted(self._events, key=itemgetter("event_id")))
        ledger.enter(self._merchant_id, self._changes)
        if self._redemptions:
            insert_rows(Redemption, self._redemptions)
        touched = [person.id for person in people if person.filled or self._standings[person.id].changed]
        ledger.mark_profiles(self._merchant_id, [each for each in touched if self._people[each].reachable], self._now)
        cards.touch(self._merchant_id, [each for each in touched if not self._people[each].new], self._now)
        if self._deliveries:
            insert_rows(Delivery, self._deliveries)
            on_commit(partial(queue.ring, self._merchant_id))


def _not_computed(happening: Happening) -> dict[str, Any]:
    """Its properties without what is computed here: a program's idea of the tier is not sent in place of ours."""
    computed, told = COMPUTED[happening.type], happening.properties
    if computed.isdisjoint(told):
        return told
    return {name: value for name, value in told.items() if name not in computed}


# --- what is sent --------------------------------------------------------------------------------

_PLAN = (
    select(
        Programme.__table__.c.version,
        Connection.__table__.c.state,
        exists().where(
            ModuleSwitch.__table__.c.merchant_id == bindparam("merchant_id"),
            ModuleSwitch.__table__.c.module == Module.EVENTS.value,
        ),
        exists().where(ErasedEvent.__table__.c.merchant_id == bindparam("merchant_id")),
        EventChoice.__table__.c.event_type,
    )
    .outerjoin_from(
        Programme.__table__,
        Connection.__table__,
        Connection.__table__.c.merchant_id == Programme.__table__.c.merchant_id,
    )
    .outerjoin(EventChoice.__table__, EventChoice.__table__.c.merchant_id == Programme.__table__.c.merchant_id)
    .where(Programme.__table__.c.merchant_id == bindparam("merchant_id"))
)


class _Plan:
    """The programme's rules, and why an event would not be sent; read once for a list of events."""

    def __init__(self, merchant_id: int) -> None:
        # One row for each type that is off, or one without any.
        rows: Sequence[Any] = run(_PLAN, {"merchant_id": merchant_id}).all()
        version, state, events_on, has_erased, _ = rows[0]
        self.has_erased = bool(has_erased)
        self.rules: Rules = rules_of(merchant_id, version)
        self._off = {event_type for *_, event_type in rows}
        self._general: Unsent | None = None
        if state is None or state == ConnectionState.DISCONNECTED:
            self._general = Unsent.NOT_CONNECTED
        elif not events_on:
            self._general = Unsent.MODULE_OFF

    def unsent(self, event_type: str, person: Person) -> Unsent | None:
        if self._general is not None:
            return self._general
        if event_type in self._off:
            return Unsent.TYPE_OFF
        return None if person.reachable else Unsent.UNREACHABLE
