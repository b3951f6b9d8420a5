"""`GET /v1/openapi.json` is a valid description, and every answer is as it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from werkzeug.test import TestResponse

from portal.services.catalogue import BY_TYPE
from tests import factories
from tests.factories import Shop, tell
from tests.portal.blueprints.api import stage

FormatChecker = jsonschema.Draft202012Validator.FORMAT_CHECKER


@pytest.fixture
def description(client: FlaskClient) -> dict[str, Any]:
    answer = client.get("/v1/openapi.json")
    assert answer.status_code == 200
    document: dict[str, Any] = json.loads(answer.text)
    return document


def test_the_description_is_valid(description: dict[str, Any]) -> None:
    validate(description)
    assert description["openapi"].startswith("3.1")
    assert {"/v1/customers", "/v1/events", "/v1/events/{id}", "/v1/imports"} <= set(description["paths"])


def test_every_event_type_and_the_limit_of_a_batch_are_described(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    assert schemas["EventIn"]["properties"]["type"]["enum"] == list(BY_TYPE)
    assert schemas["EventsIn"]["properties"]["events"]["maxItems"] == 1000
    assert schemas["EventIn"]["additionalProperties"] is False


def _schema(description: dict[str, Any], path: str, method: str, status: int | None) -> dict[str, Any]:
    """Of the request where no status is given, with its references in reach."""
    operation = description["paths"][path][method]
    content = operation["requestBody"] if status is None else operation["responses"][str(status)]
    schema = content["content"]["application/json"]["schema"]
    return {**json.loads(json.dumps(schema)), "components": description["components"]}


def _check(document: object, schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(schema, format_checker=FormatChecker).validate(document)


POSTS: dict[int, Callable[[FlaskClient, Shop], TestResponse]] = {
    202: lambda client, shop: tell(client, shop, {"events": [factories.event("a"), {"id": "b"}, None]}),
    400: lambda client, shop: stage.post(client, shop, b"{"),
    401: lambda client, shop: client.post("/v1/events", json={}),
    409: lambda client, shop: (
        tell(client, shop, factories.event("a")),
        tell(client, shop, factories.event("a", "eve@example.com")),
    )[1],
    413: lambda client, shop: stage.post(client, shop, b" " * 5_000_001),
    415: lambda client, shop: stage.post(client, shop, b"{}", Content_Type="text/plain"),
    422: lambda client, shop: tell(client, shop, {"id": "a"}),
}


@pytest.mark.parametrize("status", POSTS)
def test_what_is_answered_is_what_is_described(
    client: FlaskClient, connected: Shop, description: dict[str, Any], status: int
) -> None:
    answer = POSTS[status](client, connected)
    assert answer.status_code == status
    _check(answer.get_json(), _schema(description, "/v1/events", "post", status))


def test_an_event_is_shown_as_described(client: FlaskClient, connected: Shop, description: dict[str, Any]) -> None:
    tell(client, connected, factories.event("sent"))
    tell(client, connected, factories.event("kept", customer={"external_id": "42"}))
    for event_id, status in (("sent", 200), ("kept", 200), ("unknown", 404)):
        answer = client.get(f"/v1/events/{event_id}", headers=stage.bearer(connected))
        assert answer.status_code == status
        _check(answer.get_json(), _schema(description, "/v1/events/{id}", "get", status))


def test_what_is_taken_is_what_is_described(client: FlaskClient, merchant: Shop, description: dict[str, Any]) -> None:
    schema = _schema(description, "/v1/events", "post", None)
    good = [
        factories.event("a"),
        {"events": factories.events("e", 3)},
        factories.event("b", occurred_at="2026-11-23T09:30:00+01:00"),
        factories.event("c", customer={"email": None, "phone_number": "+4520123456"}),
    ]
    for body in good:
        _check(body, schema)
        assert tell(client, merchant, body).status_code == 202
    bad = [{}, {"events": []}, factories.event("a", more=1), factories.event("a", type="x"), {"events": [1]}]
    for body in bad:
        with pytest.raises(jsonschema.ValidationError):
            _check(body, schema)


def test_every_example_in_the_description_is_taken(
    client: FlaskClient, merchant: Shop, description: dict[str, Any]
) -> None:
    schemas = description["components"]["schemas"]
    example = {
        name: about["examples"][0] for name, about in schemas["EventIn"]["properties"].items() if "examples" in about
    }
    for name, about in schemas["CustomerRef"]["properties"].items():
        customer = {name: about["examples"][0]} if name != "id" else {"email": "ada@example.com"}
        answer = tell(client, merchant, {**example, "id": name, "customer": customer})
        assert answer.status_code == 202, answer.text


def test_every_property_of_every_event_is_taken_with_its_example(client: FlaskClient, merchant: Shop) -> None:
    told = [
        factories.event(
            entry.type,
            entry.type + "@example.com",
            type=entry.type,
            properties={prop.name: prop.example for prop in entry.properties},
        )
        for entry in BY_TYPE.values()
    ]
    # A reward has to be earned first.
    points = [
        factories.event(f"{event['id']}-1", event["customer"]["email"], properties={"change": 500}) for event in told
    ]
    tell(client, merchant, {"events": points})
    results = tell(client, merchant, {"events": told}).get_json()["results"]
    assert [result["status"] for result in results] == ["accepted"] * 18, results
