"""Changing what is known of a customer by hand: names, birthday, identifiers, the card's link.

An identifier belongs to one customer; whoever wants one that somebody else has is told who that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from portal.db import db, utcnow
from portal.errors import ConflictError, InvalidError, PortalError
from portal.models import Customer
from portal.models.customer import new_link_token
from portal.services import cards, directory, ledger, profiles
from portal.services.customers import NAMES, Identifiers
from portal.services.registering import DETAILS, Entry, register

DAYS_IN_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
EDITABLE = ("first_name", "last_name", "birthday", *NAMES)


def birthday_of(day: int | None, month: int | None) -> int | None:
    """As `customers.birthday` writes it; None where neither is given."""
    if not day and not month:
        return None
    if not day or not month or not 1 <= month <= 12 or not 1 <= day <= DAYS_IN_MONTH[month - 1]:
        raise InvalidError("There is no such day. Choose a day and a month, or leave both empty.", field="birth_day")
    return month * 100 + day


def change(merchant_id: int, customer_id: int, values: Mapping[str, str | int | None]) -> list[str]:
    """Set what is given of `EDITABLE`; the names of what is otherwise than before.

    Raises `ConflictError` that names the field where an identifier is somebody else's.
    """
    customer = directory.find(merchant_id, customer_id)
    changed = [name for name in EDITABLE if name in values and getattr(customer, name) != values[name]]
    for name in changed:
        if name in NAMES and values[name]:
            _check_free(merchant_id, customer_id, name, str(values[name]))
    for name in changed:
        setattr(customer, name, values[name])
    if not any(getattr(customer, name) for name in (*NAMES, "first_name", "last_name")):
        raise InvalidError("A customer needs at least a name or one identifier.", field="email")
    db.session.flush()
    if "email" in changed:
        profiles.trust_email(customer_id)
    if changed and customer.reachable:
        ledger.mark_profiles(merchant_id, [customer_id], utcnow())
    return changed


def add(merchant_id: int, values: Mapping[str, Any]) -> Customer:
    """Somebody new, welcomed like anybody. Raises `ConflictError` that names the field where they are a customer already."""
    for name in NAMES:
        if values[name]:
            _check_free(merchant_id, 0, name, values[name])
    who = Identifiers(**{name: values[name] for name in NAMES})
    details = {name: value for name, value in values.items() if name in DETAILS and value is not None}
    (registered,) = register(merchant_id, [Entry(who, details)], source="portal")
    if isinstance(registered, PortalError):
        raise registered
    return directory.find(merchant_id, registered.customer_id)


def _check_free(merchant_id: int, customer_id: int, name: str, value: str) -> None:
    other = db.session.scalar(
        select(Customer).where(Customer.merchant_id == merchant_id, getattr(Customer, name) == value)
    )
    if other is not None and other.id != customer_id:
        raise ConflictError(
            f"{value} already belongs to another customer, {other.name} ({other.public_id}). Change it there first.",
            field=name,
        )


def renew_link(merchant_id: int, customer_id: int) -> Customer:
    """The link that was given out stops working, and there is a new one."""
    customer = directory.find(merchant_id, customer_id)
    customer.link_token = new_link_token()
    db.session.flush()
    if customer.reachable:
        ledger.mark_profiles(merchant_id, [customer_id], utcnow())
    cards.touch(merchant_id, [customer_id])  # the links on the card carry it
    return customer
