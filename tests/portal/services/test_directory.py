"""Finding customers: by how things begin, by filters, page by page; and never by reading all of them."""

from __future__ import annotations

import pytest
from sqlalchemy import event, text

from portal.bulk import insert_rows
from portal.db import db, new_ids, transaction, utcnow
from portal.errors import ConflictError, InvalidError, NotFoundError
from portal.models import CardStatus, Customer, ProfileSync
from portal.models.card_number import card_number, in_groups
from portal.models.customer import new_link_token
from portal.services import directory, editing
from tests.portal.services import programmes, stage
from tests.portal.services.programmes import customer_with, review, set_tiers


def _make(merchant_id: int, *people: dict[str, object]) -> list[int]:
    ids = new_ids(len(people))
    names = ("first_name", "last_name", "email", "phone", "external_id", "klaviyo_profile_id")
    with transaction():
        insert_rows(
            Customer,
            [
                {
                    "id": row_id,
                    "merchant_id": merchant_id,
                    "created_at": utcnow(),
                    "link_token": new_link_token(),
                    **{name: person.get(name) for name in names},
                }
                for row_id, person in zip(ids, people, strict=True)
            ],
        )
    return ids


ADA = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email": "ada.l@example.com",
    "phone": "+4520123456",
    "external_id": "shop-77",
    "klaviyo_profile_id": "01HZX",
}


def _found(merchant_id: int, sought: str) -> list[str | None]:
    return [customer.first_name for customer in directory.page(merchant_id, sought=sought).customers]


@pytest.mark.parametrize(
    "sought",
    [
        *("ada", "ADA", "love", "Ada Lovelace", "ada  love", "ada.l@", "Ada.L@Example.com"),
        *("+45 20", "4520123456", "004520", "shop-77", "01HZX"),
    ],
)
def test_a_customer_is_found_by_how_it_begins(lone: int, sought: str) -> None:
    _make(lone, ADA, {"first_name": "Bob", "email": "bob@example.com"})
    assert _found(lone, sought) == ["Ada"]


@pytest.mark.parametrize(
    "sought", ["vela", "da", "shop-7", "example.com", "ada lovelace x", "%", "_", "'", "\\", "\0x"]
)
def test_what_is_only_somewhere_in_it_finds_nobody(lone: int, sought: str) -> None:
    _make(lone, ADA)
    assert _found(lone, sought) == []


@pytest.mark.parametrize("sought", ["ør", "Ør", "øRSTED"])
def test_names_with_letters_of_their_own_are_found(lone: int, sought: str) -> None:
    _make(lone, {"first_name": "Hans", "last_name": "Ørsted"})
    assert _found(lone, sought) == ["Hans"]


def test_a_customer_is_found_by_the_card_and_by_our_id(lone: int) -> None:
    (ada,) = _make(lone, ADA)
    assert _found(lone, f"cus_{ada}") == ["Ada"]
    assert _found(lone, in_groups(card_number(ada)).lower()) == ["Ada"]


def test_another_merchants_customers_are_never_found(lone: int) -> None:
    (ada,) = _make(lone, ADA)
    other = stage.make_merchant()
    for sought in ("ada", f"cus_{ada}", card_number(ada), "shop-77", "+4520"):
        assert _found(other, sought) == []
    with pytest.raises(NotFoundError):
        directory.find(other, ada)


def test_filters_narrow_a_list_and_a_search(lone: int) -> None:
    set_tiers(lone, {"Bronze": 0, "Silver": 250})
    customer_with(lone, 300, first_name="Silke", card_status=CardStatus.INSTALLED)
    customer_with(lone, 10, first_name="Bruno")
    review(lone)
    ids = {name: tier_id for tier_id, name in directory.tier_names(lone).items()}
    assert [each.first_name for each in directory.page(lone, tier=ids["Silver"]).customers] == ["Silke"]
    assert [each.first_name for each in directory.page(lone, status="not_installed").customers] == ["Bruno"]
    assert directory.page(lone, sought="silke", tier=ids["Bronze"]).customers == []
    assert directory.page(lone, tier=directory.NO_TIER).customers == []
    assert directory.page(lone, tier="7" * 30).customers == []


def test_pages_follow_each_other_without_gap_or_repeat(lone: int) -> None:
    ids = _make(lone, *({"email": f"c{number}@example.com"} for number in range(120)))
    seen: list[int] = []
    before = None
    while True:
        page = directory.page(lone, before=before)
        seen += [customer.id for customer in page.customers]
        before = page.next_before
        if before is None:
            break
    assert seen == sorted(ids, reverse=True)


