"""A customer's card as a page: who the link belongs to, and what the page shows of their standing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, select

from portal.db import db
from portal.models import Card, CardDesign, CardLink, CardMessage, Customer, FormerSlug, Merchant
from portal.services import campaign_openings, card_designs, card_events, cards
from portal.services.card_face import MESSAGE, Face, faces
from portal.services.points import to_number
from portal.services.rules import RewardRule, current_rules

LONGEST_TOKEN = 32


@dataclass(frozen=True)
class Holder:
    """The customer whom a link names, and the programme."""

    merchant: Merchant
    customer: Customer


@dataclass(frozen=True)
class RewardShown:
    name: str
    cost: float
    within: bool
    missing: float


@dataclass(frozen=True)
class CardPage:
    holder: Holder
    design: CardDesign
    face: Face
    rewards: Sequence[RewardShown]
    # Of the way from the present tier to the next, 0 to 100.
    tier_percent: int
    links: Sequence[CardLink]
    message: CardMessage | None


def holder_of(slug: str, token: str) -> Holder | None:
    """None for a token that is not, or no longer, anybody's."""
    if not 0 < len(token) <= LONGEST_TOKEN or not (slug + token).isprintable():
        return None
    was_named = exists().where(FormerSlug.slug == slug, FormerSlug.merchant_id == Merchant.id)
    query = (
        select(Merchant, Customer)
        .join(Customer, Customer.merchant_id == Merchant.id)
        .where((Merchant.slug == slug) | was_named, Customer.link_token == token)
    )
    row = db.session.execute(query).first()
    return Holder(row[0], row[1]) if row else None


def page_of(holder: Holder) -> CardPage:
    merchant, customer = holder.merchant, holder.customer
    design, rules = card_designs.current(merchant), current_rules(merchant.id)
    face = faces(merchant.id, [customer])[customer.id]
    return CardPage(
        holder,
        design,
        face,
        [_shown(reward, customer.balance) for reward in rules.rewards],
        _percent(face),
        card_designs.links_of(design),
        _message(cards.find(merchant.id, customer.id)),
    )


def _shown(reward: RewardRule, balance: int) -> RewardShown:
    missing = max(0, reward.cost - balance)
    return RewardShown(reward.name, to_number(reward.cost), not missing, to_number(missing))


def _percent(face: Face) -> int:
    missing, balance = face.get("points_to_next_tier"), max(0, face["balance"])
    if not missing:
        return 100
    return int(100 * balance / (balance + missing))


def _message(card: Card | None) -> CardMessage | None:
    told = card.face.get(MESSAGE) if card else None
    return db.session.get(CardMessage, told["id"]) if told else None


def link_of(holder: Holder, link_id: int) -> CardLink | None:
    """Also one that is no longer on the card: phones may show it for a while."""
    query = select(CardLink).where(CardLink.merchant_id == holder.merchant.id, CardLink.id == link_id)
    found: CardLink | None = db.session.scalar(query)
    return found


def message_of(holder: Holder, message_id: int) -> CardMessage | None:
    query = (
        select(CardMessage)
        .join(Card, Card.id == CardMessage.card_id)
        .where(CardMessage.id == message_id, Card.customer_id == holder.customer.id)
    )
    found: CardMessage | None = db.session.scalar(query)
    return found


# --- what is told of it --------------------------------------------------------------------------


def note_requested(holder: Holder, platform: str, now: datetime) -> None:
    _note(holder, "pass_requested", card_events.opening(now), platform)


def note_opened(holder: Holder, platform: str, now: datetime) -> None:
    _note(holder, "card_opened", card_events.opening(now), platform)
    campaign_openings.note_card(holder.customer.id, now)


def note_link_followed(holder: Holder, link: CardLink, now: datetime) -> None:
    _note_clicked(holder, f"link-{link.id}", link.url, link.label, now)
    campaign_openings.note_card(holder.customer.id, now)


def note_message_followed(holder: Holder, message: CardMessage, url: str, now: datetime) -> None:
    _note_clicked(holder, f"message-{message.id}", url, message.text[:100], now)
    campaign_openings.note_link(message.id, now)


def _note_clicked(holder: Holder, about: str, url: str, label: str, now: datetime) -> None:
    customer = holder.customer
    card_events.tell(
        customer.merchant_id,
        customer.id,
        "card_clicked",
        f"{customer.id}:{about}:{card_events.opening(now)}",
        link_url=url,
        link_label=label,
    )


def _note(holder: Holder, event_type: str, opening: str, platform: str) -> None:
    customer = holder.customer
    told = {"platform": platform} if platform else {}
    card_events.tell(customer.merchant_id, customer.id, event_type, f"{customer.id}:{platform}:{opening}", **told)
