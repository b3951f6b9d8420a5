"""The delivery log: newest first, filtered, in pages, and never another merchant's."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from portal.db import utcnow
from portal.errors import InvalidError, NotFoundError
from portal.models import ConnectionState
from portal.services import activity
from portal.services.customers import Identifiers
from tests.portal.services import stage
from tests.portal.services.stage import answer, told


def _ids(page: activity.Page) -> list[str]:
    return [row.event.event_id for row in page.rows]


def test_events_come_newest_first_in_pages_that_neither_overlap_nor_skip(shop: int) -> None:
    stage.record_many(shop, 7)
    seen: list[str] = []
    before: int | None = None
    for _ in range(4):
        page = activity.page(shop, before=before, limit=2)
        seen += _ids(page)
        before = page.next_before
    assert seen == ["e6", "e5", "e4", "e3", "e2", "e1", "e0"]
    assert before is None


def test_a_last_page_that_is_full_has_no_next_one(shop: int) -> None:
    stage.record_many(shop, 2)
    assert activity.page(shop, limit=2).next_before is None


def test_a_customers_events_stand_in_the_order_in_which_they_happened(shop: int) -> None:
    now = utcnow()
    days = {"now": 0, "long-ago": 90, "last-week": 7, "at-the-same-time": 7}
    stage.record(shop, *(told(name, occurred_at=now - timedelta(days=ago)) for name, ago in days.items()))
    stage.record(shop, told("another", "eve@example.com"))
    customer = next(row.customer for row in activity.page(shop).rows if row.event.event_id == "now")
    seen: list[str] = []
    before: int | None = None
    for _ in range(2):
        page = activity.of_customer(customer, before=before, limit=2)
        seen += [each for each in _ids(page) if not each.startswith("jc:")]
        before = page.next_before
    assert seen == ["now", "at-the-same-time", "last-week", "long-ago"]
    assert (before, _ids(activity.of_customer(customer, before=1))) == (None, [])


def test_what_waits_says_why_and_until_when(shop: int) -> None:
    stage.record(shop, "a")
    waiting = activity.page(shop).rows[0].delivery
    now = utcnow()
    rest = now + timedelta(minutes=5)
    assert waiting is not None
    assert activity.outlook(waiting, stage.connection(shop), now) == (None, waiting.due_at)
    stage.change_connection(shop, paused_until=rest, pause_reason="Klaviyo asked us to slow down")
    assert activity.outlook(waiting, stage.connection(shop), now) == ("Klaviyo asked us to slow down", rest)
    assert activity.outlook(waiting, stage.connection(shop), rest) == (None, waiting.due_at)
    stage.change_connection(shop, state=ConnectionState.DISCONNECTED)
    assert activity.outlook(waiting, stage.connection(shop), now) == (activity.WAITS_FOR_CONNECT, None)


def _one_in_each_state(shop: int) -> None:
    stage.record(shop, "delivered")
    stage.settle(stage.must_claim(shop), answer(202))
    stage.record(shop, "failed")
    stage.settle(stage.must_claim(shop), answer(400))
    stage.record(shop, told("not_sent", Identifiers(external_id="42"), type="card_opened"))
    stage.record(shop, told("waiting", "eve@example.com"))


@pytest.mark.parametrize("state", ["waiting", "delivered", "failed", "not_sent"])
def test_each_state_can_be_asked_for(shop: int, state: str) -> None:
    _one_in_each_state(shop)
    page = activity.page(shop, state=state)
    assert _ids(page) == [state]
    assert [row.state for row in page.rows] == [state]


def test_filters_are_put_together(shop: int) -> None:
    _one_in_each_state(shop)
    assert _ids(activity.page(shop, event_type="card_opened")) == ["not_sent"]
    assert _ids(activity.page(shop, customer="eve@example.com")) == ["waiting"]
    assert _ids(activity.page(shop, customer="ada@example.com", state="failed")) == ["failed"]
    assert _ids(activity.page(shop, customer="nobody@example.com")) == []
    assert _ids(activity.page(shop, customer="eve@example.com", event_type="card_opened")) == []


@pytest.mark.parametrize("wrong", [{"event_type": "nothing"}, {"state": "odd"}])
def test_a_filter_that_does_not_exist_is_refused(shop: int, wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidError):
        activity.page(shop, **wrong)  # type: ignore[arg-type]


def test_another_merchants_events_are_not_there(shop: int) -> None:
    stage.record(shop, "a")
    event = activity.page(shop).rows[0].event
    other = stage.make_merchant()
    assert activity.page(other).rows == []
    assert activity.page(other, state="waiting", customer="ada@example.com").rows == []
    with pytest.raises(NotFoundError):
        activity.detail(other, event.id)


@pytest.mark.parametrize("event_id", [0, -1, 2**63 - 1])
def test_a_number_that_is_no_events_is_not_found(shop: int, event_id: int) -> None:
    with pytest.raises(NotFoundError):
        activity.detail(shop, event_id)


@pytest.mark.parametrize(("before", "found"), [(0, 0), (-1, 0), (2**63, 1), (10**40, 1)])
def test_a_page_can_begin_anywhere(shop: int, before: int, found: int) -> None:
    stage.record(shop, "a")
    assert len(activity.page(shop, before=before).rows) == found


def test_the_detail_shows_every_try_and_what_was_sent(shop: int) -> None:
    stage.record(shop, told("a", properties={"change": 5, "reason": "Grüße"}))
    for status, after in ((503, 0.0), (429, 60.0), (202, 130.0)):
        stage.settle(stage.must_claim(shop, after=after), answer(status, '{"x": 1}'), after=after)
    detail = activity.detail(shop, stage.deliveries(shop)[0].id)
    assert [call.status for call in detail.tries] == [503, 429, 202]
    assert (detail.row.state, detail.tries_unrecorded, detail.unsent_sentence) == ("delivered", 0, None)
    sent = json.loads(detail.request_body)["data"]["attributes"]
    assert (sent["unique_id"], sent["properties"]["reason"]) == ("a", "Grüße")
    assert "Grüße" in detail.request_body


def test_a_try_whose_worker_died_is_counted(shop: int) -> None:
    stage.record(shop, "a")
    stage.must_claim(shop)
    row_id = stage.deliveries(shop)[0].id
    assert activity.detail(shop, row_id).tries_unrecorded == 0, "it is under way"
    batch = stage.must_claim(shop, after=stage.LEASE + 1)
    assert activity.detail(shop, row_id).tries_unrecorded == 1
    stage.settle(batch, answer(202))
    assert activity.detail(shop, row_id).tries_unrecorded == 1


@pytest.mark.parametrize("why", ["not_connected", "module_off", "type_off", "unreachable", "given_up"])
def test_every_reason_not_to_send_has_its_sentence(why: str) -> None:
    assert activity.UNSENT_SENTENCES[activity.Unsent(why)].endswith(".")