def test_a_search_that_finds_very_many_says_so(lone: int) -> None:
    _make(lone, *({"first_name": "Anna", "email": f"c{number}@example.com"} for number in range(101)))
    page = directory.page(lone, sought="anna")
    assert (len(page.customers), page.more_found) == (100, True)


def test_a_search_looks_through_many_with_a_filter_and_says_where_there_are_more(
    lone: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "MOST_LOOKED_AT", 5)
    _make(lone, *({"first_name": f"Anna{number}", "email": f"c{number}@example.com"} for number in range(6)))
    page = directory.page(lone, sought="anna", status="installed")
    assert (page.customers, page.more_found) == ([], True)
    page = directory.page(lone, sought="anna1", status="installed")
    assert (page.customers, page.more_found) == ([], False)
    assert len(directory.page(lone, sought="anna", status="not_installed").customers) == 5


@pytest.mark.parametrize("sought", ["kari nord", "ka nordmann", "k n", "karianne n"])
def test_both_names_are_found_by_whichever_is_longer(lone: int, sought: str) -> None:
    _make(
        lone,
        {"first_name": "Karianne", "last_name": "Nordmann"},
        {"first_name": "Karianne", "last_name": "Berg"},
        {"first_name": "Ola", "last_name": "Nordmann"},
    )
    assert _found(lone, sought) == ["Karianne"]


def _statements(merchant_id: int, **asked: str) -> list[tuple[str, object]]:
    seen: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith("SELECT"):
            seen.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        directory.page(merchant_id, **asked)
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    return seen


@pytest.mark.parametrize(
    "asked", [{}, {"status": "installed"}, {"tier": "5"}, {"sought": "ada love"}, {"sought": "+45"}]
)
def test_each_list_is_one_query_that_follows_indexes(lone: int, asked: dict[str, str]) -> None:
    _make(lone, *({"first_name": f"A{number}", "email": f"c{number}@example.com"} for number in range(2_000)))
    if db.engine.dialect.name == "postgresql":
        with transaction():
            db.session.execute(text("ANALYZE customers"))
    ((statement, parameters),) = _statements(lone, **asked)
    explain = "EXPLAIN QUERY PLAN" if db.engine.dialect.name == "sqlite" else "EXPLAIN"
    rows = db.session.connection().exec_driver_sql(f"{explain} {statement}", parameters).all()  # type: ignore[arg-type]
    plan = "\n".join(str(row) for row in rows)
    assert "SCAN customers" not in plan
    assert "Seq Scan on customers" not in plan
    if "sought" in asked:
        for name in ("first_name", "last_name", "email"):
            assert f"ix_customers_merchant_id_{name}" in plan or "uq_customers_email" in plan


# --- editing -------------------------------------------------------------------------------------

BLANK = dict.fromkeys(editing.EDITABLE)


def test_an_identifier_of_somebody_else_is_refused_by_the_name_of_who_has_it(lone: int) -> None:
    (ada, bob) = _make(lone, ADA, {"first_name": "Bob"})
    with (
        pytest.raises(
            ConflictError, match=rf"already belongs to another customer, Ada Lovelace \(cus_{ada}\)"
        ) as caught,
        transaction(),
    ):
        editing.change(lone, bob, {**BLANK, "first_name": "Bob", "email": "ada.l@example.com"})
    assert caught.value.field == "email"
    assert directory.find(lone, bob).email is None


def test_what_klaviyo_is_told_by_is_sent_anew_when_it_is_edited(lone: int) -> None:
    (bob,) = _make(lone, {"first_name": "Bob"})
    with transaction():
        assert editing.change(
            lone, bob, {**BLANK, "first_name": "Bob", "email": "bob@example.com", "birthday": 504}
        ) == [
            "birthday",
            "email",
        ]
    assert db.session.get(ProfileSync, bob) is not None
    with transaction():
        assert editing.change(lone, bob, {"birthday": 504}) == []


@pytest.mark.parametrize(("day", "month"), [(30, 2), (31, 4), (0, 5), (5, 0), (None, 5), (5, 13)])
def test_a_day_that_does_not_exist_is_no_birthday(day: int | None, month: int | None) -> None:
    with pytest.raises(InvalidError):
        editing.birthday_of(day, month)


def test_a_leap_day_is_a_birthday_and_none_is_fine(lone: int) -> None:
    assert editing.birthday_of(29, 2) == 229
    assert editing.birthday_of(None, None) is None


def test_a_link_that_is_renewed_is_another_one(lone: int) -> None:
    customer = programmes.customer_with(lone)
    old = customer.link_token
    with transaction():
        assert editing.renew_link(lone, customer.id).link_token != old
