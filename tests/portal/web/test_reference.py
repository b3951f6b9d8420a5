"""The API's description told flat."""

from __future__ import annotations

import json

from portal.blueprints.api.openapi import document
from portal.web.reference import read

DESCRIBED = {
    "paths": {
        "/v1/things/{id}": {
            "get": {
                "summary": "See a thing",
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
                "responses": {
                    "200": {
                        "description": "The thing.",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
                    },
                    "404": {"description": "No such thing."},
                },
            }
        }
    },
    "components": {
        "schemas": {
            "Thing": {
                "title": "Thing",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "description": "Its name.", "examples": ["Cup"]},
                    "size": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                    "state": {"type": "string", "enum": ["new", "old"]},
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
                },
            }
        }
    },
}


def test_an_operation_is_told_with_its_fields() -> None:
    (operation,) = read(DESCRIBED)
    assert (operation.method, operation.path, operation.summary) == ("GET", "/v1/things/{id}", "See a thing")
    assert operation.id == "get-v1-things-{id}"
    assert [field.name for field in operation.parameters] == ["id"]
    assert [answer.status for answer in operation.refusals] == ["404"]
    shape = operation.success.shape
    assert shape is not None
    told = {field.name: field for field in shape.fields}
    assert told["name"].required
    assert told["name"].note == "Its name."
    assert (told["size"].kind, told["size"].required) == ("number", False)
    assert told["state"].choices == ("new", "old")
    assert "parts[].name" in told


def test_a_thing_that_holds_itself_comes_to_an_end() -> None:
    (operation,) = read(DESCRIBED)
    assert operation.success.shape is not None
    assert max(field.name.count("parts") for field in operation.success.shape.fields) == 3
    assert json.loads(operation.success.shape.example)["name"] == "Cup"


def test_the_portals_own_description_is_told_whole() -> None:
    operations = read(document("https://portal.example"))
    assert {(operation.method, operation.path) for operation in operations} >= {
        ("POST", "/v1/events"),
        ("GET", "/v1/events/{id}"),
    }
    record = next(operation for operation in operations if operation.method == "POST")
    first = {field.name: field for field in record.bodies[0].fields}
    assert first["customer.email"].kind == "text"
    assert len(first["type"].choices) == 18
    assert json.loads(record.bodies[0].example)["type"] in first["type"].choices
