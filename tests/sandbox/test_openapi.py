"""Requests and answers against Klaviyo's own OpenAPI description, which is not part of this repository.

`KLAVIYO_OPENAPI` names the file. What the description refuses, the sandbox must refuse as well; what the sandbox
answers, the description must allow.
"""

import copy
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.sandbox.conftest import NORDIC, Running, bulk, event, upsert
from tests.sandbox.test_flows import email, flow, installed_condition, split, wait, webhook
from tests.sandbox.test_imports import job
from tests.sandbox.test_profiles import deletion

validators = pytest.importorskip("openapi_schema_validator", reason="openapi-schema-validator is not installed")
referencing = pytest.importorskip("referencing")
MEDIA = "application/vnd.api+json"


class Description:
    def __init__(self, path: Path) -> None:
        self.document = _mended(json.loads(path.read_text()))
        resource = referencing.Resource.opaque(self.document)
        self._registry = referencing.Registry().with_resource("urn:klaviyo", resource)
        self._paths = [
            (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path) + "/?"), path) for path in self.document["paths"]
        ]

    def operation(self, method: str, path: str) -> tuple[str, dict[str, Any]]:
        found = [template for pattern, template in self._paths if pattern.fullmatch(path)]
        template = min(found, key=lambda each: each.count("{"))
        return template, self.document["paths"][template][method.lower()]

    def complaints(self, pointer: str, value: Any) -> list[str]:
        """What a schema of the document, named by JSON pointer, has against a value."""
        schema = {"$ref": f"urn:klaviyo#{pointer}"}
        validator = validators.OAS30Validator(schema, registry=self._registry)
        return [f"{list(error.absolute_path)}: {error.message[:200]}" for error in validator.iter_errors(value)]

    def request_complaints(self, method: str, path: str, body: Any) -> list[str]:
        template, _ = self.operation(method, path)
        return self.complaints(f"{_pointer(template, method)}/requestBody/content/{_escaped(MEDIA)}/schema", body)

    def answer_complaints(self, method: str, answer: requests.Response) -> list[str]:
        template, operation = self.operation(method, urlsplit(answer.url).path)
        status = str(answer.status_code)
        named = status if status in operation["responses"] else status[0] + "XX"
        response = operation["responses"].get(named)
        if response is None:
            return [f"{method} {template} must not answer {status}"]
        if status == "202" and "content" not in response:
            return [] if answer.content == b"" else ["the answer must be empty"]
        pointer = f"{_pointer(template, method)}/responses/{named}"
        if "$ref" in response:
            pointer = response["$ref"].removeprefix("#")
        return self.complaints(f"{pointer}/content/{_escaped(MEDIA)}/schema", _without_null_links(answer.json()))


