"""Klaviyo's error answers: JSON:API bodies with the codes, titles and pointers it was seen to use.

Raise `ApiError`; the application turns it into the answer. `status` is a number in the body, as in real ones.
"""

import json
import uuid
from collections.abc import Sequence
from typing import Any

from flask import Response

MIMETYPE = "application/vnd.api+json"
_THROTTLED_HELP = "https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling"


class ApiError(Exception):
    """One or more errors that make up the answer."""

    def __init__(self, status: int, errors: Sequence[dict[str, Any]], headers: dict[str, str] | None = None) -> None:
        super().__init__(errors[0]["detail"] if errors else str(status))
        self.status = status
        self.errors = list(errors)
        self.headers = headers or {}

    def response(self) -> Response:
        body = json.dumps({"errors": [{**each, "status": self.status} for each in self.errors]})
        return Response(body, self.status, self.headers, mimetype=MIMETYPE)


def problem(code: str, title: str, detail: str, **more: Any) -> dict[str, Any]:
    """One member of `errors`; `pointer` or `parameter` says where."""
    source = {name: more.pop(name) for name in ("pointer", "parameter") if more.get(name) is not None}
    return {"id": str(uuid.uuid4()), "code": code, "title": title, "detail": detail,
            "source": source or {"pointer": "/data"}, "links": {}, "meta": {}, **more}  # fmt: skip


def invalid(detail: str, pointer: str) -> dict[str, Any]:
    return problem("invalid", "Invalid input.", detail, pointer=pointer)


def bad_request(detail: str, *, pointer: str | None = None, parameter: str | None = None) -> ApiError:
    return ApiError(400, [problem("invalid", "Invalid input.", detail, pointer=pointer, parameter=parameter)])


def not_authenticated(detail: str = "Incorrect authentication credentials.") -> ApiError:
    return ApiError(401, [problem("authentication_failed", detail, detail, pointer="/data/")])


def not_permitted() -> ApiError:
    words = "You do not have permission to perform this action."
    return ApiError(403, [problem("permission_denied", words, words, pointer="/data/")])


def not_found(detail: str = "The requested resource could not be found.", pointer: str = "/data") -> ApiError:
    return ApiError(404, [problem("not_found", "Not found.", detail, pointer=pointer)])


def duplicate_profile(profile_id: str) -> ApiError:
    detail = "A profile already exists with one of these identifiers."
    meta = {"duplicate_profile_id": profile_id}
    found = problem("duplicate_profile", "Conflict.", detail, pointer="/data/attributes", meta=meta)
    return ApiError(409, [found])


def throttled(wait_seconds: int) -> ApiError:
    """429 carries only `Retry-After`: Klaviyo leaves the ratelimit headers out there."""
    unit = "second" if wait_seconds == 1 else "seconds"
    detail = f"Request was throttled. Expected available in {wait_seconds} {unit}."
    found = problem("throttled", "Request was throttled.", detail, pointer="/data", links={"type": _THROTTLED_HELP})
    return ApiError(429, [found], {"Retry-After": str(wait_seconds)})
