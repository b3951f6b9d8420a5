"""The demo merchant of `make run`: a shop with an owner, and nothing connected yet, so that the wizard is there to be walked."""

from __future__ import annotations

from sqlalchemy import select

from portal.db import db
from portal.models import Merchant, Role, User
from portal.services import accounts

NAME = "Nordic Coffee"
SLUG = "nordic-coffee"
TIMEZONE = "Europe/Copenhagen"


def seed(email: str, password: str) -> Merchant:
    """The demo merchant, made if it is not there."""
    merchant = db.session.scalar(select(Merchant).where(Merchant.slug == SLUG))
    if merchant is None:
        merchant = accounts.create_merchant(NAME, slug=SLUG, timezone=TIMEZONE)
    if db.session.scalar(select(User.id).where(User.email == email)) is None:
        accounts.add_member(merchant.id, email, "Demo owner", password, Role.OWNER)
    return merchant
