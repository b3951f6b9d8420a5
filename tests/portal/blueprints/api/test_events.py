"""`POST /v1/events` and `GET /v1/events/{id}`: the answers, in every state, and who may see them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from sqlalchemy.exc import DataError, InterfaceError, OperationalError, ProgrammingError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from portal.blueprints.api import routes
from portal.db import db, transaction, utcnow
from portal.models import ApiKey, ConnectionState, Customer, Delivery, DeliveryState
from portal.services import activity, api_keys, connecting, modules, upkeep
from tests import factories
from tests.factories import Shop, tell
from tests.portal.blueprints.api import stage
from tests.portal.blueprints.api.stage import NOTHING, error_of
from tests.waiting import eventually


def _show(client: FlaskClient, shop: Shop, event_id: str) -> Any:
    return client.get(f"/v1/events/{quote(event_id, safe='')}", headers=stage.bearer(shop))


def test_a_single_event_is_accepted_once(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    first, second = (tell(client, merchant, factories.event("a")) for _ in range(2))
    assert (first.status_code, first.get_json()) == (202, {"results": [{"id": "a", "status": "accepted"}]})
    assert (second.status_code, second.get_json()) == (202, {"results": [{"id": "a", "status": "duplicate"}]})
    assert stage.stored(app)["events"] == 1


def test_another_event_under_the_same_id_is_a_conflict(client: FlaskClient, merchant: Shop) -> None:
    tell(client, merchant, factories.event("a"))
    answer = tell(client, merchant, factories.event("a", "eve@example.com"))
    assert (answer.status_code, error_of(answer)["code"], error_of(answer)["field"]) == (409, "conflict", "id")


def test_a_customer_of_somebody_else_is_not_found_and_nothing_is_stored(
    app: Flask, client: FlaskClient, merchant: Shop
) -> None:
    other = factories.make_shop(app)
    tell(client, other, factories.event("a"))
    with app.app_context():
        theirs = db.session.scalars(select(Customer)).one().public_id
    before = stage.stored(app)
    answer = tell(client, merchant, factories.event("b", customer={"id": theirs}))
    assert (answer.status_code, error_of(answer)["field"]) == (422, "customer.id")
    assert stage.stored(app) == before


def test_results_stand_in_the_order_of_the_events(client: FlaskClient, merchant: Shop) -> None:
    tell(client, merchant, factories.event("old"))
    told = [
        factories.event("new"),
        factories.event("old"),
        factories.event("old", "eve@example.com"),
        factories.event("odd", type="nothing"),
        factories.event("new"),
        factories.event("gone", customer={"id": "cus_1"}),
    ]
    answer = tell(client, merchant, {"events": told})
    results = answer.get_json()["results"]
    assert answer.status_code == 202
    assert [result["id"] for result in results] == ["new", "old", "old", "odd", "new", "gone"]
    assert [result["status"] for result in results] == [
        "accepted",
        "duplicate",
        "rejected",
        "rejected",
        "duplicate",
        "rejected",
    ]
    assert [result["error"]["code"] for result in results if "error" in result] == ["conflict", "invalid", "invalid"]


def test_a_thousand_events_fit_into_one_request(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    answer = tell(client, merchant, {"events": factories.events("e", 1000)})
    assert {result["status"] for result in answer.get_json()["results"]} == {"accepted"}
    assert stage.stored(app) == {"events": 1000, "customers": 10, "deliveries": 0}


def test_an_email_is_one_customer_however_it_is_written(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    for number, email in enumerate(("ada@example.com", " Ada@Example.COM ")):
        assert tell(client, merchant, factories.event(f"e{number}", email)).status_code == 202
    for number, phone in enumerate(("+45 20 12 34 56", "+4520123456", "+45-20(12)34.56")):
        told = factories.event(f"p{number}", customer={"phone_number": phone, "email": ""})
        assert tell(client, merchant, told).status_code == 202
    assert stage.stored(app)["customers"] == 2


def test_the_time_is_now_where_none_is_told_and_utc_where_one_is(client: FlaskClient, merchant: Shop) -> None:
    tell(client, merchant, factories.event("now"))
    tell(client, merchant, factories.event("then", occurred_at="2026-11-23T09:30:00.5+01:00"))
    now, then = (_show(client, merchant, event_id).get_json() for event_id in ("now", "then"))
    assert now["occurred_at"] == now["received_at"] or _moment(now["occurred_at"]) <= _moment(now["received_at"])
    assert then["occurred_at"] == "2026-11-23T08:30:00.500000Z"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


# --- where an event stands -----------------------------------------------------------------------


def _delivery(client: FlaskClient, shop: Shop, event_id: str = "a") -> dict[str, Any]:
    answer = _show(client, shop, event_id)
    assert answer.status_code == 200, answer.text
    delivery: dict[str, Any] = answer.get_json()["delivery"]
    return delivery


def _set(app: Flask, **values: Any) -> None:
    with app.app_context(), transaction():
        db.session.execute(update(Delivery).values(**values))


def test_an_event_is_shown_as_it_was_told_with_what_follows(client: FlaskClient, merchant: Shop) -> None:
    tell(client, merchant, factories.event("a", properties={"change": 2.5, "reason": "Grüße"}))
    shown = _show(client, merchant, "a").get_json()
    assert shown["customer_id"].startswith("cus_")
    assert {name: shown[name] for name in ("id", "type", "metric", "properties")} == {
        "id": "a",
        "type": "balance_changed",
        "metric": "Balance changed",
        "properties": {
            "change": 2.5,
            "reason": "Grüße",
            "direction": "increase",
            "balance": 2.5,
            "previous_balance": 0,
        },
    }


def test_a_waiting_event_says_when_it_is_tried_next(app: Flask, client: FlaskClient, connected: Shop) -> None:
    tell(client, connected, factories.event("a"))
    due = utcnow() + timedelta(minutes=2)
    _set(app, attempts=2, due_at=due, reason="Klaviyo has trouble of its own (HTTP 503)")
    shown = _delivery(client, connected)
    assert (shown["state"], shown["attempts"], shown["reason"]) == (
        "waiting",
        2,
        "Klaviyo has trouble of its own (HTTP 503)",
    )
    assert _moment(shown["next_attempt_at"]) == due
    assert shown["delivered_at"] is None


def test_an_event_that_waits_for_a_reconnect_says_so(app: Flask, client: FlaskClient, connected: Shop) -> None:
    tell(client, connected, factories.event("a"))
    factories.change_connection(app, connected, state=ConnectionState.RECONNECT)
    shown = _delivery(client, connected)
    assert (shown["reason"], shown["next_attempt_at"]) == (activity.WAITS_FOR_RECONNECT, None)


def test_a_delivered_event_says_since_when(app: Flask, client: FlaskClient, connected: Shop) -> None:
    tell(client, connected, factories.event("a"))
    at = utcnow()
    _set(app, state=DeliveryState.DELIVERED, settled_at=at, attempts=1)
    shown = _delivery(client, connected)
    assert (shown["state"], shown["reason"], shown["next_attempt_at"]) == ("delivered", None, None)
    assert _moment(shown["delivered_at"]) == at


def test_a_failed_event_says_why(app: Flask, client: FlaskClient, connected: Shop) -> None:
    tell(client, connected, factories.event("a"))
    _set(app, state=DeliveryState.DEAD, settled_at=utcnow(), reason="Klaviyo refused this event: no")
    shown = _delivery(client, connected)
    assert (shown["state"], shown["reason"]) == ("failed", "Klaviyo refused this event: no")
    assert (shown["next_attempt_at"], shown["delivered_at"]) == (None, None)


@pytest.mark.parametrize(
    ("state", "said"), [(DeliveryState.DELIVERED, "delivered"), (DeliveryState.DEAD, "failed")], ids=str
)
def test_after_its_details_are_pruned_an_event_still_says_how_it_ended(
    app: Flask, client: FlaskClient, connected: Shop, state: DeliveryState, said: str
) -> None:
    tell(client, connected, factories.event("a"))
    _set(app, state=state, settled_at=utcnow(), reason=None)
    with app.app_context(), transaction():
        assert upkeep.prune(app.extensions["portal_settings"], utcnow() + timedelta(days=100)) == 1
    assert _delivery(client, connected)["state"] == said


def test_an_event_that_is_not_sent_says_why(app: Flask, client: FlaskClient, connected: Shop) -> None:
    with app.app_context(), transaction():
        modules.choose(connected.id, "card_opened", False, "owner")
    tell(client, connected, factories.event("type off", type="card_opened", properties={}))
    tell(client, connected, factories.event("unreachable", customer={"external_id": "42"}))
    factories.switch(app, connected, on=False)
    tell(client, connected, factories.event("module off"))
    with app.app_context(), transaction():
        connecting.disconnect(connected.id, "owner")
    tell(client, connected, factories.event("not connected"))
    reasons = set()
    for event_id in ("type off", "unreachable", "module off", "not connected"):
        shown = _delivery(client, connected, event_id)
        assert (shown["state"], shown["attempts"]) == ("not_sent", 0)
        reasons.add(shown["reason"])
    assert len(reasons) == 4


def test_events_of_a_merchant_who_lost_access_wait(app: Flask, client: FlaskClient, connected: Shop) -> None:
    with app.app_context(), transaction():
        connection = connecting.connection_of(connected.id, lock=True)
        assert connection is not None
        connection.state = ConnectionState.RECONNECT
    tell(client, connected, factories.event("a"))
    assert _delivery(client, connected)["state"] == "waiting"


@pytest.mark.parametrize(
    "event_id", ["plain", "a/b", "a//b", "/a", "//a", "a/", "../a", "ä &?#%", "{{7*7}}", "a b", "."]
)
def test_an_event_is_found_by_whatever_id_it_has(client: FlaskClient, merchant: Shop, event_id: str) -> None:
    tell(client, merchant, factories.event(event_id))
    answer = _show(client, merchant, event_id)
    assert (answer.status_code, answer.get_json().get("id")) == (200, event_id)


def test_an_event_of_another_merchant_is_not_found(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    other = factories.make_shop(app)
    tell(client, other, factories.event("a"))
    for event_id in ("a", "unknown"):
        answer = _show(client, merchant, event_id)
        assert (answer.status_code, error_of(answer)["code"]) == (404, "not_found")


# --- who may -------------------------------------------------------------------------------------


def _wrong_keys(key: str) -> dict[str, dict[str, str]]:
    last = "a" if key[-1] != "a" else "b"
    changed = key[:20] + ("x" if key[20] != "x" else "y") + key[21:]
    return {
        "no header": {},
        "empty": {"Authorization": ""},
        "no scheme": {"Authorization": key},
        "no key": {"Authorization": "Bearer "},
        "Basic": {"Authorization": f"Basic {key}"},
        "twice": {"Authorization": f"Bearer {key},Bearer {key}"},
        "wrong checksum": {"Authorization": f"Bearer {key[:-1]}{last}"},
        "wrong secret": {"Authorization": f"Bearer {changed}"},
        "cut off": {"Authorization": f"Bearer {key[:-7]}"},
        "only the prefix": {"Authorization": f"Bearer {key[:16]}"},
        "not ASCII": {"Authorization": "Bearer jc_live_\u00e9\u00e9"},
        "very long": {"Authorization": "Bearer " + "x" * 8000},
        "SQL": {"Authorization": "Bearer ' OR 1=1--"},
    }


@pytest.mark.parametrize("kind", _wrong_keys("k" * 60))
def test_a_request_without_a_proper_key_is_unauthorized(
    app: Flask, client: FlaskClient, merchant: Shop, kind: str
) -> None:
    answer = client.post("/v1/events", json=factories.event("a"), headers=_wrong_keys(merchant.api_key)[kind])
    assert (answer.status_code, error_of(answer)["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert merchant.api_key not in answer.text
    assert stage.stored(app) == NOTHING


def test_a_key_in_the_address_is_no_key(client: FlaskClient, merchant: Shop) -> None:
    answer = client.post(f"/v1/events?api_key={merchant.api_key}", json=factories.event("a"))
    assert answer.status_code == 401


def test_a_revoked_key_stops_at_once_and_says_so(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    assert tell(client, merchant, factories.event("a")).status_code == 202
    with app.app_context(), transaction():
        api_keys.revoke(merchant.id, api_keys.list_keys(merchant.id)[0].id)
    answer = tell(client, merchant, factories.event("b"))
    assert (answer.status_code, "revoked" in error_of(answer)["message"]) == (401, True)


def test_a_key_that_another_process_revoked_stops_within_a_moment(
    app: Flask, client: FlaskClient, merchant: Shop
) -> None:
    assert tell(client, merchant, factories.event("a")).status_code == 202
    with app.app_context(), transaction():
        db.session.scalars(select(ApiKey).where(ApiKey.merchant_id == merchant.id)).one().revoked_at = utcnow()
    eventually(lambda: tell(client, merchant, factories.event("b")).status_code == 401)


def test_many_wrong_keys_from_one_address_are_slowed_down(client: FlaskClient, merchant: Shop) -> None:
    answers = [client.get("/v1/events/a", headers={"Authorization": "Bearer wrong"}) for _ in range(60)]
    assert {answer.status_code for answer in answers} == {401, 429}
    slowed = next(answer for answer in answers if answer.status_code == 429)
    assert (error_of(slowed)["code"], slowed.headers["Retry-After"]) == ("rate_limited", "1")


@pytest.mark.parametrize("writes", [True, False])
def test_the_use_of_a_key_is_noted(app: Flask, client: FlaskClient, merchant: Shop, writes: bool) -> None:
    tell(client, merchant, factories.event("a")) if writes else _show(client, merchant, "a")
    with app.app_context():
        used = db.session.scalars(select(ApiKey.last_used_at)).one()
    assert used is not None
    assert timedelta() <= utcnow() - used < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("PUT", "/v1/events", 405, "method_not_allowed"),
        ("DELETE", "/v1/events/a", 405, "method_not_allowed"),
        ("GET", "/v1/nothing", 404, "not_found"),
        ("POST", "/v1/events/", 404, "not_found"),
    ],
)
def test_what_does_not_exist_is_told_in_the_same_shape(
    client: FlaskClient, merchant: Shop, method: str, path: str, status: int, code: str
) -> None:
    answer = client.open(path, method=method, headers=stage.bearer(merchant))
    assert answer.status_code in (status, 405)
    assert error_of(answer)["code"] in (code, "method_not_allowed")
    if answer.status_code == 405:
        assert answer.headers.get("Allow")


@pytest.mark.parametrize(
    ("trouble", "status"),
    [
        (OperationalError("INSERT", None, Exception("database is locked")), 503),
        (InterfaceError("INSERT", None, Exception("connection already closed")), 503),
        (PoolTimeoutError("QueuePool limit reached"), 503),
        (DataError("INSERT", None, Exception("our own mistake")), 500),
        (ProgrammingError("INSERT", None, Exception("our own mistake")), 500),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_trouble_of_the_database_is_told_apart_from_mistakes_of_ours(
    app: Flask, trouble: SQLAlchemyError, status: int
) -> None:
    with app.test_request_context("/v1/events", method="POST"):
        answer = routes.answer_database_trouble(trouble)
    assert answer.status_code == status
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert "INSERT" not in answer.get_data(as_text=True)
    assert "Nothing was stored" in answer.get_data(as_text=True)
