"""Whatever is wrong with a request: an error that names the field, nothing stored, and never a 500."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests import factories
from tests.factories import Shop
from tests.portal.blueprints.api import stage
from tests.portal.blueprints.api.stage import NOTHING, error_of

GOOD = factories.event("a")


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


BODIES: dict[str, bytes] = {
    "empty": b"",
    "not JSON": b"id=a&type=x",
    "cut off": b'{"id": "a"',
    "opened a hundred thousand times": b"[" * 100_000,
    "objects opened a hundred thousand times": b'{"a":' * 100_000,
    "nested almost as deep as can be read, with an escape": b"[" * 993 + b'"\\u0041"' + b"]" * 993,
    "NaN": b'{"id": NaN}',
    "Infinity": b'{"id": -Infinity}',
    "a float beyond all": b'{"id": 1e400}',
    "a whole number of 5,000 digits": b'{"id": ' + b"9" * 5000 + b"}",
    "NUL escaped": b'{"id": "a\\u0000"}',
    "NUL in a key": b'{"a\\u0000": 1}',
    "NUL raw": b'{"id": "a\x00"}',
    "half of a surrogate pair": b'{"id": "\\ud800"}',
    "the other half": b'{"id": ["\\udfff x"]}',
    "a name twice": b'{"id": "a", "id": "b"}',
    "a name twice further in": b'{"id": "a", "properties": {"x": 1, "x": 1}}',
    "UTF-16": '{"id": "a"}'.encode("utf-16"),
    "Latin-1": '{"id": "é"}'.encode("latin-1"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "null": b"null",
    "a list": b"[]",
    "a text": b'"a"',
    "a comment": b'{"id": 1 /* one */}',
    "a comma too many": b'{"id": 1,}',
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_proper_json_object_is_refused(
    app: Flask, client: FlaskClient, merchant: Shop, name: str
) -> None:
    answer = stage.post(client, merchant, BODIES[name])
    assert answer.status_code == 400
    assert error_of(answer)["code"] == "malformed_json"
    assert stage.stored(app) == NOTHING


FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"id": None}, "id"),
    ({"id": ""}, "id"),
    ({"id": "   "}, "id"),
    ({"id": 7}, "id"),
    ({"id": True}, "id"),
    ({"id": ["a"]}, "id"),
    ({"id": "x" * 201}, "id"),
    ({"id": "x" * 10_000}, "id"),
    ({"id": "a\nb"}, "id"),
    ({"id": "a\u200bb"}, "id"),
    ({"id": "\u202etxt"}, "id"),
    ({"type": None}, "type"),
    ({"type": ""}, "type"),
    ({"type": "Balance changed"}, "type"),
    ({"type": ["balance_changed"]}, "type"),
    ({"customer": None}, "customer"),
    ({"customer": "ada@example.com"}, "customer"),
    ({"customer": []}, "customer"),
    ({"customer": {}}, "customer"),
    ({"customer": {"email": "", "phone_number": "  ", "external_id": None}}, "customer"),
    ({"customer": {"name": "Ada"}}, "customer.name"),
    ({"customer": {"email": 7}}, "customer.email"),
    ({"customer": {"email": "ada"}}, "customer.email"),
    ({"customer": {"email": "ada@"}}, "customer.email"),
    ({"customer": {"email": "a b@example.com"}}, "customer.email"),
    ({"customer": {"email": "a\r\nBcc: eve@example.com"}}, "customer.email"),
    ({"customer": {"email": "x" * 250 + "@example.com"}}, "customer.email"),
    ({"customer": {"phone_number": "20123456"}}, "customer.phone_number"),
    ({"customer": {"phone_number": 4520123456}}, "customer.phone_number"),
    ({"customer": {"phone_number": "+45"}}, "customer.phone_number"),
    ({"customer": {"phone_number": "+999123456789"}}, "customer.phone_number"),
    ({"customer": {"phone_number": "+45" + "1" * 400}}, "customer.phone_number"),
    ({"customer": {"id": 42}}, "customer.id"),
    ({"customer": {"id": "42"}}, "customer.id"),
    ({"customer": {"id": "cus_"}}, "customer.id"),
    ({"customer": {"id": "cus_²"}}, "customer.id"),
    ({"customer": {"id": "cus_" + "9" * 19}}, "customer.id"),
    ({"customer": {"id": "cus_" + "9" * 400}}, "customer.id"),
    ({"customer": {"id": "cus_42"}}, "customer.id"),
    ({"customer": {"external_id": "x" * 201}}, "customer.external_id"),
    ({"customer": {"external_id": 42}}, "customer.external_id"),
    ({"customer": {"klaviyo_profile_id": "a\tb"}}, "customer.klaviyo_profile_id"),
    ({"occurred_at": 1_700_000_000}, "occurred_at"),
    ({"occurred_at": ""}, "occurred_at"),
    ({"occurred_at": "yesterday"}, "occurred_at"),
    ({"occurred_at": "0000-00-00"}, "occurred_at"),
    ({"occurred_at": "0000-00-00T00:00:00Z"}, "occurred_at"),
    ({"occurred_at": "2026-02-30T09:30:00Z"}, "occurred_at"),
    ({"occurred_at": "2026-11-23T09:30:00"}, "occurred_at"),
    ({"occurred_at": "2026-11-23"}, "occurred_at"),
    ({"occurred_at": "1989-12-31T23:59:59Z"}, "occurred_at"),
    ({"occurred_at": "2099-01-01T00:00:00Z"}, "occurred_at"),
    ({"occurred_at": "0001-01-01T00:00:00+23:59"}, "occurred_at"),
    ({"occurred_at": "9999-12-31T23:59:59-23:59"}, "occurred_at"),
    ({"properties": None}, "properties"),
    ({"properties": []}, "properties"),
    ({"properties": {f"p{n}": n for n in range(381)}}, "properties"),
    ({"properties": {"": 1}}, "properties"),
    ({"properties": {"n" * 129: 1}}, "properties." + "n" * 60),
    ({"properties": {"change": "5"}}, "properties.change"),
    ({"properties": {"change": True}}, "properties.change"),
    ({"properties": {"balance": None}}, "properties.balance"),
    ({"properties": {"direction": "up"}}, "properties.direction"),
    ({"properties": {"direction": 1}}, "properties.direction"),
    ({"properties": {"change": 10**400}}, "properties.change"),
    ({"properties": {"change": 2**64}}, "properties.change"),
    ({"properties": {"change": 0.125}}, "properties.change"),
    ({"properties": {"change": 10**13}}, "properties.change"),
    ({"properties": {"points_to_next_tier": "12"}}, "properties.points_to_next_tier"),
    ({"properties": {"wallet_pass_status": "lost"}}, "properties.wallet_pass_status"),
    ({"type": "customer_birthday", "properties": {"age": 41}}, "properties.age"),
    ({"type": "card_opened", "properties": {"platform": "windows"}}, "properties.platform"),
    ({"type": "card_clicked", "properties": {"link_url": "menu"}}, "properties.link_url"),
    ({"type": "card_clicked", "properties": {"link_url": "javascript:alert(1)"}}, "properties.link_url"),
    ({"type": "card_clicked", "properties": {"link_url": "https://[::1"}}, "properties.link_url"),
    ({"type": "card_clicked", "properties": {"link_url": "https://shop.example:port/"}}, "properties.link_url"),
    ({"type": "card_clicked", "properties": {"link_label": 7}}, "properties.link_label"),
    ({"type": "referral_completed", "properties": {"referred_customer_id": 42}}, "properties.referred_customer_id"),
    ({"type": "referral_completed", "properties": {"referred_customer_id": "a\nb"}}, "properties.referred_customer_id"),
    ({"type": "referral_completed", "properties": {"points_awarded": True}}, "properties.points_awarded"),
    ({"type": "campaign_assigned", "properties": {"campaign_id": "x" * 201}}, "properties.campaign_id"),
    ({"type": "reward_redeemed_online", "properties": {"cost": "100"}}, "properties.cost"),
    ({"properties": {"other": [1, [10**4000]]}}, "properties.other"),
    ({"properties": {"text": "x" * 100_001}}, "properties.text"),
    ({"properties": {"text": "ä" * 50_001}}, "properties.text"),
    ({"properties": {"list": [0] * 4_001}}, "properties.list"),
    ({"properties": {"deep": _nested(11)}}, "properties.deep"),
    ({"properties": {"deep": _nested(900)}}, "properties.deep"),
    ({"merchant_id": 1}, "merchant_id"),
    ({"state": "delivered"}, "state"),
]


def test_whatever_is_wrong_with_a_field_is_said_and_nothing_is_stored(
    app: Flask, client: FlaskClient, merchant: Shop
) -> None:
    for change, field in FIELDS:
        answer = stage.post(client, merchant, json.dumps({**GOOD, **change}))
        assert answer.status_code == 422, (change, answer.text[:300])
        error = error_of(answer)
        assert (error["code"], error["field"]) == ("invalid", field), change
        assert field.split(".")[-1] in error["message"] or field in error["message"]
    assert stage.stored(app) == NOTHING


@pytest.mark.parametrize("missing", ["id", "type", "customer"])
def test_a_field_that_is_missing_is_named(app: Flask, client: FlaskClient, merchant: Shop, missing: str) -> None:
    answer = stage.post(client, merchant, json.dumps({name: GOOD[name] for name in GOOD if name != missing}))
    assert (answer.status_code, error_of(answer)["field"]) == (422, missing)
    assert error_of(answer)["message"] == f"{missing} is missing."


def test_in_a_batch_each_wrong_event_has_its_own_reason_and_the_right_ones_are_stored(
    app: Flask, client: FlaskClient, merchant: Shop
) -> None:
    wrong = [{**GOOD, **change} for change, _ in FIELDS] + [None, 7, "a", [], {}]
    right = factories.events("right", len(wrong))
    mixed = [event for pair in zip(wrong, right, strict=True) for event in pair]
    answer = stage.post(client, merchant, json.dumps({"events": mixed}))
    assert answer.status_code == 202
    results = answer.get_json()["results"]
    assert [result["status"] for result in results] == ["rejected", "accepted"] * len(right)
    assert [result["id"] for result in results[1::2]] == [event["id"] for event in right]
    fields = [result["error"].get("field") for result in results[::2]]
    assert fields == [field for _, field in FIELDS] + [None, None, None, None, "id"]
    stored = stage.stored(app)
    assert stored["events"] == len(right) + stored["customers"], "each new customer is told of beside them"


@pytest.mark.parametrize(
    ("batch", "field"),
    [
        ({"events": []}, "events"),
        ({"events": {}}, "events"),
        ({"events": None}, "events"),
        ({"events": [GOOD] * 1001}, "events"),
        ({"events": [GOOD], "merchant_id": 2}, "merchant_id"),
    ],
)
def test_a_batch_that_is_none_is_refused_as_a_whole(
    app: Flask, client: FlaskClient, merchant: Shop, batch: dict[str, Any], field: str
) -> None:
    answer = stage.post(client, merchant, json.dumps(batch))
    assert (answer.status_code, error_of(answer)["field"]) == (422, field)
    assert stage.stored(app) == NOTHING


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "multipart/form-data; boundary=x"},
        {"Content_Type": ""},
        {"Content_Type": "application/jsonp"},
        {"Content_Encoding": "gzip"},
        {"Content_Encoding": "br"},
    ],
    ids=str,
)
def test_anything_but_plain_json_is_an_unsupported_medium(
    app: Flask, client: FlaskClient, merchant: Shop, headers: dict[str, str]
) -> None:
    body = json.dumps(GOOD).encode()
    answer = stage.post(client, merchant, gzip.compress(body) if "Content_Encoding" in headers else body, **headers)
    assert answer.status_code == 415
    assert error_of(answer)["code"] == "unsupported_media_type"
    assert stage.stored(app) == NOTHING


def test_json_with_a_character_set_named_is_taken(client: FlaskClient, merchant: Shop) -> None:
    answer = stage.post(client, merchant, json.dumps(GOOD), Content_Type="application/json; charset=utf-8")
    assert answer.status_code == 202


@pytest.mark.parametrize("size", [5_000_001, 7_000_000])
def test_a_body_that_is_too_large_is_refused_before_it_is_read(
    app: Flask, client: FlaskClient, merchant: Shop, size: int
) -> None:
    answer = stage.post(client, merchant, b'{"id": "' + b"x" * size + b'"}')
    assert answer.status_code == 413
    assert error_of(answer)["code"] == "too_large"
    assert stage.stored(app) == NOTHING


LITERAL = [
    "../x",
    "' OR 1=1--",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "a b",
    "ä/ö?&#",
    "%00",
    "\\u0000",
    "a//b",
    "/x",
]


def test_odd_texts_are_stored_literally(client: FlaskClient, merchant: Shop) -> None:
    for text in LITERAL:
        event = factories.event(text, properties={"change": 1, "reason": text, text: text})
        answer = stage.post(client, merchant, json.dumps(event))
        assert answer.get_json() == {"results": [{"id": text, "status": "accepted"}]}, text
        again = stage.post(client, merchant, json.dumps(event, ensure_ascii=False))
        assert again.get_json()["results"][0]["status"] == "duplicate", text
