"""Reading a request: what its body must be sent as, how large it may be, and that it is one JSON object."""

from __future__ import annotations

from typing import Any

from flask import Request

from portal.errors import TooLargeError, UnsupportedMediaError
from portal.services.strict_json import MalformedError, parse

MOST_BYTES = 5_000_000


def read_json(request: Request, most: int = MOST_BYTES) -> dict[str, Any]:
    """The body as a JSON object. Raises 400, 413 or 415 in plain words."""
    if request.mimetype != "application/json":
        raise UnsupportedMediaError("Send JSON, with the header Content-Type: application/json.")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedMediaError("Send the body as it is, without Content-Encoding.")
    if (request.content_length or 0) > most:
        raise TooLargeError(_too_large(most))
    body = request.get_data(cache=False)
    if len(body) > most:
        raise TooLargeError(_too_large(most))
    document = parse(body)
    if not isinstance(document, dict):
        raise MalformedError('The body must be a JSON object, such as {"id": ...}.')
    return document


def _too_large(most: int) -> str:
    if most < MOST_BYTES:
        return f"The body is larger than {most // 1000} kB."
    return "The body is larger than 5 MB. Send fewer events at once."
