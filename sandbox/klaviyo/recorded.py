"""An event as it is stored: the properties that are shown of it, and the id that stands for its key."""

import json
from typing import Any

from sandbox.store import Row

_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz"
_BASE = len(_ALPHABET)
_SPAN = _BASE**10
# Odd and not a multiple of 3, 7 or 19: coprime to the span, so that scrambling can be undone.
_SCRAMBLE = 25_214_903_917_253
_UNSCRAMBLE = pow(_SCRAMBLE, -1, _SPAN)


def event_properties(row: Row) -> dict[str, Any]:
    """The properties as sent, with what Klaviyo adds: `$event_id`, and `$value` where a value was given."""
    found: dict[str, Any] = json.loads(row["properties"])
    found["$event_id"] = row["dedupe"][1:]
    if row["value"] is not None:
        found["$value"] = row["value"]
    if row["currency"] is not None:
        found["$value_currency"] = row["currency"]
    return found


def event_id(key: int) -> str:
    """An id like Klaviyo's, computed from the key: a million events need no column and no index for it."""
    number = key * _SCRAMBLE % _SPAN
    letters = []
    for _ in range(10):
        number, digit = divmod(number, _BASE)
        letters.append(_ALPHABET[digit])
    return "3" + "".join(letters)


def event_key(text: str) -> int | None:
    if len(text) != 11 or text[0] != "3" or not set(text) <= set(_ALPHABET):
        return None
    number = 0
    for letter in reversed(text[1:]):
        number = number * _BASE + _ALPHABET.index(letter)
    return number * _UNSCRAMBLE % _SPAN
