"""Designing a merchant's cards: a draft becomes the next version, which every card in a wallet then gets, paced.

Pictures are kept as soon as they are uploaded, so that nobody is asked for one twice; those that no version took are forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select

from portal import config
from portal.db import db, new_id, utcnow
from portal.errors import ConflictError, InvalidError, NotFoundError
from portal.models import CardDesign, CardLink, CardPicture, GoogleCard, Merchant, Registration
from portal.services import card_designs, cards
from portal.wallet import Prepared, Slot, WalletError, prepare
from portal.wallet.google import REQUESTS_PER_SECOND

SLOTS = tuple(slot.file for slot in Slot)
MOST_LINKS = 8
# Apple's limit and Google's.
MOST_PLACES, LONGEST_PLACE_TEXT = 10, 80
USUAL = 0
KEPT_UNUSED = timedelta(days=1)


@dataclass(frozen=True)
class Draft:
    """How cards are to look, before it is a version. Named as in `CardDesign`; a link is its label and address."""

    background: str
    foreground: str
    label: str
    organisation: str
    logo_text: str
    balance_label: str
    tier_label: str
    next_tier_label: str
    next_reward_label: str
    balance_message: str
    icon_id: int | None = None
    logo_id: int | None = None
    strip_id: int | None = None
    links: tuple[tuple[str, str], ...] = ()
    locations: list[dict[str, Any]] = field(default_factory=list)


_SAME = tuple(name for name in Draft.__dataclass_fields__ if name != "links")


def draft_of(design: CardDesign) -> Draft:
    links = tuple((link.label, link.url) for link in card_designs.links_of(design))
    return Draft(**{name: getattr(design, name) for name in _SAME}, links=links)


def newest(merchant_id: int) -> CardDesign:
    return card_designs.current(db.session.get_one(Merchant, merchant_id))


def versions(merchant_id: int, limit: int = 20) -> Sequence[CardDesign]:
    """Newest first."""
    query = select(CardDesign).where(CardDesign.merchant_id == merchant_id)
    return db.session.scalars(query.order_by(CardDesign.number.desc()).limit(limit)).all()


# --- versions ------------------------------------------------------------------------------------
# Two at the same moment take the same number: one of them meets the constraint, and its edge repeats it.


def save(merchant_id: int, draft: Draft, based_on: int, by: str) -> CardDesign | None:
    """The next version; None where it looks as the last one does.

    Raises `ConflictError` where somebody saved another one after version `based_on`.
    """
    last = newest(merchant_id)
    if draft == draft_of(last):
        return None
    if last.number != based_on:
        raise ConflictError(
            f"Somebody saved version {last.number} while you were designing. What you entered is still here and not saved. "
            "Save it again to make it the newest; the other one stays in the list of versions."
        )
    return _add(merchant_id, draft, last.number + 1, by)


def restore(merchant_id: int, number: int, by: str) -> CardDesign | None:
    """An older version as the next one, or the usual look; None where the last looks like it. Raises `NotFoundError`."""
    query = select(CardDesign).where(CardDesign.merchant_id == merchant_id, CardDesign.number == number)
    usual = card_designs.usual(db.session.get_one(Merchant, merchant_id)) if number == USUAL else None
    older = usual or db.session.scalar(query)
    if older is None:
        raise NotFoundError("There is no such version.")
    last, draft = newest(merchant_id), draft_of(older)
    return None if draft == draft_of(last) else _add(merchant_id, draft, last.number + 1, by)


def _add(merchant_id: int, draft: Draft, number: int, by: str) -> CardDesign:
    looks = asdict(draft)
    del looks["links"]
    link_ids = [_link_id(merchant_id, label, url) for label, url in draft.links]
    made = CardDesign(id=new_id(), merchant_id=merchant_id, number=number, made_by=by, link_ids=link_ids, **looks)
    db.session.add(made)
    db.session.flush()
    _forget_unused_pictures(merchant_id)
    cards.touch_all(merchant_id)
    return made


def _link_id(merchant_id: int, label: str, url: str) -> int:
    """The same link stays the same row, so that cards that are not fetched anew lead there too."""
    mine = (CardLink.merchant_id == merchant_id, CardLink.label == label, CardLink.url == url)
    known: int | None = db.session.scalar(select(func.min(CardLink.id)).where(*mine))
    if known is not None:
        return known
    link = CardLink(id=new_id(), merchant_id=merchant_id, label=label, url=url)
    db.session.add(link)
    db.session.flush()
    return link.id


# --- pictures ------------------------------------------------------------------------------------


def draw(slot: str, upload: bytes) -> Prepared:
    """Takes its time, and no transaction. Raises `InvalidError` with the remedy, which names the slot."""
    try:
        return prepare(Slot[slot.upper()], upload)
    except WalletError as error:
        raise InvalidError(error.message, field=slot, code=error.code) from error


def keep(merchant_id: int, slot: str, drawn: Prepared) -> int:
    """The picture's id; the same picture is kept once."""
    sizes = dict(zip(("small", "medium", "large"), drawn.files.values(), strict=True))
    same = (CardPicture.slot == slot, CardPicture.large == sizes["large"])
    known: int | None = db.session.scalar(
        select(func.max(CardPicture.id)).where(CardPicture.merchant_id == merchant_id, *same)
    )
    if known is not None:
        return known
    picture = CardPicture(id=new_id(), merchant_id=merchant_id, slot=slot, **sizes)
    db.session.add(picture)
    return picture.id


def is_picture(merchant_id: int, slot: str, picture_id: int) -> bool:
    query = select(CardPicture.id).where(CardPicture.id == picture_id, CardPicture.merchant_id == merchant_id)
    return db.session.scalar(query.where(CardPicture.slot == slot)) is not None


def _forget_unused_pictures(merchant_id: int) -> None:
    """Those that were looked at and not saved, once nobody can be designing with them any more."""
    mine = CardDesign.merchant_id == merchant_id
    columns = (CardDesign.icon_id, CardDesign.logo_id, CardDesign.strip_id)
    unused = [CardPicture.id.not_in(select(column).where(mine, column.is_not(None))) for column in columns]
    old = (CardPicture.merchant_id == merchant_id, CardPicture.made_at < utcnow() - KEPT_UNUSED)
    db.session.execute(delete(CardPicture).where(*old, *unused), execution_options={"synchronize_session": False})


# --- whom a change reaches -----------------------------------------------------------------------


@dataclass(frozen=True)
class Rollout:
    """So many cards are in wallets, and a change has reached them all after so many seconds."""

    cards: int
    seconds: float


def rollout(merchant_id: int) -> Rollout:
    """Phones are woken at the pace that the web service can serve, and Google is told at its own."""
    on_a_phone = select(Registration.card_id).where(Registration.merchant_id == merchant_id)
    at_google = select(GoogleCard.card_id).where(GoogleCard.merchant_id == merchant_id, GoogleCard.has_users)
    installed = on_a_phone.union(at_google).subquery()
    phones = select(func.count(Registration.device_id.distinct())).where(Registration.merchant_id == merchant_id)
    told = db.session.scalar(select(func.count()).select_from(at_google.subquery())) or 0
    woken = db.session.scalar(phones) or 0
    return Rollout(
        db.session.scalar(select(func.count()).select_from(installed)) or 0,
        woken / config.current().pushes_per_second + told / REQUESTS_PER_SECOND,
    )
