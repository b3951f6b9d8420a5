"""Reading JSON strictly: whatever other programs would read differently is refused, with the reason."""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, NoReturn

from portal.errors import PortalError

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class MalformedError(PortalError):
    """This is not JSON as RFC 8259 has it."""

    code = "malformed_json"


def parse(body: bytes, what: str = "The body") -> Any:
    """Raises `MalformedError`, which says where; `what` is how it calls what is read."""
    if body.startswith(codecs.BOM_UTF8):
        raise MalformedError(f"{what} begins with a byte order mark. Send UTF-8 without one.")
    try:
        text = body.decode("utf-8")
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)
        unstorable = b"\\u" in body and _has_unstorable(document)
    except UnicodeDecodeError as error:
        raise MalformedError(f"{what} is not UTF-8 (byte {error.start + 1}).") from error
    except RecursionError as error:
        raise MalformedError(f"{what} is nested too deeply.") from error
    except json.JSONDecodeError as error:
        raise MalformedError(f"{what} is not JSON: {error.msg} (line {error.lineno}, column {error.colno}).") from error
    except ValueError as error:
        # Python reads no integer of more than 4,300 digits.
        raise MalformedError("A number is too long.") from error
    if unstorable:
        raise MalformedError("A text contains a character that cannot be stored (NUL or half of a pair).")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedError(f"{twice[:60]!r} is said twice in one object.")
    return read


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedError(f"{name} is not JSON. Leave out a number that is not known.")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise MalformedError("A number is too large.")
    return number


def _has_unstorable(value: Any) -> bool:
    """NUL or a lone surrogate, in a key or a text. Only asked when the body contains an escape."""
    # Backslashes of the text itself are doubled in there: without them only escapes are left.
    dumped = json.dumps(value, ensure_ascii=False).replace("\\\\", "")
    return "\\u0000" in dumped or _LONE_SURROGATE.search(dumped) is not None
