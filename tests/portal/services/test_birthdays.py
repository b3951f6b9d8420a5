"""Birthdays are told once a year, in the morning of the merchant's time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
import time_machine
from sqlalchemy import select

from portal.db import db
from portal.jobs import birthdays as job
from portal.models import Customer, Event
from portal.services import birthdays
from tests.portal.services import programmes, stage

MAY_4 = datetime(2026, 5, 4, 12, tzinfo=UTC)


def _told(customer: Customer) -> list[str]:
    query = select(Event.event_id).where(Event.customer_id == customer.id, Event.type == "customer_birthday")
    return list(db.session.scalars(query.order_by(Event.id)))


def _on(moment: datetime) -> None:
    with time_machine.travel(moment, tick=False):
        job.tell_due()


def test_a_birthday_is_told_once_however_often_the_job_runs(shop: int) -> None:
    customer, other = programmes.customer_with(shop, birthday=504), programmes.customer_with(shop, birthday=505)
    for _ in range(3):
        _on(MAY_4)
    assert (_told(customer), _told(other)) == ([f"jc:birthday:{customer.id}:2026"], [])
    _on(MAY_4.replace(year=2027))
    assert len(_told(customer)) == 2


def test_it_is_told_in_the_morning_of_the_merchants_time_zone(lone: int) -> None:
    tokyo = stage.make_merchant("Asia/Tokyo")
    here, there = programmes.customer_with(lone, birthday=504), programmes.customer_with(tokyo, birthday=504)
    _on(datetime(2026, 5, 3, 23, 30, tzinfo=UTC))  # half past eight in Tokyo
    assert (len(_told(here)), len(_told(there))) == (0, 1)
    _on(datetime(2026, 5, 4, 7, 59, tzinfo=UTC))
    assert _told(here) == []
    _on(datetime(2026, 5, 4, 8, 0, tzinfo=UTC))
    assert (len(_told(here)), len(_told(there))) == (1, 1)


@pytest.mark.parametrize(
    ("day", "birthdays_then"),
    [
        (date(2026, 2, 28), [228, 229]),
        (date(2028, 2, 28), [228]),
        (date(2028, 2, 29), [229]),
        (date(2026, 3, 1), [301]),
        (date(2026, 12, 31), [1231]),
    ],
)
def test_whoever_was_born_on_a_leap_day_has_a_birthday_every_year(day: date, birthdays_then: list[int]) -> None:
    assert birthdays.birthdays_on(day) == birthdays_then


def test_what_was_missed_while_nothing_ran_is_caught_up_for_a_week_and_once(lone: int) -> None:
    tokyo = stage.make_merchant("Asia/Tokyo")
    _on(MAY_4.replace(day=1))
    missed, there, long_ago = (
        programmes.customer_with(shop, birthday=day) for shop, day in ((lone, 504), (tokyo, 511), (lone, 502))
    )
    for _ in range(3):
        _on(MAY_4.replace(day=11, hour=1))  # in the night here, and in the morning there
    assert [len(_told(each)) for each in (missed, there, long_ago)] == [1, 1, 0]


def test_whoever_becomes_known_after_their_birthday_is_not_congratulated_late(shop: int) -> None:
    _on(MAY_4)
    late, today = programmes.customer_with(shop, birthday=503), programmes.customer_with(shop, birthday=504)
    _on(MAY_4.replace(hour=20))
    assert [len(_told(each)) for each in (late, today)] == [0, 1]


def test_a_birthday_at_the_end_of_the_year_is_caught_up_in_the_next(shop: int) -> None:
    _on(datetime(2026, 12, 30, 12, tzinfo=UTC))
    customer = programmes.customer_with(shop, birthday=1231)
    _on(datetime(2027, 1, 2, 12, tzinfo=UTC))
    _on(datetime(2027, 12, 31, 12, tzinfo=UTC))
    assert [event_id[-4:] for event_id in _told(customer)] == ["2026", "2027"]


def test_more_than_one_batch_is_told_to_the_end(shop: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(birthdays, "AT_ONCE", 2)
    people = [programmes.customer_with(shop, birthday=504) for _ in range(5)]
    _on(MAY_4)
    assert [len(_told(person)) for person in people] == [1] * 5
