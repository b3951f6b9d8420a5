"""The delivery log: filters in the address, paging by id, one event with its tries, trying again."""

from __future__ import annotations

import re
from datetime import timedelta

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event as sqlalchemy_event

from portal.db import db, utcnow
from portal.models import Call, ConnectionState, Delivery, DeliveryState, Event
from tests import factories
from tests.factories import Shop
from tests.portal.blueprints.pages import HTMX, hx_post, log_in_stranger, post

EVIL = '<script>alert("x")</script>'


def _rows(html: str) -> list[str]:
    """The events' own ids, as listed."""
    return re.findall(r'<span class="row-sub">([^<]+)</span>', html)


def _fail(app: Flask, *event_ids: str, answer: str = "") -> dict[str, int]:
    """Make these events' deliveries fail, each with one try; their ids."""
    with app.app_context():
        found = {}
        for number, row in enumerate(db.session.scalars(db.select(Event).where(Event.event_id.in_(event_ids)))):
            found[row.event_id] = row.id
            delivery = db.session.get_one(Delivery, row.id)
            delivery.state, delivery.settled_at, delivery.attempts = DeliveryState.DEAD, utcnow(), 1
            delivery.reason, delivery.calls = "Phone number not valid. Correct it in your shop.", f"{row.id} "
            db.session.add(
                Call(
                    id=row.id,
                    merchant_id=row.merchant_id,
                    started_at=utcnow(),
                    duration_ms=184 + number,
                    method="POST",
                    path="/api/events",
                    items=1,
                    status=400,
                    answer=answer,
                )
            )
        db.session.commit()
        return found


def test_an_empty_log_says_what_will_be_here(owner: FlaskClient) -> None:
    page = owner.get("/activity").text
    assert "No events yet" in page
    assert "Create an API key" in page


def test_the_newest_event_is_first_and_pages_go_on_by_id(owner: FlaskClient, connected: Shop) -> None:
    factories.tell_all(owner, connected, factories.events("page", 60))
    first = owner.get("/activity").text
    assert _rows(first) == [f"page-{index:05}" for index in range(59, 9, -1)]
    older = re.search(r'href="(/activity\?before=\d+)" rel="next"', first)
    assert older is not None
    second = owner.get(older[1]).text
    assert _rows(second) == [f"page-{index:05}" for index in range(9, -1, -1)]
    assert 'rel="next"' not in second
    assert "Newest" in second


