"""The properties of an event, checked as the catalogue has them: a number is a number, an address an address.

Others are the merchant's own and pass as they are, within Klaviyo's limits.
"""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import urlsplit

from portal.services.catalogue import COMMON, EVENT_TYPES, Kind, Property
from portal.services.points import to_hundredths

# Klaviyo's own limits (POST /api/events): refused here, where it can still be put right.
MOST_PROPERTIES = 380
LONGEST_NAME = 128
LONGEST_TEXT_BYTES = 100_000
MOST_ITEMS = 4_000
DEEPEST = 8
LONGEST_ID = 200
LONGEST_ADDRESS = 2_000

_KNOWN: dict[str, dict[str, Property]] = {
    entry.type: {prop.name: prop for prop in (*COMMON, *entry.properties)} for entry in EVENT_TYPES
}
# What is never told, whoever sends it.
_NEVER = {"customer_birthday": {"age": "is never sent; leave it out"}}


class PropertyError(ValueError):
    """A property at fault, by name."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def kind_of(event_type: str, name: str) -> Kind | None:
    """What a property must be; None where it may be anything."""
    prop = _KNOWN.get(event_type, {}).get(name)
    return prop.kind if prop else None


def fit_properties(event_type: str, properties: dict[str, Any]) -> dict[str, Any]:
    """Those that are known; a blank text of the catalogue's counts as absent. Raises `PropertyError`."""
    if len(properties) > MOST_PROPERTIES:
        raise PropertyError("", f"has more than {MOST_PROPERTIES} entries")
    known, blank = _KNOWN[event_type], []
    for name, value in properties.items():
        prop = known.get(name)
        if prop is None:
            _check_own(event_type, name, value)
        elif prop.kind is Kind.NUMBER:
            _check_number(name, value)
        elif value == "":
            blank.append(name)
        else:
            _check_text(prop, value)
    return {name: value for name, value in properties.items() if name not in blank} if blank else properties


def _check_own(event_type: str, name: str, value: Any) -> None:
    """Of the merchant, and not of the catalogue."""
    if not name or len(name) > LONGEST_NAME:
        raise PropertyError(name[:60], f"must have a name of 1 to {LONGEST_NAME} characters")
    if why := _NEVER.get(event_type, {}).get(name):
        raise PropertyError(name, why)
    _check_limits(name, value, DEEPEST)


def _check_text(prop: Property, value: Any) -> None:
    if not isinstance(value, str):
        raise PropertyError(prop.name, "must be text in quotation marks")
    if prop.choices and value not in prop.choices:
        raise PropertyError(prop.name, f"must be one of {', '.join(prop.choices)}")
    if prop.kind is Kind.ID and (len(value) > LONGEST_ID or not value.isprintable()):
        raise PropertyError(prop.name, f"must be an id of at most {LONGEST_ID} characters, without control characters")
    if prop.kind is Kind.URL and not _is_address(value):
        raise PropertyError(prop.name, "must be an address such as https://yourstore.com/menu")
    _check_limits(prop.name, value, 0)


def _check_number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PropertyError(name, "must be a number")
    try:
        to_hundredths(value)
    except ValueError as error:
        raise PropertyError(name, str(error)) from error


def _is_address(text: str) -> bool:
    if len(text) > LONGEST_ADDRESS or not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an address in brackets that is none
        return False


def _check_limits(name: str, value: Any, deepest: int) -> None:
    if isinstance(value, str) and len(value) * 4 > LONGEST_TEXT_BYTES and len(value.encode()) > LONGEST_TEXT_BYTES:
        raise PropertyError(name, "must not be longer than 100 kB")
    if isinstance(value, int) and abs(value) > 2**63:
        raise PropertyError(name, "is too large a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise PropertyError(name, "must be a number")
    if isinstance(value, list | dict):
        if not deepest:
            raise PropertyError(name, "is nested too deeply")
        if len(value) > MOST_ITEMS:
            raise PropertyError(name, f"must not have more than {MOST_ITEMS} entries")
        for part in value.values() if isinstance(value, dict) else value:
            _check_limits(name, part, deepest - 1)
