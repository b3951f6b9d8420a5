"""The description of the API (OpenAPI 3.1), written from the same types that check its requests."""

from __future__ import annotations

from functools import cache
from typing import Any

from openapi_pydantic import OpenAPI
from openapi_pydantic.util import PydanticSchema, construct_open_api_with_schema_class

from portal.blueprints.api.schemas import ErrorOut, EventOut, EventsIn, EventsOut
from portal.services.telling import EventIn

INTRODUCTION = (
    "Send wallet events and read where they stand. Every request carries a key from Settings > API keys. "
    "Errors always look the same: a code for programs, a sentence for people, and the field at fault."
)


def _schema(model: type[Any]) -> PydanticSchema[Any]:
    return PydanticSchema(schema_class=model)  # type: ignore[call-arg]


def _json(model: type[Any], description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _schema(model)}}}


def _errors(*statuses: int) -> dict[str, Any]:
    words = {
        400: "The body is not JSON.",
        401: "The API key is missing, unknown or revoked.",
        404: "There is no such thing.",
        409: "Another event was recorded under this id.",
        413: "The body is too large.",
        415: "The body is not sent as JSON.",
        422: "A field is wrong; `field` names it.",
        429: "Too many requests; wait for `Retry-After` seconds.",
        503: "The portal cannot store anything right now; nothing was stored. Try again after `Retry-After` seconds.",
    }
    return {str(status): _json(ErrorOut, words[status]) for status in statuses}


_OPERATIONS: dict[str, Any] = {
    "/v1/events": {
        "post": {
            "operationId": "recordEvents",
            "summary": "Send one event, or up to 1,000",
            "description": "A repeat of the same event is answered `duplicate` and stored once. Another event under the same id is a "
            "conflict: 409 for a single event, `rejected` in a batch. A batch is answered 202 with one result per event, in order.",
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"anyOf": [_schema(EventIn), _schema(EventsIn)]}}},
            },
            "responses": {
                "202": _json(EventsOut, "Stored, or known already."),
                **_errors(400, 401, 409, 413, 415, 422, 429, 503),
            },
        }
    },
    "/v1/events/{id}": {
        "get": {
            "operationId": "getEvent",
            "summary": "See where an event stands",
            "parameters": [
                {
                    "name": "id",
                    "in": "path",
                    "required": True,
                    "description": "Your id of the event.",
                    "schema": {"type": "string"},
                }
            ],
            "responses": {"200": _json(EventOut, "The event and its delivery."), **_errors(401, 404, 429)},
        }
    },
}


@cache
def document(public_url: str) -> dict[str, Any]:
    """The whole description as plain JSON."""
    described = OpenAPI.model_validate(
        {
            "openapi": "3.1.0",
            "info": {"title": "JeriCommerce API", "version": "1", "description": INTRODUCTION},
            "servers": [{"url": public_url}],
            "security": [{"apiKey": []}],
            "paths": _OPERATIONS,
            "components": {"securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}}},
        }
    )
    whole = construct_open_api_with_schema_class(described)
    plain: dict[str, Any] = whole.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
    return plain
