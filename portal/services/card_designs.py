"""How a merchant's cards look. A design is never changed: saving makes the next version, and going back makes an older one the newest."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import func, select

from portal.db import db, one_of
from portal.models import CardDesign, CardLink, CardPicture, Merchant
from portal.wallet import Colour, Images, Slot, plain_icon

# Of who has not designed anything yet.
BACKGROUND, FOREGROUND, LABEL = "#1f3a4d", "#ffffff", "#b9d4e3"
BALANCE_MESSAGE = "You now have %@ points."


def current(merchant: Merchant) -> CardDesign:
    """The newest, or the usual one, which is no row and has the number 0."""
    newest: CardDesign | None = db.session.scalar(
        select(CardDesign).where(CardDesign.merchant_id == merchant.id).order_by(CardDesign.number.desc()).limit(1)
    )
    return newest or usual(merchant)


def current_id(merchant_id: int) -> int:
    """0 where nothing was designed yet."""
    query = select(func.max(CardDesign.id)).where(CardDesign.merchant_id == merchant_id)
    return db.session.scalar(query) or 0


def usual(merchant: Merchant) -> CardDesign:
    return CardDesign(
        id=0,
        merchant_id=merchant.id,
        number=0,
        background=BACKGROUND,
        foreground=FOREGROUND,
        label=LABEL,
        organisation=merchant.name,
        logo_text=merchant.name[:40],
        balance_label="Points",
        tier_label="Tier",
        next_tier_label="Next tier",
        next_reward_label="Next reward",
        balance_message=BALANCE_MESSAGE,
        icon_id=None,
        logo_id=None,
        strip_id=None,
        link_ids=[],
        locations=[],
    )


def links_of(design: CardDesign) -> Sequence[CardLink]:
    """In the order in which the card shows them."""
    if not design.link_ids:
        return []
    query = select(CardLink).where(
        CardLink.merchant_id == design.merchant_id, one_of(CardLink.id, list(design.link_ids))
    )
    found = {link.id: link for link in db.session.scalars(query)}
    return [found[link_id] for link_id in design.link_ids if link_id in found]


def images_of(design: CardDesign) -> Images:
    """The files of the `.pkpass`; kept, because designs and pictures never change."""
    return _images(design.merchant_id, design.icon_id, design.logo_id, design.strip_id, design.background)


@lru_cache(maxsize=200)
def _images(
    merchant_id: int, icon_id: int | None, logo_id: int | None, strip_id: int | None, background: str
) -> Images:
    files = {} if icon_id else dict(plain_icon(Colour.parse(background)).files)
    wanted = [picture_id for picture_id in (icon_id, logo_id, strip_id) if picture_id]
    query = select(CardPicture).where(CardPicture.merchant_id == merchant_id, one_of(CardPicture.id, wanted))
    for picture in db.session.scalars(query) if wanted else ():
        files |= files_of(picture)
    return Images(files)


def files_of(picture: CardPicture) -> dict[str, bytes]:
    name = Slot[picture.slot.upper()].file
    return {f"{name}.png": picture.small, f"{name}@2x.png": picture.medium, f"{name}@3x.png": picture.large}


@lru_cache(maxsize=200)
def plain_png(colour: str) -> bytes:
    """The icon of who has uploaded none, as large as there is."""
    return plain_icon(Colour.parse(colour)).files["icon@3x.png"]


def picture(picture_id: int) -> CardPicture | None:
    """For anybody: Google fetches it, and phones show it."""
    return db.session.get(CardPicture, picture_id)
