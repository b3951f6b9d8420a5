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


def test_more_than_one_batch_is_told_to_the_end(shop: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(birthdays, "AT_ONCE", 2)
    people = [programmes.customer_with(shop, birthday=504) for _ in range(5)]
    _on(MAY_4)
    assert [len(_told(person)) for person in people] == [1] * 5
