"""The API's description turned into what the reference page shows: operations with their fields, told flat.

Reads the same document that programs get, so that the two cannot differ; examples made by hand take the place of made-up ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

METHODS = ("get", "post", "put", "patch", "delete")
JSON = "application/json"
# customer.email is deep enough; a schema that holds itself ends here too.
DEPTH = 3

Document = Mapping[str, Any]
# By operation, then by place: "0", "1" for the ways its body may look, "202" for an answer.
Examples = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Field:
    name: str
    kind: str
    required: bool
    note: str
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """One way a body may look."""

    title: str
    note: str
    fields: tuple[Field, ...]
    example: str


@dataclass(frozen=True)
class Answer:
    status: str
    note: str
    shape: Shape | None


@dataclass(frozen=True)
class Operation:
    id: str
    method: str
    path: str
    summary: str
    note: str
    parameters: tuple[Field, ...]
    bodies: tuple[Shape, ...]
    answers: tuple[Answer, ...]

    @property
    def success(self) -> Answer:
        return next((answer for answer in self.answers if answer.status.startswith("2")), self.answers[0])

    @property
    def refusals(self) -> tuple[Answer, ...]:
        return tuple(answer for answer in self.answers if not answer.status.startswith("2"))


def read(document: Document, examples: Examples | None = None) -> tuple[Operation, ...]:
    """Every operation, in the document's order."""
    return tuple(
        _operation(document, method, path, described[method], examples or {})
        for path, described in document["paths"].items()
        for method in METHODS
        if method in described
    )


def _operation(document: Document, method: str, path: str, told: Document, examples: Examples) -> Operation:
    name = told.get("operationId", f"{method}-{path.strip('/').replace('/', '-')}")
    known = examples.get(name, {})
    body = told.get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema")
    return Operation(
        id=name,
        method=method.upper(),
        path=path,
        summary=told.get("summary", path),
        note=told.get("description", ""),
        parameters=tuple(_parameter(entry) for entry in told.get("parameters", ())),
        bodies=tuple(_shape(document, option, known.get(str(at))) for at, option in enumerate(_options(body)))
        if body
        else (),
        answers=tuple(
            _answer(document, status, entry, known.get(status)) for status, entry in told.get("responses", {}).items()
        ),
    )


def _parameter(told: Document) -> Field:
    schema = told.get("schema", {})
    return Field(told["name"], _kind(schema), bool(told.get("required")), told.get("description", ""), _choices(schema))


def _answer(document: Document, status: str, told: Document, example: Any) -> Answer:
    schema = told.get("content", {}).get(JSON, {}).get("schema")
    return Answer(status, told.get("description", ""), _shape(document, schema, example) if schema else None)


def _options(schema: Document) -> list[Document]:
    return list(schema.get("anyOf") or schema.get("oneOf") or [schema])


def _shape(document: Document, schema: Document, example: Any) -> Shape:
    whole = _resolve(document, schema)
    shown = json.dumps(_example(document, whole) if example is None else example, indent=2, ensure_ascii=False)
    return Shape(whole.get("title", ""), whole.get("description", ""), tuple(_fields(document, whole)), shown)


def _resolve(document: Document, schema: Document) -> Document:
    """The schema behind a reference, or behind "this or nothing"."""
    found: Any = schema
    if "anyOf" in schema:
        found = next((option for option in schema["anyOf"] if option.get("type") != "null"), schema)
    if "$ref" not in found:
        return {**found, **{key: value for key, value in schema.items() if key != "anyOf"}}
    target: Any = document
    for part in found["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    return {**target, **{key: value for key, value in schema.items() if key not in ("anyOf", "$ref", "title")}}


def _fields(document: Document, schema: Document, prefix: str = "", depth: int = DEPTH) -> Iterator[Field]:
    needed = schema.get("required", ())
    for name, told in schema.get("properties", {}).items():
        whole = _resolve(document, told)
        yield Field(prefix + name, _kind(whole), name in needed, whole.get("description", ""), _choices(whole))
        within, mark = whole, "."
        if whole.get("type") == "array":
            within, mark = _resolve(document, whole.get("items", {})), "[]."
        if depth > 1:
            yield from _fields(document, within, f"{prefix}{name}{mark}", depth - 1)


def _kind(schema: Document) -> str:
    if schema.get("format") == "date-time":
        return "time"
    words = {"string": "text", "integer": "number", "array": "list", "boolean": "yes or no"}
    kind = str(schema.get("type", "any"))
    return words.get(kind, kind)


def _choices(schema: Document) -> tuple[str, ...]:
    return tuple(str(choice) for choice in schema.get("enum", ()))


def _example(document: Document, schema: Document, depth: int = DEPTH + 1) -> Any:
    whole = _resolve(document, schema)
    if whole.get("examples"):
        return whole["examples"][0]
    if whole.get("enum"):
        return whole["enum"][0]
    if "properties" in whole and depth:
        return {name: _example(document, told, depth - 1) for name, told in whole["properties"].items()}
    if whole.get("type") == "array":
        return [_example(document, whole.get("items", {}), depth - 1)]
    if whole.get("format") == "date-time":
        return "2026-11-23T14:02:11Z"
    return {"integer": 1, "number": 1, "boolean": True, "object": {}}.get(str(whole.get("type")), "text")
