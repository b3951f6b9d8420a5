"""Reading a request's JSON strictly: whatever other programs would read differently is refused, with the reason."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from flask import Request

from portal.errors import PortalError, TooLargeError, UnsupportedMediaError

MOST_BYTES = 5_000_000
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class MalformedError(PortalError):
    """The body is not JSON as RFC 8259 has it."""

    code = "malformed_json"


def read_json(request: Request) -> dict[str, Any]:
    """The body as a JSON object. Raises 400, 413 or 415 in plain words."""
    if request.mimetype != "application/json":
        raise UnsupportedMediaError("Send JSON, with the header Content-Type: application/json.")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedMediaError("Send the body as it is, without Content-Encoding.")
    if (request.content_length or 0) > MOST_BYTES:
        raise TooLargeError("The body is larger than 5 MB. Send fewer events at once.")
    body = request.get_data(cache=False)
    if len(body) > MOST_BYTES:
        raise TooLargeError("The body is larger than 5 MB. Send fewer events at once.")
    document = parse(body)
    if not isinstance(document, dict):
        raise MalformedError('The body must be a JSON object, such as {"id": ...}.')
    return document


def parse(body: bytes) -> Any:
    """Raises `MalformedError`, which says where."""
    try:
        text = body.decode("utf-8")
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)
        unstorable = b"\\u" in body and _has_unstorable(document)
    except UnicodeDecodeError as error:
        raise MalformedError(f"The body is not UTF-8 (byte {error.start + 1}).") from error
    except RecursionError as error:
        raise MalformedError("The body is nested too deeply.") from error
    except json.JSONDecodeError as error:
        raise MalformedError(
            f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from error
    except ValueError as error:
        # Python reads no integer of more than 4,300 digits.
        raise MalformedError("A number in the body is too long.") from error
    if unstorable:
        raise MalformedError("A text in the body contains a character that cannot be stored (NUL or half of a pair).")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedError(f"The body says {twice[:60]!r} twice in one object.")
    return read


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedError(f"{name} is not JSON. Leave out a number that is not known.")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise MalformedError("A number in the body is too large.")
    return number


def _has_unstorable(value: Any) -> bool:
    """NUL or a lone surrogate, in a key or a text. Only asked when the body contains an escape."""
    # Backslashes of the text itself are doubled in there: without them only escapes are left.
    dumped = json.dumps(value, ensure_ascii=False).replace("\\\\", "")
    return "\\u0000" in dumped or _LONE_SURROGATE.search(dumped) is not None
