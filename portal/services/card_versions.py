"""New versions of cards that are out of date, in one sequence for all of them; phones and Google are then due to be told.

One version changes one thing that phones notify about: a message waits until a change of points was fetched, and the other way about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import joinedload

from portal.db import db, first_id_at, insert_or_update, one_of
from portal.models import Card, CardMessage, CardSequence, Device, GoogleCard, Registration
from portal.services import ledger
from portal.services.card_face import (
    MESSAGE_NEWS,
    NEWS,
    POINTS_NEWS,
    Face,
    faces,
    hushed,
    standing_of,
    with_message,
    with_standing,
)

# What a database with one writer can do between two requests without their noticing.
AT_ONCE = 200
# So long the next kind of change waits for phones to fetch the last one; a phone that is away gets both in one.
HOLD = timedelta(seconds=20)
SECOND = timedelta(seconds=1)
# Whoever has waited longest comes first. A message is due as if it had waited for so long: it does not come after a hundred thousand
# cards that are looked at because a rule has changed.
AHEAD = timedelta(days=1)
# Points that moved before that are no news: somebody has told of the past. Nor are those that the last version shows.
NEWS_FOR = timedelta(days=1)
# What was entered so long before a version may have been committed too late for it.
OVERLAP = timedelta(minutes=1)


def take_versions(count: int) -> int:
    """The first of so many numbers, above all that were ever given. Nobody else is given any until this is committed:
    a phone that was told of a version has been told of all before it.
    """
    taking = insert_or_update(CardSequence).values(id=1, last=count)
    taken = taking.on_conflict_do_update(
        index_elements=["id"], set_={"last": CardSequence.last + taking.excluded.last}
    ).returning(CardSequence.last)
    last: int = db.session.scalars(taken).one()
    return last - count + 1


def merchants_due(now: datetime) -> Sequence[int]:
    return db.session.scalars(select(Card.merchant_id).where(Card.due_at <= now).distinct()).all()


def is_due(merchant_id: int, now: datetime) -> bool:
    query = select(Card.id).where(Card.merchant_id == merchant_id, Card.due_at <= now).limit(1)
    return db.session.scalar(query) is not None


def publish(merchant_id: int, now: datetime, limit: int = AT_ONCE) -> int:
    """Look at the merchant's cards that are due, and give those a new version that have something new; how many were looked at."""
    cards = db.session.scalars(
        select(Card)
        .where(Card.merchant_id == merchant_id, Card.due_at <= now)
        .order_by(Card.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True, of=Card)
        .options(joinedload(Card.customer, innerjoin=True))
        .execution_options(populate_existing=True)
    ).all()
    if not cards:
        return 0
    standings = faces(merchant_id, [card.customer for card in cards])
    messages, behind = _waiting_messages(cards), _behind(cards)
    changed = [
        card for card in cards if _renew(card, standings[card.customer_id], messages[card.id], card.id in behind, now)
    ]
    if changed:
        _hush([card for card in changed if card.face[NEWS] == POINTS_NEWS], now)
        _number(changed, messages, now)
    return len(cards)


def _renew(card: Card, standing: Face, messages: list[CardMessage], behind: bool, now: datetime) -> bool:
    """Give the card its new face, if it is time for one; what is left to show is due later."""
    points_news, message = standing != standing_of(card.face), next(iter(messages), None)
    card.due_at = None
    if not points_news and message is None:
        return False
    alike = points_news and card.face.get(NEWS) != MESSAGE_NEWS
    if behind and not alike and now < card.modified_at + HOLD:
        card.due_at = card.modified_at + HOLD
        return False
    if points_news:
        card.face = with_standing(card.face, standing)
        card.due_at = now + HOLD if messages else None
    elif message is not None:
        card.face = with_message(card.face, message)
        card.due_at = now + HOLD if len(messages) > 1 else None
    return True


def _hush(cards: list[Card], now: datetime) -> None:
    """Nobody is told of their balance today because a file brings in the purchases of last year."""
    latest = ledger.latest_entries([card.customer_id for card in cards], now - NEWS_FOR)
    for card in cards:
        if latest.get(card.customer_id, 0) < first_id_at(card.modified_at - OVERLAP):
            card.face = hushed(card.face)


def _number(cards: list[Card], messages: dict[int, list[CardMessage]], now: datetime) -> None:
    first = take_versions(len(cards))
    for version, card in enumerate(cards, first):
        card.version = version
        # Strictly later than before, whatever the clock does: phones ask by this time, to the second.
        card.modified_at = max(now.replace(microsecond=0), card.modified_at + SECOND)
        if card.face[NEWS] == MESSAGE_NEWS:
            messages[card.id][0].version, messages[card.id][0].shown_at = version, now
    said = [card.id for card in cards if card.face[NEWS] == MESSAGE_NEWS]
    ids = [card.id for card in cards]
    _wake(ids, now)
    _wake(said, now - AHEAD)
    _tell(update(GoogleCard).where(one_of(GoogleCard.card_id, ids)).values(due_at=now, attempts=0))


def _wake(card_ids: Sequence[int], due_at: datetime) -> None:
    if card_ids:
        devices = select(Registration.device_id).where(one_of(Registration.card_id, card_ids))
        _tell(update(Device).where(Device.id.in_(devices)).values(due_at=due_at, attempts=0, wakes=0))


def _tell(statement: object) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})  # type: ignore[call-overload]


def _waiting_messages(cards: Sequence[Card]) -> dict[int, list[CardMessage]]:
    found: dict[int, list[CardMessage]] = defaultdict(list)
    query = (
        select(CardMessage)
        .where(one_of(CardMessage.card_id, [card.id for card in cards]), CardMessage.version.is_(None))
        .order_by(CardMessage.id)
    )
    for message in db.session.scalars(query):
        found[message.card_id].append(message)
    return found


def _behind(cards: Sequence[Card]) -> set[int]:
    """Those of which a phone has not fetched the last version."""
    oldest = (
        select(Registration.card_id, func.min(Registration.fetched_version).label("fetched"))
        .where(one_of(Registration.card_id, [card.id for card in cards]))
        .group_by(Registration.card_id)
    )
    fetched = {row.card_id: row.fetched for row in db.session.execute(oldest)}
    return {card.id for card in cards if fetched.get(card.id, card.version) < card.version}
