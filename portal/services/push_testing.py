"""A test push: to whom it goes, whether that card can show one, and a card of one's own to try it with. Nothing is sent here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from portal.db import db
from portal.errors import InvalidError
from portal.models import Customer, PushRules, PushSuppression
from portal.services import editing, finding
from portal.services.customers import NAMES
from portal.services.personalising import VARIABLES
from portal.services.pushing import wallets_of

# What Klaviyo fills in, and what a campaign does.
_TAG = re.compile(r"\{[{%][^{}]*\}?\}?|\{(?:" + "|".join(VARIABLES) + r")\b[^{}]*\}")


@dataclass(frozen=True)
class Recipient:
    """Who is meant, or those who may be; `hindrance` is why nothing would be shown although there is a card."""

    customer: Customer | None
    candidates: Sequence[Customer] = ()
    hindrance: str | None = None

    @property
    def has_card(self) -> bool:
        return self.customer is not None and bool(wallets_of(self.customer))


def recipient(merchant_id: int, sought: str) -> Recipient:
    customer, candidates = finding.find(merchant_id, sought)
    return about(merchant_id, customer) if customer else Recipient(None, candidates)


def about(merchant_id: int, customer: Customer) -> Recipient:
    rules = db.session.get(PushRules, merchant_id)
    if rules is not None and rules.paused:
        return Recipient(customer, hindrance="Pushes are paused, test pushes too. Resume them under Push > Settings.")
    if db.session.get(PushSuppression, customer.id) is not None:
        return Recipient(
            customer,
            hindrance="This customer gets no pushes: somebody of your team has said so, under Push > Suppressed.",
        )
    return Recipient(customer)


def refuse_tags(**texts: str) -> None:
    """Nobody fills them in on this way to the phone."""
    for field, text in texts.items():
        if tag := _TAG.search(text):
            raise InvalidError(
                f"{tag[0]} is filled in by a campaign or by Klaviyo, and not in a test push: the phone would show it as it"
                " stands. Write what it would say.",
                field=field,
            )


def own(merchant_id: int, email: str) -> Customer | None:
    """The customer that somebody of the team is."""
    found: Customer | None = db.session.scalar(
        select(Customer).where(Customer.merchant_id == merchant_id, Customer.email == email.lower())
    )
    return found


def become_customer(merchant_id: int, email: str, name: str) -> Customer:
    """Somebody of the team joins the programme like anybody; who is in it already stays as they are."""
    if (known := own(merchant_id, email)) is not None:
        return known
    first, _, last = name.partition(" ")
    identifiers = dict.fromkeys(NAMES) | {"email": email.lower()}
    return editing.add(merchant_id, {**identifiers, "first_name": first or None, "last_name": last or None})