def _mended(schema: Any) -> Any:
    """Mend two slips of the description that real answers contradict.

    `nullable` beside `oneOf` or `$ref` has no effect in OpenAPI 3.0, and an integer is a number too.
    """
    if isinstance(schema, list):
        return [_mended(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _mended(each) for name, each in schema.items()}
    if found.get("oneOf") == [{"type": "integer"}, {"type": "number"}]:
        return {"type": "number"}
    if found.get("nullable") is True and "type" not in found and ("oneOf" in found or "$ref" in found):
        del found["nullable"]
        return {"anyOf": [found, {"enum": [None]}]}
    return found


def _pointer(template: str, method: str) -> str:
    return f"/paths/{_escaped(template)}/{method.lower()}"


def _escaped(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


def _without_null_links(body: dict[str, Any]) -> dict[str, Any]:
    """Real answers end their paging with `next: null`; the description allows only texts there."""
    links = {name: link for name, link in body.get("links", {}).items() if link is not None}
    return {**body, "links": links} if "links" in body else body


@pytest.fixture(scope="module")
def description() -> Description:
    named = os.environ.get("KLAVIYO_OPENAPI")
    if named and Path(named).is_file():
        return Description(Path(named))
    reason = "KLAVIYO_OPENAPI does not name Klaviyo's OpenAPI description"
    if os.environ.get("PORTAL_TESTS_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


BODIES: dict[str, tuple[str, str, Any]] = {
    "event": ("POST", "/api/events", event("1", time="2026-11-22T10:00:00+00:00", value=1.5, value_currency="DKK",
                                          backfill=False, profile={"email": "ann@example.com", "first_name": "Ann",
                                                                   "location": {"city": "Aarhus", "latitude": 56.1},
                                                                   "properties": {"a": 1}})),
    "bulk": ("POST", "/api/event-bulk-create-jobs", bulk(event("b1"), event("b2"), backfill=True)),
    "upsert": ("POST", "/api/profile-import", upsert({"append": {"x": "y"}, "unset": ["z"]}, email="bo@example.com",
                                                     last_name="Bo", location={"zip": "8000"}, properties={})),
    "create": ("POST", "/api/profiles", upsert(email="cy@example.com", phone_number="+4520112233")),
    "import": ("POST", "/api/profile-bulk-import-jobs", job({"email": "d@example.com"}, lists=["LstK9x"])),
    "flow": ("POST", "/api/flows", flow({"type": "metric", "id": "Kmtr00"}, split(installed_condition(), "hook", "mail"),
                                        webhook("https://shop.example.com/v1/push", after="wait"),
                                        wait("wait", "mail", 30), email())),
    "switching": ("PATCH", "/api/flows/Kflw00", {"data": {
        "type": "flow", "id": "Kflw00", "attributes": {"status": "draft"}}}),
    "deletion": ("POST", "/api/data-privacy-deletion-jobs", deletion({"email": "nobody@example.com"})),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_good_requests_are_good_by_the_description_and_so_are_their_answers(
    klaviyo: Running, description: Description, name: str
) -> None:
    method, path, body = BODIES[name]
    assert description.request_complaints(method, path, body) == []
    answer = klaviyo.api(method, path, body)
    assert answer.ok, answer.text
    assert description.answer_complaints(method, answer) == []


def spoiled(value: Any) -> Iterator[Any]:
    """Copies of a JSON value with one member taken away or of another type, everywhere inside."""
    if isinstance(value, dict):
        for name in value:
            yield {key: each for key, each in value.items() if key != name}
            for changed in ("text", 7, True, [], {}, None):
                yield {**value, name: changed}
            for inner in spoiled(value[name]):
                yield {**value, name: inner}
    elif isinstance(value, list):
        for place, each in enumerate(value):
            for inner in spoiled(each):
                yield [*value[:place], inner, *value[place + 1 :]]


@pytest.mark.parametrize("name", BODIES)
def test_what_the_description_refuses_the_sandbox_refuses_too(
    klaviyo: Running, description: Description, name: str
) -> None:
    method, path, body = BODIES[name]
    refused = [each for each in spoiled(copy.deepcopy(body)) if description.request_complaints(method, path, each)]
    assert len(refused) > 15
    let_through = [each for each in refused if klaviyo.api(method, path, each).status_code < 400]
    assert let_through == []


READS = (
    "/api/accounts",
    f"/api/accounts/{NORDIC}",
    "/api/events?include=metric,profile",
    "/api/events?page[size]=3",
    "/api/profiles?page[size]=5",
    "/api/profiles?additional-fields[profile]=subscriptions",
    "/api/profiles?fields[profile]=email,properties",
    "/api/metrics?include=flow-triggers",
    "/api/metrics/Kmtr00",
    "/api/metrics/Kmtr00/flow-triggers",
    "/api/metrics/Kmtr00/relationships/flow-triggers",
    "/api/segments?page[size]=2",
    "/api/segments",
    "/api/segments/Kseg01?additional-fields[segment]=profile_count",
    "/api/segments/Kseg00/profiles?page[size]=3",
    "/api/segments/Kseg00/relationships/profiles?page[size]=3",
    "/api/segments/Kseg00/flow-triggers",
    "/api/segments/Kseg00/relationships/flow-triggers",
    "/api/flows?page[size]=1",
    "/api/flows/Kflw00",
    "/api/flows/Kflw01?additional-fields[flow]=definition",
    "/api/profile-bulk-import-jobs",
    # refusals
    "/api/profiles?page[size]=1000",
    "/api/segments/nope",
    "/api/events/NOPE01",
    "/api/metrics?filter=x",
)


@pytest.mark.parametrize("path", READS)
def test_answers_to_reads_are_as_described(klaviyo: Running, description: Description, path: str) -> None:
    klaviyo.api("POST", "/api/events", event("1", value=2))
    klaviyo.api("POST", "/api/profile-bulk-import-jobs", job({"email": "d@example.com"}, {"id": "gone"}))
    answer = klaviyo.api("GET", path)
    assert description.answer_complaints("GET", answer) == []


def test_answers_about_one_profile_event_and_job_are_as_described(klaviyo: Running, description: Description) -> None:
    klaviyo.api("POST", "/api/events", event("1"))
    ordered = klaviyo.api("POST", "/api/profile-bulk-import-jobs", job({"email": "d@example.com"}, {"id": "gone"}))
    profile = klaviyo.profile("ann@example.com")["id"]
    one = klaviyo.api("GET", "/api/events").json()["data"][0]["id"]
    path = f"/api/profile-bulk-import-jobs/{ordered.json()['data']['id']}"
    member = klaviyo.api("GET", "/api/segments/Kseg00/profiles").json()["data"][0]["id"]
    for each in (
        f"/api/profiles/{profile}", f"/api/profiles/{member}?include=segments", f"/api/profiles/{member}/segments",
        f"/api/events/{one}", path, f"{path}?include=lists", f"{path}/import-errors", f"{path}/profiles",
        f"{path}/relationships/profiles", f"{path}/lists", f"{path}/relationships/lists",
    ):  # fmt: skip
        answer = klaviyo.api("GET", each)
        assert answer.ok, answer.text
        assert description.answer_complaints("GET", answer) == []
    patched = klaviyo.api("PATCH", f"/api/profiles/{profile}", upsert(id=profile, title="x"))
    assert description.answer_complaints("PATCH", patched) == []


def test_scopes_and_rates_are_those_of_the_description(description: Description) -> None:
    from sandbox.klaviyo.operations import OPERATIONS

    for mine in OPERATIONS.values():
        _, theirs = description.operation(mine.method, mine.path.replace("<id>", "x"))
        assert theirs["operationId"] == mine.name
        assert set(theirs["x-klaviyo-scopes"]) == mine.scopes, mine.name
        limit = theirs["x-klaviyo-ratelimit"]
        told = [f"{most}/{unit}" for most, unit in zip(mine.tier.value, "smd", strict=False)]
        assert told == [limit[name] for name in ("burst", "steady", "daily") if name in limit], mine.name
