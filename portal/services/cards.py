"""Customers' cards: making one, marking it as out of date, and giving it something to say.

Nothing here calls Apple or Google. What is marked gets its new version from `card_versions.publish`, and phones are told then.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from typing import cast

from sqlalchemy import Executable, Table, bindparam, delete, exists, func, select, update
from sqlalchemy.orm import aliased

from portal import queue
from portal.bulk import insert_rows
from portal.db import (
    changed_rows,
    db,
    first_id_at,
    insert_or_update,
    new_id,
    on_commit,
    one_of,
    run,
    utcnow,
)
from portal.lists import one_of_given
from portal.models import Card, CardMessage, Customer, GoogleCard, Registration
from portal.models.card import new_card_token, new_serial
from portal.services.card_face import faces
from portal.services.card_versions import AHEAD, take_versions

# A burst of changes is one version.
COALESCE = timedelta(seconds=1)
LONGEST_MESSAGE = 1_000
KEEP_MESSAGES, FORGET_AT_ONCE = timedelta(days=90), 5_000


def find(merchant_id: int, customer_id: int) -> Card | None:
    """The customer's card, where it was ever asked for."""
    found: Card | None = db.session.scalar(
        select(Card).where(Card.merchant_id == merchant_id, Card.customer_id == customer_id)
    )
    return found


def card_of(customer: Customer) -> Card:
    """The customer's card, made if this is the first time that it is asked for."""
    card = find(customer.merchant_id, customer.id)
    if card is not None:
        return card
    sealed = Card(merchant_id=customer.merchant_id)
    sealed.token = new_card_token()
    now = utcnow().replace(microsecond=0)
    making = insert_or_update(Card).values(
        id=new_id(),
        merchant_id=customer.merchant_id,
        customer_id=customer.id,
        serial=new_serial(),
        token_sealed=sealed.token_sealed,
        face=faces(customer.merchant_id, [customer])[customer.id],
        version=take_versions(1),
        modified_at=now,
    )
    db.session.execute(making.on_conflict_do_nothing(index_elements=["customer_id"]))
    card = find(customer.merchant_id, customer.id)
    assert card is not None
    return card


def touch(merchant_id: int, customer_ids: Collection[int], now: datetime | None = None) -> None:
    """What their cards show may have changed. Costs one statement; customers without a card are left out by it."""
    if not customer_ids:
        return
    due = (now or utcnow()) + COALESCE
    run(_touching(db.engine.dialect.name), {"merchant": merchant_id, "ids": sorted(customer_ids), "due": due})


@cache
def _touching(dialect: str) -> Executable:
    """Built once: it is asked for every event."""
    cards = cast("Table", Card.__table__)
    return (
        update(cards)
        .where(cards.c.merchant_id == bindparam("merchant"), one_of_given(dialect, cards.c.customer_id, "ids"))
        .values(due_at=func.coalesce(cards.c.due_at, bindparam("due", type_=cards.c.due_at.type)))
    )


def touch_all(merchant_id: int) -> None:
    """The design, or the rules of the programme, have changed: every card that is in a wallet is looked at again, paced."""
    on_a_phone = select(Registration.card_id).where(Registration.merchant_id == merchant_id)
    at_google = select(GoogleCard.card_id).where(GoogleCard.merchant_id == merchant_id, GoogleCard.has_users)
    them = update(Card).where(Card.merchant_id == merchant_id, Card.id.in_(on_a_phone.union(at_google)))
    db.session.execute(
        them.values(due_at=func.coalesce(Card.due_at, utcnow())), execution_options={"synchronize_session": False}
    )


# --- messages ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """What a customer's card is to say."""

    customer_id: int
    text: str
    url: str | None = None


def show_messages(merchant_id: int, messages: Sequence[Said]) -> list[int | None]:
    """Have the customers' cards say something, and every phone with one notify.

    The id of each `CardMessage` in their order; None where the customer has no card.

    Each gets a version of its own: it never shares one with a change of the balance, for phones would then show neither.
    Its `version` is empty while it waits; a phone has it once its `Registration.fetched_version` is at least that.
    """
    query = select(Card.customer_id, Card.id).where(
        Card.merchant_id == merchant_id,
        Card.voided.is_(False),
        one_of(Card.customer_id, sorted({each.customer_id for each in messages})),
    )
    cards = {row.customer_id: row.id for row in db.session.execute(query)}
    now = utcnow()
    made = [new_id() if each.customer_id in cards else None for each in messages]
    rows = [
        _message(merchant_id, message_id, cards[each.customer_id], each, now)
        for message_id, each in zip(made, messages, strict=True)
        if message_id is not None
    ]
    if rows:
        insert_rows(CardMessage, rows)
        due = update(Card).where(one_of(Card.id, sorted(cards.values()))).values(due_at=now - AHEAD)
        db.session.execute(due, execution_options={"synchronize_session": False})
        on_commit(partial(queue.ring, merchant_id, queue.CARDS))
    return made


def _message(merchant_id: int, message_id: int, card_id: int, said: Said, now: datetime) -> dict[str, object]:
    return {
        "id": message_id,
        "merchant_id": merchant_id,
        "card_id": card_id,
        "text": said.text[:LONGEST_MESSAGE],
        "url": said.url,
        "made_at": now,
    }


def forget_messages(now: datetime) -> int:
    """Those that cards no longer show, once they are old, a bounded number at a time; how many went.

    The last that a card has shown stays: its link is followed from the card.
    """
    later = aliased(CardMessage)
    over = exists().where(later.card_id == CardMessage.card_id, later.id > CardMessage.id, later.version.is_not(None))
    old = (
        select(CardMessage.id)
        .where(CardMessage.id < first_id_at(now - KEEP_MESSAGES), CardMessage.version.is_not(None), over)
        .order_by(CardMessage.id)
        .limit(FORGET_AT_ONCE)
    )
    gone = delete(CardMessage).where(CardMessage.id.in_(old.scalar_subquery()))
    return changed_rows(db.session.execute(gone, execution_options={"synchronize_session": False}))
