"""The description of the API (OpenAPI 3.1), written from the same types that check its requests."""

from __future__ import annotations

from functools import cache
from typing import Any

from openapi_pydantic import OpenAPI
from openapi_pydantic.util import PydanticSchema, construct_open_api_with_schema_class

from portal.blueprints.api import openapi_imports
from portal.blueprints.api.customer_schemas import CustomerOut, CustomersIn, CustomersOut, ErasedOut
from portal.blueprints.api.push_schemas import PushAccepted, PushOut
from portal.blueprints.api.schemas import ErrorOut, EventOut, EventsIn, EventsOut
from portal.services.push_orders import PushIn
from portal.services.telling import CustomerAloneIn, EventIn

INTRODUCTION = (
    "Send wallet events and customers, and read where they stand. Every request carries a key from Settings > API keys. "
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
        403: "Pushes are paused.",
        404: "There is no such thing.",
        409: "Another one was taken under this id or key.",
        413: "The body is too large.",
        415: "The body is not sent as JSON.",
        422: "A field is wrong; `field` names it.",
        429: "Too many requests; wait for `Retry-After` seconds.",
        503: "The portal cannot store anything right now; nothing was stored. Try again after `Retry-After` seconds.",
    }
    return {str(status): _json(ErrorOut, words[status]) for status in statuses}


_CUSTOMER_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "Our id of the customer, as an answer gave it.",
    "schema": {"type": "string", "examples": ["cus_42"]},
}

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
    "/v1/push": {
        "post": {
            "operationId": "push",
            "summary": "Put a message on a customer's lock screen",
            "description": "What Klaviyo's flows call. The identifiers are tried in the order of the list, and blank ones are absent. "
            "A repeat within 48 hours is answered the same and shown once. A customer without a card on a phone is 422 "
            "`no_installed_pass`, one that nobody knows 404 `customer_not_found`. 429 and 503 are the only answers after which trying "
            "again helps.",
            "parameters": [
                {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "required": False,
                    "description": "As `idempotency_key` in the body.",
                    "schema": {"type": "string", "maxLength": 200},
                }
            ],
            "requestBody": {"required": True, "content": {"application/json": {"schema": _schema(PushIn)}}},
            "responses": {
                "202": _json(PushAccepted, "Taken; with `dry_run` only checked."),
                **_errors(400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
            },
        }
    },
    "/v1/push/{id}": {
        "get": {
            "operationId": "getPush",
            "summary": "See what became of a push",
            "parameters": [
                {
                    "name": "id",
                    "in": "path",
                    "required": True,
                    "description": "The push's id, as its answer gave it.",
                    "schema": {"type": "string", "examples": ["psh_42"]},
                }
            ],
            "responses": {"200": _json(PushOut, "The outcome for each device."), **_errors(401, 404, 429)},
        }
    },
    "/v1/customers": {
        "post": {
            "operationId": "registerCustomers",
            "summary": "Make a customer, or bring one up to date",
            "description": "The customer is found by the first identifier that is known, in the order of the list, and made "
            "where none is. An identifier is filled in where it was missing; one that is there, or belongs to somebody else, is kept, "
            "and the answer names it. What is left out stays as it is, and `null` clears. Of whoever is new, *Customer created* is "
            "told, unless `initial_import` is true. Up to 1,000 at once; the answer has one result per customer, in order.",
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": {"anyOf": [_schema(CustomerAloneIn), _schema(CustomersIn)]}}
                },
            },
            "responses": {
                "200": _json(CustomersOut, "Stored."),
                **_errors(400, 401, 413, 415, 422, 429, 503),
            },
        }
    },
    "/v1/customers/{id}": {
        "get": {
            "operationId": "getCustomer",
            "summary": "See a customer",
            "parameters": [_CUSTOMER_ID],
            "responses": {"200": _json(CustomerOut, "The customer, and where they stand."), **_errors(401, 404, 429)},
        },
        "delete": {
            "operationId": "eraseCustomer",
            "summary": "Erase a customer",
            "description": "Everything about the customer is gone here at once: events, points, card, and what still waited to be sent. "
            "Klaviyo is told to erase the profile as well, again and again until it has taken it. What is kept are hashes of the events' "
            "ids, so that a repeat of one is still answered `duplicate` and makes nobody anew. This cannot be undone.",
            "parameters": [_CUSTOMER_ID],
            "responses": {"202": _json(ErasedOut, "Erased here."), **_errors(401, 404, 429, 503)},
        },
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
            "paths": _OPERATIONS | openapi_imports.operations(_json, _errors),
            "components": {"securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}}},
        }
    )
    whole = construct_open_api_with_schema_class(described)
    plain: dict[str, Any] = whole.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
    return plain