def test_filters_stand_in_the_address_and_are_kept(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    told = [factories.event("one", "ada@example.com"), factories.event("two", "bo@example.com", type="checked_in")]
    factories.tell_all(owner, connected, told)
    _fail(app, "two")
    assert _rows(owner.get("/activity?event=checked_in").text) == ["two"]
    assert _rows(owner.get("/activity?state=waiting").text) == ["one"]
    failed = owner.get("/activity?state=failed&customer=bo@example.com").text
    assert _rows(failed) == ["two"]
    assert '<option value="failed" selected>' in failed
    assert 'value="bo@example.com"' in failed
    assert "Nothing matches" in owner.get("/activity?state=delivered").text


def test_a_filter_that_does_not_exist_is_left_out(owner: FlaskClient, connected: Shop) -> None:
    factories.tell_all(owner, connected, [factories.event("one")])
    assert _rows(owner.get("/activity?event=rockets&state=maybe&before=soon").text) == ["one"]


def test_an_event_shows_its_tries_and_what_was_sent(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    factories.tell_all(owner, connected, [factories.event("one")])
    event_id = _fail(app, "one", answer=f"detail {EVIL}")["one"]
    page = owner.get(f"/activity/{event_id}").text
    assert "Could not be delivered" in page
    assert "Phone number not valid." in page
    assert "1 try" in page
    assert "POST /api/events" in page
    assert "(400)" in page
    assert "&#34;unique_id&#34;: &#34;one&#34;" in page
    assert EVIL not in page
    assert "&lt;script&gt;" in page


def test_what_a_program_tells_is_shown_as_text(owner: FlaskClient, connected: Shop) -> None:
    told = factories.event(f"id-{EVIL}", properties={"change": 5, "reason": "{{ 7*7 }} " + EVIL})
    factories.tell_all(owner, connected, [told])
    log = owner.get("/activity").text
    assert EVIL not in log
    page = owner.get(re.findall(r'href="(/activity/\d+)"', log)[0]).text
    assert EVIL not in page
    assert "{{ 7*7 }}" in page


def test_retry_makes_it_wait_again_with_htmx_and_without(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    factories.tell_all(owner, connected, factories.events("again", 2))
    ids = _fail(app, "again-00000", "again-00001")
    answer = hx_post(owner, f"/activity/{ids['again-00000']}/retry")
    assert answer.status_code == 200
    assert 'id="activity-delivery"' in answer.text
    assert "Waiting" in answer.text
    assert 'hx-trigger="every 2s, refresh"' in answer.text
    path = f"/activity/{ids['again-00001']}"
    assert post(owner, f"{path}/retry").location == path
    assert "waits for delivery again" in owner.get(path).text
    assert post(owner, f"{path}/retry").status_code == 404, "it has not failed"


def test_a_delivery_polls_only_while_it_waits(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    factories.tell_all(owner, connected, [factories.event("one")])
    path = re.findall(r'href="/activity/(\d+)"', owner.get("/activity").text)[0]
    assert "hx-trigger" in owner.get(f"/activity/delivery/{path}", headers=HTMX).text
    _fail(app, "one")
    assert "hx-trigger" not in owner.get(f"/activity/delivery/{path}", headers=HTMX).text


def test_an_event_that_waits_says_for_what(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    factories.tell_all(owner, connected, factories.events("wait", 1))
    with app.app_context():
        delivery = db.session.scalars(db.select(Delivery)).one()
        event_id, delivery.reason = delivery.id, "Klaviyo did not answer"
        db.session.commit()
    told = " ".join(owner.get(f"/activity/delivery/{event_id}").text.split())
    assert "Klaviyo did not answer. It is next in line. Nothing is lost." in told
    factories.change_connection(app, connected, state=ConnectionState.RECONNECT)
    told = " ".join(owner.get(f"/activity/delivery/{event_id}").text.split())
    assert "It is kept and sent after you reconnect. Nothing is lost." in told
    assert "next in line" not in told


def test_an_event_behind_a_rest_or_another_event_says_so(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    factories.tell_all(owner, connected, [factories.event("first"), factories.event("second")])
    with app.app_context():
        first, second = db.session.scalars(db.select(Delivery).order_by(Delivery.id))
        first.due_at = utcnow() + timedelta(minutes=10)
        ids = (first.id, second.id)
        db.session.commit()

    def told(event_id: int) -> str:
        page = re.sub(r"<[^>]+>", "", owner.get(f"/activity/delivery/{event_id}").text)
        return " ".join(page.split())

    assert "Next try in 9 min. Nothing is lost." in told(ids[0])
    assert "It waits for an earlier event of the same customer, so that they arrive in order. Nothing" in told(ids[1])
    assert f'href="/activity/{ids[0]}"' in owner.get(f"/activity/delivery/{ids[1]}").text
    factories.change_connection(
        app, connected, paused_until=utcnow() + timedelta(seconds=20), pause_reason="Klaviyo is busy"
    )
    assert re.search(r"Klaviyo is busy; continuing in \d+ s\. Nothing is lost\.", told(ids[1]))
    assert "Next try in 9 min." in told(ids[0]), "its own time comes after the rest"
    factories.change_connection(app, connected, state=ConnectionState.DISCONNECTED)
    assert "Klaviyo is disconnected. It is kept for 72 hours" in told(ids[1])


def test_trying_again_is_offered_only_where_something_failed(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    factories.tell_all(owner, connected, [factories.event("one")])
    assert "Try failed events again" not in owner.get("/activity").text
    _fail(app, "one")
    assert "Try failed events again" in owner.get("/activity").text
    stranger, _ = log_in_stranger(app)
    assert "Try failed events again" not in stranger.get("/activity").text


def test_filters_that_are_not_set_are_not_in_the_address(owner: FlaskClient) -> None:
    answer = owner.get("/activity?event=&state=failed&customer=+")
    assert (answer.status_code, answer.location) == (303, "/activity?state=failed")
    assert owner.get("/activity?event=&state=&customer=").location == "/activity"
    assert owner.get("/activity?state=failed").status_code == 200


def test_all_that_failed_since_a_time_is_tried_again(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    factories.tell_all(owner, connected, factories.events("bulk", 3))
    _fail(app, "bulk-00000", "bulk-00001")
    answer = post(owner, "/activity/retry", since="2026-01-01T08:00")
    assert answer.location == "/activity?state=waiting"
    assert "2 events will be tried again." in owner.get(answer.location).text
    assert post(owner, "/activity/retry", since="2026-01-01T08:00").location == "/activity?state=failed"
    assert post(owner, "/activity/retry", since="yesterday").status_code == 422


def test_a_time_without_a_zone_is_meant_in_the_shops(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    factories.tell_all(owner, connected, [factories.event("one")])
    with app.app_context():
        delivery = db.session.scalars(db.select(Delivery)).one()
        delivery.state = DeliveryState.DEAD
        delivery.settled_at = utcnow().replace(month=1, day=15, hour=11, minute=30, second=0)
        db.session.commit()
        year = delivery.settled_at.year
    # 12:30 in Copenhagen is 11:30 UTC in winter: a minute later is too late.
    post(owner, "/activity/retry", since=f"{year}-01-15T12:31")
    assert _rows(owner.get("/activity?state=failed").text) == ["one"]
    post(owner, "/activity/retry", since=f"{year}-01-15T12:30")
    assert _rows(owner.get("/activity?state=failed").text) == []


def test_an_event_that_was_not_sent_says_why(owner: FlaskClient, merchant: Shop) -> None:
    factories.tell_all(owner, merchant, [factories.event("early")])
    page = owner.get("/activity?state=not_sent").text
    assert _rows(page) == ["early"]
    assert "Klaviyo was not connected" in owner.get(re.findall(r'href="(/activity/\d+)"', page)[0]).text


def test_another_shops_events_are_not_there(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    factories.tell_all(owner, connected, [factories.event("ours")])
    event_id = _fail(app, "ours")["ours"]
    stranger, _ = log_in_stranger(app)
    assert _rows(stranger.get("/activity").text) == []
    assert stranger.get(f"/activity/{event_id}").status_code == 404
    assert stranger.get(f"/activity/delivery/{event_id}").status_code == 404
    assert post(stranger, f"/activity/{event_id}/retry").status_code == 404
    post(stranger, "/activity/retry", since="2026-01-01T08:00")
    assert _rows(owner.get("/activity?state=failed").text) == ["ours"]


def test_a_long_log_takes_no_more_questions_than_a_short_one(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    asked: list[str] = []
    with app.app_context():
        sqlalchemy_event.listen(db.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    factories.tell_all(owner, connected, factories.events("few", 2))
    asked.clear()
    owner.get("/activity")
    few = len(asked)
    factories.tell_all(owner, connected, factories.events("many", 50))
    asked.clear()
    owner.get("/activity")
    assert 0 < len(asked) <= few
