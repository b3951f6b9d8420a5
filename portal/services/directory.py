"""The list of customers: paged by id, and searched by how a name, an address or a number begins.

Every look-up follows an index to few rows, so that a million customers are no slower than fifty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, func, select, union_all

from portal.db import LARGEST_ID, db
from portal.errors import NotFoundError
from portal.models import CardStatus, Customer, Tier
from portal.models.card_number import customer_id_of
from portal.models.customer import ID_PREFIX

PAGE = 50
MOST_FOUND = 100
# Of so many who begin as sought, and no more, it is seen whether they pass a filter too.
MOST_LOOKED_AT = 20_000
NO_TIER = "none"
# No character comes after it.
_LAST = "\U0010ffff"


@dataclass(frozen=True)
class Page:
    """`next_before` continues the list; None at its end. A search has one page, and says where there may be more."""

    customers: Sequence[Customer]
    next_before: int | None = None
    more_found: bool = False


def find(merchant_id: int, customer_id: int) -> Customer:
    """Raises `NotFoundError`, also for another merchant's customer."""
    customer = db.session.scalar(
        select(Customer)
        .where(Customer.merchant_id == merchant_id, Customer.id == min(customer_id, LARGEST_ID))
        .execution_options(populate_existing=True)
    )
    if customer is None:
        raise NotFoundError("There is no such customer.")
    return customer


def page(merchant_id: int, *, sought: str = "", tier: str = "", status: str = "", before: int | None = None) -> Page:
    """Newest first. `tier` is a tier's id or `NO_TIER`; a filter that does not exist matches nobody."""
    if sought:
        return _search(merchant_id, _passes(tier, status), sought)
    customers = select(Customer).where(Customer.merchant_id == merchant_id, *_passes(tier, status))
    if before is not None:
        customers = customers.where(Customer.id < min(before, LARGEST_ID))
    rows = db.session.scalars(customers.order_by(Customer.id.desc()).limit(PAGE + 1)).all()
    return Page(rows[:PAGE], rows[PAGE - 1].id if len(rows) > PAGE else None)


def _passes(tier: str, status: str) -> list[ColumnElement[bool]]:
    passes: list[ColumnElement[bool]] = []
    if tier == NO_TIER:
        passes.append(Customer.tier_id.is_(None))
    elif tier:
        passes.append(Customer.tier_id == (int(tier) if tier.isdecimal() and len(tier) < 19 else -1))
    if status:
        passes.append(Customer.card_status == status)
    return passes


def tier_names(merchant_id: int) -> dict[str, str]:
    """What can be filtered by: each tier's id and name."""
    tiers = db.session.scalars(select(Tier).where(Tier.merchant_id == merchant_id).order_by(Tier.threshold))
    return {str(tier.id): tier.name for tier in tiers} | {NO_TIER: "No tier"}


STATUSES = tuple(status.value for status in CardStatus)


# --- search --------------------------------------------------------------------------------------


def _search(merchant_id: int, passes: Sequence[ColumnElement[bool]], sought: str) -> Page:
    """Each way of matching by itself, so that each uses its own index; a few of each are enough."""
    ways = [
        select(Customer.id).where(Customer.merchant_id == merchant_id, condition)
        for condition in _conditions(readable(sought))
    ]
    matches = [(_passing(way, passes) if passes else way).limit(MOST_FOUND + 1).subquery() for way in ways]
    ids = union_all(*(select(match.c.id) for match in matches))
    newest = select(Customer).where(Customer.merchant_id == merchant_id, Customer.id.in_(ids))
    found = db.session.scalars(newest.order_by(Customer.id.desc()).limit(MOST_FOUND + 1)).all()
    return Page(found[:MOST_FOUND], more_found=len(found) > MOST_FOUND or (bool(passes) and _is_beyond(ways)))


def _passing(way: Select[int], passes: Sequence[ColumnElement[bool]]) -> Select[int]:
    """The limit keeps a search that many match and few pass from reading them all."""
    looked_at = way.limit(MOST_LOOKED_AT).subquery()
    return select(Customer.id).join(looked_at, looked_at.c.id == Customer.id).where(*passes)


def _is_beyond(ways: Sequence[Select[int]]) -> bool:
    """Whether more begin like this than were looked at."""
    return any(db.session.scalar(way.offset(MOST_LOOKED_AT).limit(1)) is not None for way in ways)


def readable(sought: str) -> str:
    return " ".join("".join(character for character in sought if character.isprintable()).split())[:200]


def _conditions(sought: str) -> Iterator[ColumnElement[bool]]:
    digits = sought.removeprefix(ID_PREFIX)
    if digits != sought and digits.isascii() and digits.isdigit():
        yield Customer.id == min(int(digits[:20]), LARGEST_ID)
    if (by_card := customer_id_of(sought)) is not None:
        yield Customer.id == by_card
    yield Customer.external_id == sought
    yield Customer.klaviyo_profile_id == sought
    yield begins(Customer.email, sought.lower())
    if phone := number_in(sought):
        yield begins(Customer.phone, phone)
    yield from called(sought)


def number_in(sought: str) -> str | None:
    """The beginning of a phone number, as numbers are kept."""
    phone = "".join(character for character in sought if character not in " -().")
    return "+" + phone.removeprefix("+").removeprefix("00") if phone.removeprefix("+").isdecimal() else None


def called(sought: str) -> Iterator[ColumnElement[bool]]:
    """Customers whose name begins like this."""
    first, _, last = sought.partition(" ")
    for each in spellings(sought):
        yield begins(func.lower(Customer.first_name), each)
        yield begins(func.lower(Customer.last_name), each)
    if last:
        for one, other in zip(spellings(first), spellings(last), strict=False):
            yield _both(one, other)


def _both(first: str, last: str) -> ColumnElement[bool]:
    """Found by the longer of the two, which fewer have: what has something put to it is not in an index."""
    first_name, last_name = func.lower(Customer.first_name), func.lower(Customer.last_name)
    if len(first) > len(last):
        return begins(first_name, first) & begins(last_name.concat(""), last)
    return begins(first_name.concat(""), first) & begins(last_name, last)


def spellings(sought: str) -> list[str]:
    """As `lower()` may have left the name: SQLite's leaves letters beyond A to Z as they are."""
    low = sought.lower()
    if low.isascii():
        return [low]
    typed = "".join(character.lower() if character.isascii() else character for character in sought)
    title = low[:1].upper() + low[1:] if not low[:1].isascii() else low
    return list(dict.fromkeys([low, title, typed]))


def begins(column: ColumnElement[str] | object, text: str) -> ColumnElement[bool]:
    """In the order of the characters, as the index has it. LIKE would do, if no database had a mind of its own about it."""
    compared: ColumnElement[str] = column  # type: ignore[assignment]
    if db.engine.dialect.name == "postgresql":
        after = compared.op("~>=~", is_comparison=True)(text)
        return after & compared.op("~<~", is_comparison=True)(text + _LAST)
    return (compared >= text) & (compared < text + _LAST)
