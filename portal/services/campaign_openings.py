"""Who has opened what a campaign sent, as far as that can be known; the first time counts.

A tap on a notification opens the card in the wallet and tells nobody. What is known is that the message's link was followed,
or, within a day of the push, that the card's page was opened or another of its links followed.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select, update

from portal.db import db
from portal.models import Assignment, CardMessage, Opening, Push, PushTarget

# The card is opened for many reasons; so soon after a push it counts as that push's doing.
SOON = timedelta(hours=24)


def note_link(message_id: int, now: datetime) -> None:
    """The link of a card's message was followed: certain, and so it stands before what was only likely."""
    pushes = (
        select(PushTarget.push_id)
        .join(CardMessage, CardMessage.card_id == PushTarget.card_id)
        .where(CardMessage.id == message_id, PushTarget.message_id == message_id)
    )
    _open(Assignment.push_id.in_(pushes), Opening.LINK, now)


def note_card(customer_id: int, now: datetime) -> None:
    """The card was opened; it counts for the last campaign that was sent there, if that was today."""
    newest = (
        select(Push.id)
        .join(Assignment, Assignment.push_id == Push.id)
        .where(Push.customer_id == customer_id, Push.sent_at > now - SOON)
        .order_by(Push.sent_at.desc(), Push.id.desc())
        .limit(1)
    )
    _open(Assignment.push_id == newest.scalar_subquery(), Opening.CARD, now)


def _open(which: ColumnElement[bool], by: Opening, now: datetime) -> None:
    opened = update(Assignment).where(which).execution_options(synchronize_session=False)
    db.session.execute(opened.where(Assignment.opened_at.is_(None)).values(opened_at=now, opened_by=by))
    if by is Opening.LINK:
        db.session.execute(opened.where(Assignment.opened_by == Opening.CARD).values(opened_by=by))
