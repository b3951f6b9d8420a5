"""`POST /v1/push` and `GET /v1/push/{id}`: the published request, who is meant, repeats, and what is answered to what is wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from limits import RateLimitItemPerSecond
from sqlalchemy import func, select, text
from sqlalchemy.exc import InternalError, OperationalError
from werkzeug.test import TestResponse

from portal.blueprints.api import push as api_push
from portal.config import Settings
from portal.db import db, transaction, utcnow
from portal.errors import NotFoundError
from portal.models import Customer, Push, PushRefusal, PushRules, PushState
from portal.services import api_keys, pushing
from portal.services.customers import Identifiers
from portal.services.push_orders import hear_push
from tests import factories
from tests.factories import Shop
from tests.portal.blueprints.api import stage
from tests.portal.blueprints.api.stage import error_of
from tests.servers import Postgres

PUBLISHED = {"customer_id": "10422", "message": "Your reward is ready!", "url": "https://yourstore.com/rewards"}


def _customer(app: Flask, shop: Shop, *, on_ios: bool = True, **identifiers: Any) -> int:
    who = Identifiers(**(identifiers or {"external_id": "10422", "email": "ada@example.com"}))
    with app.app_context():
        person = factories.know(shop.id, [who])[0]
        assert person is not None
        with transaction():
            db.session.get_one(Customer, person.id).on_ios = on_ios
        return person.id


def _push(client: FlaskClient, shop: Shop, body: object = None, **headers: str) -> TestResponse:
    return client.post("/v1/push", json=PUBLISHED if body is None else body, headers={**stage.bearer(shop), **headers})


def _kept(app: Flask) -> list[Push]:
    with app.app_context():
        return list(db.session.scalars(select(Push).order_by(Push.id)))


def test_the_published_request_is_taken_and_can_be_followed(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    customer_id = _customer(app, merchant)
    answer = _push(client, merchant)
    assert answer.status_code == 202
    told = answer.get_json()
    assert told == {
        "id": _kept(app)[0].public_id,
        "status": "accepted",
        "customer_id": f"cus_{customer_id}",
        "channels": ["apple"],
    }
    seen = client.get(f"/v1/push/{told['id']}", headers=stage.bearer(merchant)).get_json()
    assert (seen["state"], seen["message"], seen["devices"]) == ("waiting", "Your reward is ready!", [])


@pytest.mark.parametrize(
    "who",
    [
        {"customer_id": "10422"},
        {"customer_id": "01HZX3W2V7QJ8K5N4M6P9R0T1S"},
        {"customer_id": "", "klaviyo_profile_id": " 01HZX3W2V7QJ8K5N4M6P9R0T1S\n"},
        {"customer_id": " ", "klaviyo_profile_id": "", "email": "Ada@Example.com"},
        {"customer_id": "not-known", "email": "", "phone_number": "+45 20 12 34 56"},
    ],
)
def test_a_blank_or_unknown_identifier_lets_the_next_be_tried(
    app: Flask, client: FlaskClient, merchant: Shop, who: dict[str, str]
) -> None:
    _customer(
        app,
        merchant,
        external_id="10422",
        klaviyo_profile_id="01HZX3W2V7QJ8K5N4M6P9R0T1S",
        email="ada@example.com",
        phone="+4520123456",
    )
    assert _push(client, merchant, {**who, "message": "Hello"}).status_code == 202


def test_our_own_id_names_a_customer_and_never_one_of_another_merchant(
    app: Flask, client: FlaskClient, merchant: Shop
) -> None:
    ours, other = _customer(app, merchant), factories.make_shop(app, "Harbor Books")
    assert _push(client, merchant, {"customer_id": f"cus_{ours}", "message": "Hello"}).status_code == 202
    answer = _push(client, other, {"customer_id": f"cus_{ours}", "message": "Hello"})
    assert (answer.status_code, error_of(answer)["code"]) == (404, "customer_not_found")
    pushed = _kept(app)[0].public_id
    assert client.get(f"/v1/push/{pushed}", headers=stage.bearer(other)).status_code == 404


def test_a_repeat_is_answered_the_same_and_kept_once(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    _customer(app, merchant)
    keyed = {**PUBLISHED, "idempotency_key": "welcome-1"}
    for body, headers in ((PUBLISHED, {}), (keyed, {}), (PUBLISHED, {"Idempotency-Key": "welcome-2"})):
        answers = {_push(client, merchant, body, **headers).text for _ in range(3)}
        assert len(answers) == 1
    assert len(_kept(app)) == 3
    conflict = _push(client, merchant, {**keyed, "message": "Another"})
    assert (conflict.status_code, error_of(conflict)["field"]) == (409, "idempotency_key")


def test_pushes_that_share_a_transaction_have_each_an_answer_of_its_own(app: Flask, merchant: Shop) -> None:
    _customer(app, merchant)
    orders = [hear_push({**PUBLISHED, **more}) for more in ({}, {}, {"customer_id": "nobody"}, {"message": "Another"})]
    with app.app_context(), transaction():
        first, repeat, nobody, another = pushing.accept_each(merchant.id, orders, utcnow())
    assert isinstance(nobody, NotFoundError)
    assert first == repeat
    assert [push.message for push in _kept(app)] == ["Your reward is ready!", "Another"]
    assert isinstance(another, pushing.Accepted)


def test_after_48_hours_the_same_may_be_said_again(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    _customer(app, merchant)
    first = _push(client, merchant).get_json()["id"]
    with app.app_context(), transaction():
        db.session.scalars(select(Push)).one().created_at = utcnow() - pushing.KEY_KEPT - timedelta(seconds=1)
    assert _push(client, merchant).get_json()["id"] != first


def test_a_customer_without_a_card_is_422_kept_once_and_may_be_tried_again_with_a_card(
    app: Flask, client: FlaskClient, merchant: Shop
) -> None:
    customer_id = _customer(app, merchant, on_ios=False)
    for _ in range(2):
        answer = _push(client, merchant)
        assert (answer.status_code, error_of(answer)["code"]) == (422, "no_installed_pass")
        assert "Retry-After" not in answer.headers
    assert [push.state for push in _kept(app)] == [PushState.SKIPPED]
    with app.app_context(), transaction():
        db.session.get_one(Customer, customer_id).on_android = True
    assert _push(client, merchant).get_json()["channels"] == ["google"]


def test_a_late_push_has_expired_and_a_dry_run_keeps_nothing(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    _customer(app, merchant)
    checked = _push(client, merchant, {**PUBLISHED, "dry_run": True})
    assert (checked.status_code, checked.get_json()["status"], _kept(app)) == (202, "checked", [])
    late = _push(client, merchant, {**PUBLISHED, "expires_at": "2020-01-01T00:00:00Z"})
    assert (late.status_code, error_of(late)["code"]) == (422, "expired")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"message": ""}, "message"),
        ({"message": None}, "message"),
        ({"message": 5}, "message"),
        ({"message": "x" * 501}, "message"),
        ({"message": "a\nb"}, "message"),
        ({"message": "a\u202eb"}, "message"),
        ({"title": "x" * 61}, "title"),
        ({"title": "a\tb"}, "title"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "2026-11-25T10:00:00"}, "expires_at"),
        ({"dry_run": "yes"}, "dry_run"),
        ({"email": "nobody"}, "email"),
        ({"phone_number": "12"}, "phone_number"),
        ({"customer_id": 5}, "customer_id"),
        ({"customer_id": "x" * 201}, "customer_id"),
        ({"merchant_id": 2}, "merchant_id"),
        ({"customer_id": ""}, None),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_kept(
    app: Flask, client: FlaskClient, merchant: Shop, changes: dict[str, object], field: str | None
) -> None:
    _customer(app, merchant)
    answer = _push(client, merchant, {**PUBLISHED, **changes})
    assert (answer.status_code, error_of(answer).get("field")) == (422, field)
    assert _kept(app) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://yourstore.com", "javascript:alert(1)", "https://", "https://localhost/x", "https://127.0.0.1/",
        "https://[::1]/", "https://2130706433/", "https://0x7f.1/", "https://user@yourstore.com/", "https://yourstore.com:8443/",
        "https://store.local/", "https://your store.com/", "https://yourstore.com/\u0000", "//yourstore.com", "x" * 3000,
    ],
)  # fmt: skip
def test_a_link_leads_to_a_public_website_over_https(app: Flask, client: FlaskClient, merchant: Shop, url: str) -> None:
    _customer(app, merchant)
    answer = _push(client, merchant, {**PUBLISHED, "url": url})
    assert answer.status_code in (400, 422)
    assert _kept(app) == []


def test_broken_json_of_a_template_is_explained_and_kept_for_the_merchant(
    app: Flask, client: FlaskClient, merchant: Shop
) -> None:
    body = '{"customer_id": "10422", "message": "Hello "Bob""}'
    answer = client.post("/v1/push", data=body, headers={**stage.bearer(merchant), "Content-Type": "application/json"})
    assert answer.status_code == 400
    assert "quotation mark" in error_of(answer)["message"]
    with app.app_context():
        kept = db.session.scalars(select(PushRefusal)).one()
        assert (kept.code, kept.status, kept.times) == ("malformed_json", 400, 1)


def test_refusals_without_a_body_a_key_or_json_have_their_statuses(client: FlaskClient, merchant: Shop) -> None:
    assert client.post("/v1/push", json=PUBLISHED).status_code == 401
    too_large = _push(client, merchant, {**PUBLISHED, "title": "x" * 40_000})
    assert too_large.status_code == 413
    assert client.post("/v1/push", data="x", headers=stage.bearer(merchant)).status_code == 415


def test_pushes_that_are_paused_are_403(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    _customer(app, merchant)
    with app.app_context(), transaction():
        db.session.add(PushRules(merchant_id=merchant.id, paused=True, tells_klaviyo=False))
    assert _push(client, merchant).status_code == 403


def test_trouble_of_ours_is_503_whatever_it_is(
    app: Flask, client: FlaskClient, merchant: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    _customer(app, merchant)
    read_only = InternalError("", None, Exception("read-only"))
    for module, function in ((pushing, "accept_each"), (api_keys, "authenticate")):
        for trouble in (OperationalError("", None, Exception("gone")), read_only, ZeroDivisionError()):

            def fail(*_: object, trouble: Exception = trouble) -> None:
                raise trouble

            with monkeypatch.context() as patched:
                patched.setattr(module, function, fail)
                answer = _push(client, merchant)
            assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)


def test_too_many_at_once_are_429_and_come_again(
    app: Flask, client: FlaskClient, merchant: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    _customer(app, merchant)
    monkeypatch.setattr(api_push, "_PER_KEY", RateLimitItemPerSecond(3))
    with time_machine.travel(utcnow() + timedelta(minutes=1), tick=False) as clock:
        answers = [_push(client, merchant) for _ in range(4)]
        assert [each.status_code for each in answers] == [202, 202, 202, 429]
        assert int(answers[-1].headers["Retry-After"]) > 0
        clock.shift(1.1)
        assert _push(client, merchant).status_code == 202


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_while_the_database_is_away_it_is_503_and_afterwards_the_push_is_taken(
    app: Flask, client: FlaskClient, merchant: Shop, postgres: Postgres, settings: Settings
) -> None:
    _customer(app, merchant)
    name = settings.database_url.rpartition("/")[2]
    postgres.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
    postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    for _ in range(2):
        answer = _push(client, merchant)
        assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)
    postgres.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
    assert _push(client, merchant).status_code == 202


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_disk_that_is_full_is_503_and_the_push_is_taken_once_there_is_room(
    app: Flask, client: FlaskClient, merchant: Shop
) -> None:
    _customer(app, merchant)
    full = {**PUBLISHED, "title": "x" * 60, "message": "x" * 500, "url": f"https://yourstore.com/{'x' * 2000}"}
    with app.app_context():
        db.session.execute(text("PRAGMA max_page_count = 1"))  # no larger than it is
        db.session.rollback()
    answers = [_push(client, merchant, {**full, "idempotency_key": str(number)}) for number in range(20)]
    assert {each.status_code for each in answers} == {202, 503}
    assert int(answers[-1].headers["Retry-After"]) > 0
    with app.app_context():
        db.session.execute(text("PRAGMA max_page_count = 1000000"))
        db.session.rollback()
    assert _push(client, merchant, {**full, "idempotency_key": "19"}).status_code == 202
    assert len(_kept(app)) == [each.status_code for each in answers].count(202) + 1


@pytest.mark.settings(redis_url="redis://127.0.0.1:1/0")
def test_without_redis_it_is_taken_all_the_same(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    _customer(app, merchant)
    assert _push(client, merchant).status_code == 202
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Push)) == 1
