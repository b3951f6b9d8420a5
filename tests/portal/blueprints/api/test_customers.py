"""`/v1/customers`: made, brought up to date, shown and erased; each row has its own answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal.db import db, transaction, utcnow
from portal.models import (
    AuditEntry,
    Customer,
    Delivery,
    ErasedEvent,
    Erasure,
    Event,
    PointsChange,
    ProfileSync,
    Programme,
)
from tests import factories
from tests.factories import Shop, tell
from tests.portal.blueprints.api import stage
from tests.portal.blueprints.api.stage import error_of

ADA = {"external_id": "10422", "email": "ada@example.com", "first_name": "Ada", "birthday": "1815-12-10"}


def _send(client: FlaskClient, shop: Shop, body: object) -> TestResponse:
    return client.post("/v1/customers", json=body, headers=stage.bearer(shop))


def _results(client: FlaskClient, shop: Shop, *customers: object, **more: object) -> list[dict[str, Any]]:
    answer = _send(client, shop, {"customers": list(customers), **more})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.get_json()["results"]
    return results


def _see(client: FlaskClient, shop: Shop, customer_id: str) -> dict[str, Any]:
    answer = client.get(f"/v1/customers/{customer_id}", headers=stage.bearer(shop))
    assert answer.status_code == 200, answer.text
    seen: dict[str, Any] = answer.get_json()
    return seen


def _events(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(Event.type).order_by(Event.id)))


def test_a_customer_is_made_once_told_of_once_and_then_brought_up_to_date(
    app: Flask, client: FlaskClient, connected: Shop
) -> None:
    made = _send(client, connected, ADA).get_json()["results"][0]
    assert made["status"] == "created"
    assert _events(app) == ["customer_created"]
    same = _send(client, connected, ADA).get_json()["results"][0]
    assert same == {"id": made["id"], "status": "unchanged"}
    more = {"external_id": "10422", "last_name": "Lovelace", "phone_number": "+4520123456"}
    assert _send(client, connected, more).get_json()["results"][0]["status"] == "updated"
    seen = _see(client, connected, made["id"])
    assert (seen["first_name"], seen["last_name"], seen["birthday"]) == ("Ada", "Lovelace", "12-10")
    assert (seen["email"], seen["phone_number"], seen["external_id"]) == ("ada@example.com", "+4520123456", "10422")
    assert _events(app) == ["customer_created"]


def test_an_initial_import_is_told_of_nobody_and_gives_no_welcome(
    app: Flask, client: FlaskClient, connected: Shop
) -> None:
    with app.app_context(), transaction():
        db.session.get_one(Programme, connected.id).welcome_points = 10_00
    results = _results(client, connected, {"email": "a@example.com"}, {"email": "b@example.com"}, initial_import=True)
    assert [result["status"] for result in results] == ["created", "created"]
    assert _events(app) == []
    welcomed = _send(client, connected, {"email": "c@example.com"}).get_json()["results"][0]
    assert _see(client, connected, welcomed["id"])["balance"] == 10
    assert _events(app) == ["customer_created", "balance_changed"]


def test_what_is_left_out_stays_a_blank_text_too_and_null_clears(client: FlaskClient, merchant: Shop) -> None:
    customer_id = _send(client, merchant, {**ADA, "last_name": "Lovelace"}).get_json()["results"][0]["id"]
    _send(client, merchant, {"email": "ada@example.com", "first_name": "", "last_name": None, "birthday": None})
    seen = _see(client, merchant, customer_id)
    assert (seen["first_name"], seen["last_name"], seen["birthday"]) == ("Ada", None, None)


def test_an_identifier_that_is_there_or_somebody_elses_is_kept_and_said_to_be(
    client: FlaskClient, merchant: Shop
) -> None:
    _send(client, merchant, {"phone_number": "+4520123456"})
    _send(client, merchant, ADA)
    told = {"external_id": "10422", "email": "other@example.com", "phone_number": "+4520123456"}
    assert _send(client, merchant, told).get_json()["results"][0]["kept"] == ["email", "phone_number"]


WRONG: list[tuple[object, str | None]] = [
    ({}, None),
    (None, None),
    ({"email": "ada"}, "email"),
    ({"email": "a@example.com", "age": 41}, "age"),
    ({"email": "a@example.com", "first_name": 7}, "first_name"),
    ({"email": "a@example.com", "first_name": "x" * 101}, "first_name"),
    ({"email": "a@example.com", "birthday": "31-12"}, "birthday"),
    ({"email": "a@example.com", "birthday": "2023-02-29"}, "birthday"),
    ({"email": "a@example.com", "birthday": "10 December"}, "birthday"),
    ({"email": "a@example.com", "joined_at": "2025-02-01"}, "joined_at"),
    ({"email": "a@example.com", "joined_at": "2031-02-01T00:00:00Z"}, "joined_at"),
    ({"id": "cus_42"}, "id"),
]


def test_each_wrong_row_has_its_reason_and_the_right_ones_are_stored_in_order(
    app: Flask, client: FlaskClient, merchant: Shop
) -> None:
    rows = [row for number, (wrong, _) in enumerate(WRONG) for row in (wrong, {"email": f"right{number}@example.com"})]
    results = _results(client, merchant, *rows)
    assert [result["status"] for result in results] == ["rejected", "created"] * len(WRONG)
    assert [result["error"].get("field") for result in results[::2]] == [field for _, field in WRONG]
    assert stage.stored(app)["customers"] == len(WRONG)
    assert _send(client, merchant, WRONG[2][0]).status_code == 422


@pytest.mark.parametrize("birthday", ["02-29", "2024-02-29"])
def test_a_leap_day_is_a_birthday(client: FlaskClient, merchant: Shop, birthday: str) -> None:
    made = _send(client, merchant, {"email": "a@example.com", "birthday": birthday}).get_json()["results"][0]
    assert _see(client, merchant, made["id"])["birthday"] == "02-29"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"customers": []}, "customers"),
        ({"customers": {}}, "customers"),
        ({"customers": [{}] * 1001}, "customers"),
        ({"customers": [{}], "events": []}, "events"),
        ({"customers": [{}], "initial_import": "yes"}, "initial_import"),
        ({"email": "a@example.com", "initial_import": 1}, "initial_import"),
    ],
)
def test_a_request_that_is_none_is_refused_as_a_whole(
    app: Flask, client: FlaskClient, merchant: Shop, body: object, field: str
) -> None:
    answer = _send(client, merchant, body)
    assert (answer.status_code, error_of(answer)["field"]) == (422, field)
    assert stage.stored(app) == stage.NOTHING


def test_a_customer_is_shown_with_standing_and_link(client: FlaskClient, connected: Shop) -> None:
    made = _send(client, connected, {**ADA, "joined_at": "2025-02-01T10:00:00+01:00"}).get_json()["results"][0]
    tell(client, connected, factories.event("a", properties={"change": 12.5}))
    tell(client, connected, factories.event("b", type="card_installed", properties={"platform": "ios"}))
    seen = _see(client, connected, made["id"])
    assert seen["balance"] == 12.5
    assert seen["joined_at"] == "2025-02-01T09:00:00Z"
    assert (seen["card"]["status"], seen["card"]["platforms"]) == ("installed", ["ios"])
    assert "/download?token=" in seen["card"]["link"]
    assert seen["properties"] == {}


def test_the_day_of_joining_is_told_to_klaviyo(app: Flask, client: FlaskClient, connected: Shop) -> None:
    _results(client, connected, {"email": "a@example.com"}, initial_import=True)
    with app.app_context(), transaction():
        db.session.execute(ProfileSync.__table__.delete())
    _send(client, connected, {"email": "a@example.com", "first_name": "Ada"})
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(ProfileSync)) == 0
    _send(client, connected, {"email": "a@example.com", "joined_at": "2025-02-01T10:00:00Z"})
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(ProfileSync)) == 1


@pytest.mark.parametrize("customer_id", ["cus_1", "42", "cus_", "cus_" + "9" * 30, "ada@example.com"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_nobody_is_shown_or_erased_who_is_not_there(
    client: FlaskClient, merchant: Shop, method: str, customer_id: str
) -> None:
    answer = client.open(f"/v1/customers/{customer_id}", method=method, headers=stage.bearer(merchant))
    assert (answer.status_code, error_of(answer)["code"]) == (404, "not_found")


def test_a_customer_of_another_merchant_is_not_there(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    theirs = _send(client, factories.make_shop(app), ADA).get_json()["results"][0]["id"]
    for method in ("GET", "DELETE"):
        answer = client.open(f"/v1/customers/{theirs}", method=method, headers=stage.bearer(merchant))
        assert answer.status_code == 404
    assert stage.stored(app)["customers"] == 1


# --- erasing -------------------------------------------------------------------------------------


def _erase(client: FlaskClient, shop: Shop, customer_id: str) -> dict[str, Any]:
    answer = client.delete(f"/v1/customers/{customer_id}", headers=stage.bearer(shop))
    assert answer.status_code == 202, answer.text
    erased: dict[str, Any] = answer.get_json()
    return erased


def test_erasing_takes_everything_and_leaves_hashes(app: Flask, client: FlaskClient, connected: Shop) -> None:
    customer_id = _send(client, connected, ADA).get_json()["results"][0]["id"]
    told = factories.event("order of ada@example.com", properties={"change": 25})
    tell(client, connected, told)
    tell(client, connected, factories.event("b", "eve@example.com"))
    assert _erase(client, connected, customer_id)["klaviyo"] == "will_be_told"
    with app.app_context():
        for model in (Customer, Event, Delivery, PointsChange):
            assert db.session.scalar(select(func.count()).select_from(model)) == 1, model
        kept = db.session.scalars(select(ErasedEvent)).one()
        erasure = db.session.scalars(select(Erasure)).one()
        log = [
            entry.detail
            for entry in db.session.scalars(select(AuditEntry).where(AuditEntry.action == "customer erased"))
        ]
        assert (len(kept.id_hash), log) == (16, [customer_id])
        assert "ada" not in (erasure.profile_sealed or "")
        assert json.loads(erasure.profile or "")["data"]["attributes"] == {"email": "ada@example.com"}
    repeat = tell(client, connected, {**told, "customer": {"external_id": "10422"}})
    assert repeat.get_json()["results"] == [{"id": "order of ada@example.com", "status": "duplicate"}]
    gone = client.get(f"/v1/customers/{customer_id}", headers=stage.bearer(connected))
    assert gone.status_code == 404


def test_whoever_comes_back_after_erasing_is_somebody_new(client: FlaskClient, connected: Shop) -> None:
    first = _send(client, connected, ADA).get_json()["results"][0]["id"]
    tell(client, connected, factories.event("a", properties={"change": 25}))
    _erase(client, connected, first)
    again = _send(client, connected, ADA).get_json()["results"][0]
    assert again["status"] == "created"
    assert again["id"] != first
    assert _see(client, connected, again["id"])["balance"] == 0


def test_klaviyo_is_not_told_of_somebody_it_cannot_know(app: Flask, client: FlaskClient, connected: Shop) -> None:
    customer_id = _send(client, connected, {"external_id": "7"}).get_json()["results"][0]["id"]
    assert _erase(client, connected, customer_id)["klaviyo"] == "does_not_know"
    with app.app_context():
        assert db.session.scalars(select(Erasure)).all() == []


def test_klaviyo_is_told_only_when_nothing_of_the_customer_is_under_way(
    app: Flask, client: FlaskClient, connected: Shop
) -> None:
    customer_id = _send(client, connected, ADA).get_json()["results"][0]["id"]
    end = utcnow().astimezone(UTC).replace(microsecond=0) + timedelta(seconds=50)
    with app.app_context(), transaction():
        delivery = db.session.scalars(select(Delivery)).one()
        delivery.lease, delivery.due_at = 7, end
    _erase(client, connected, customer_id)
    with app.app_context():
        due_at: datetime = db.session.scalars(select(Erasure)).one().due_at
        assert due_at == end
