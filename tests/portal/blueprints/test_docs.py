"""The reference page: its examples are true, and there is a way back."""

from __future__ import annotations

from typing import Any

import jsonschema
from flask.testing import FlaskClient

from docs import write_events
from portal.blueprints.api.openapi import document
from portal.services.catalogue import COMMON, EVENT_TYPES
from portal.services.properties import fit_properties
from portal.web import examples
from portal.web.reference import read
from tests import factories
from tests.factories import Shop, tell


def _shown(operation: str, place: str) -> Any:
    return examples.BY_OPERATION[operation][place]


def _keys(document: Any) -> Any:
    """What it is made of, without the values."""
    if isinstance(document, dict):
        return {name: _keys(value) for name, value in document.items()}
    return [_keys(value) for value in document] if isinstance(document, list) else None


def test_every_body_and_answer_has_an_example_made_by_hand() -> None:
    described = document("https://portal.example")
    for operation in read(described, examples.BY_OPERATION):
        known = examples.BY_OPERATION[operation.id]
        assert set(known) == {str(at) for at in range(len(operation.bodies))} | {operation.success.status}
        shown = [body.example for body in operation.bodies]
        assert not [text for text in shown if '"text"' in text]


def test_every_example_is_as_described() -> None:
    described = document("https://portal.example")
    whole = {"components": described["components"]}
    for methods in described["paths"].values():
        for operation in methods.values():
            for place, example in examples.BY_OPERATION[operation["operationId"]].items():
                part = operation["requestBody"] if len(place) == 1 else operation["responses"][place]
                schema = {**part["content"]["application/json"]["schema"], **whole}
                jsonschema.Draft202012Validator(schema).validate(example)


def test_what_the_examples_show_is_what_happens(client: FlaskClient, connected: Shop) -> None:
    assert tell(client, connected, _shown("recordEvents", "0")).get_json() == _shown("recordEvents", "202")
    wrong = {**factories.event("scan-881"), "customer": {"email": "ada"}}
    mixed = tell(client, connected, {"events": [_shown("recordEvents", "0"), wrong]}).get_json()
    mixed["results"][1]["error"]["request_id"] = examples.ERROR["error"]["request_id"]
    assert mixed == examples.MIXED
    batch = tell(client, connected, _shown("recordEvents", "1")).get_json()["results"]
    assert [result["status"] for result in batch] == ["duplicate", "accepted"]
    refused = tell(client, connected, wrong)
    assert refused.status_code == 422
    assert {**refused.get_json()["error"], "request_id": ""} == {**examples.ERROR["error"], "request_id": ""}
    key = {"Authorization": f"Bearer {connected.api_key}"}
    stands = client.get("/v1/events/order-1042", headers=key).get_json()
    assert _keys(stands) == _keys(_shown("getEvent", "200"))


def test_the_reference_tells_that_own_properties_are_taken_and_leads_back(client: FlaskClient, merchant: Shop) -> None:
    page = client.get("/docs").text
    assert "You may send properties of your own" in page
    assert "a misspelt name is taken too" in page
    assert "Log in to the portal" in page
    factories.log_in(client, merchant.email)
    assert "Back to the portal" in client.get("/docs").text


def test_the_written_list_of_events_is_the_catalogues() -> None:
    assert write_events.PAGE.read_text() == write_events.render(), "write it anew: make event-list"


def test_every_event_is_shown_with_its_properties_an_example_and_tags_to_copy(client: FlaskClient) -> None:
    page = client.get("/docs/events").text
    for entry in EVENT_TYPES:
        assert f'id="{entry.type}"' in page
        assert f">{entry.metric}</h2>" in page
        for prop in (*entry.properties, *COMMON):
            assert prop.tag in page
            assert prop.name in entry.example


def test_every_example_of_an_event_fits_its_own_check() -> None:
    for entry in EVENT_TYPES:
        assert fit_properties(entry.type, entry.example) == entry.example
