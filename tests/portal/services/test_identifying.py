"""Finding customers: by each identifier, in a fixed order, and never across merchants."""

from __future__ import annotations

import importlib

import pytest
import time_machine
from sqlalchemy import select

from portal.db import db
from portal.models import Customer
from portal.services import customers
from portal.services.customers import NAMES, Identifiers
from portal.services.telling import CustomerRef
from tests.factories import know
from tests.portal.services import stage

FULL = {
    "external_id": "shop-1",
    "klaviyo_profile_id": "01HZX3",
    "email": "ada@example.com",
    "phone": "+4520123456",
}


def _identify(merchant_id: int, *who: Identifiers) -> list[int | None]:
    return [person.id if person else None for person in know(merchant_id, who)]


def _rows(merchant_id: int) -> list[dict[str, str | None]]:
    query = select(Customer).where(Customer.merchant_id == merchant_id).order_by(Customer.id)
    rows = db.session.scalars(query.execution_options(populate_existing=True))
    return [{name: getattr(row, name) for name in NAMES} for row in rows]


@pytest.mark.parametrize("name", NAMES)
def test_a_customer_is_made_once_and_found_by_each_identifier(lone: int, name: str) -> None:
    who = Identifiers(**{name: FULL[name]})  # type: ignore[arg-type]
    [made] = _identify(lone, who)
    assert _identify(lone, who) == [made]
    assert _rows(lone) == [{**dict.fromkeys(NAMES), name: FULL[name]}]


def test_our_own_id_finds_and_never_makes(lone: int) -> None:
    [made] = _identify(lone, Identifiers(email="ada@example.com"))
    assert _identify(lone, Identifiers(id=made), Identifiers(id=made + 1 if made else 0)) == [made, None]
    assert len(_rows(lone)) == 1


def test_an_id_of_another_merchants_customer_does_not_exist(lone: int) -> None:
    other = stage.make_merchant()
    [theirs] = _identify(other, Identifiers(email="ada@example.com"))
    assert _identify(lone, Identifiers(id=theirs)) == [None]
    [ours] = _identify(lone, Identifiers(email="ada@example.com"))
    assert ours != theirs


@pytest.mark.parametrize(
    ("first", "second"), [(first, second) for place, first in enumerate(NAMES) for second in NAMES[place + 1 :]]
)
def test_where_two_identifiers_name_two_customers_the_earlier_one_counts(lone: int, first: str, second: str) -> None:
    by_first, by_second = _identify(
        lone,
        Identifiers(**{first: FULL[first]}),  # type: ignore[arg-type]
        Identifiers(**{second: FULL[second]}),  # type: ignore[arg-type]
    )
    both = Identifiers(**{first: FULL[first], second: FULL[second]})  # type: ignore[arg-type]
    before = _rows(lone)
    assert _identify(lone, both) == [by_first]
    assert by_first != by_second
    assert _rows(lone) == before, "what belongs to somebody else is never moved"


def test_our_own_id_counts_before_every_other(lone: int) -> None:
    mine, theirs = _identify(lone, Identifiers(external_id="1"), Identifiers(email="eve@example.com"))
    assert _identify(lone, Identifiers(id=mine, email="eve@example.com")) == [mine]
    assert mine != theirs


def test_what_is_missing_is_filled_in_and_what_is_there_is_kept(lone: int) -> None:
    [made] = _identify(lone, Identifiers(external_id="shop-1", email="ada@example.com"))
    told = Identifiers(external_id="shop-1", email="new@example.com", phone="+4520123456")
    assert _identify(lone, told) == [made]
    assert _rows(lone) == [{**FULL, "klaviyo_profile_id": None}]
    assert _identify(lone, Identifiers(phone="+4520123456")) == [made]


def test_within_one_list_later_events_find_whom_earlier_ones_made(lone: int) -> None:
    found = _identify(
        lone,
        Identifiers(external_id="shop-1"),
        Identifiers(external_id="shop-1", email="ada@example.com"),
        Identifiers(email="ada@example.com", phone="+4520123456"),
        Identifiers(phone="+4520123456"),
    )
    assert len(set(found)) == 1
    assert _rows(lone) == [{**FULL, "klaviyo_profile_id": None}]


def test_an_identifier_that_another_customer_gets_in_the_same_list_is_given_once(lone: int) -> None:
    first, second, third = _identify(
        lone,
        Identifiers(external_id="1", email="ada@example.com"),
        Identifiers(external_id="2"),
        Identifiers(external_id="2", email="ada@example.com"),
    )
    assert second == third != first
    assert [row["email"] for row in _rows(lone)] == ["ada@example.com", None]


def test_the_same_identifiers_at_two_merchants_are_two_customers(lone: int) -> None:
    other = stage.make_merchant()
    who = Identifiers(**FULL)
    assert _identify(lone, who) != _identify(other, who)
    assert _rows(lone) == _rows(other) == [FULL]


@pytest.mark.parametrize("name", NAMES)
def test_searching_finds_exactly_one_identifier(lone: int, name: str) -> None:
    _identify(lone, Identifiers(**FULL), Identifiers(external_id="other"))
    assert [names_of(found) for found in customers.search(lone, f" {FULL[name]} ")] == [FULL]


def names_of(customer: Customer) -> dict[str, str | None]:
    return {name: getattr(customer, name) for name in NAMES}


def test_searching_by_our_id_stays_with_the_merchant(lone: int) -> None:
    [made] = _identify(lone, Identifiers(**FULL))
    assert [found.id for found in customers.search(lone, f"cus_{made}")] == [made]
    assert customers.search(stage.make_merchant(), f"cus_{made}") == []


@pytest.mark.parametrize("text", ["", "cus_", "cus_x", "cus_²", "cus_" + "9" * 30, "' OR 1=1--", "%", "@", "cus_-1"])
def test_searching_for_nonsense_finds_nobody(lone: int, text: str) -> None:
    _identify(lone, Identifiers(**FULL))
    assert customers.search(lone, text) == []


def test_ids_of_customers_made_years_from_now_are_still_taken(lone: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("portal.db"), "_last_id", 0)  # put back afterwards: ids only ever rise
    with time_machine.travel("2040-01-01T00:00:00Z"):
        [made] = _identify(lone, Identifiers(email="ada@example.com"))
    assert made is not None
    assert CustomerRef.model_validate({"id": f"cus_{made}"}).id == f"cus_{made}"
