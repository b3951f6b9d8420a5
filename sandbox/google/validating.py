"""What Google has against a class, card or message that was sent: members it does not know, wrong types, what is missing."""

import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from sandbox.google.errors import bad_request
from sandbox.google.vocabulary import members, words

CLASS, OBJECT = "loyaltyClass", "loyaltyObject"
TYPES = {CLASS: "LoyaltyClass", OBJECT: "LoyaltyObject"}
MOST_MESSAGES = 10
MOST_LOCATIONS = 10
_REQUIRED = {
    CLASS: ("id", "issuerName", "programName", "programLogo", "reviewStatus"),
    OBJECT: ("id", "classId", "state"),
}
_ID = re.compile(r"[0-9]+\.[A-Za-z0-9._-]+")
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def check_words(type_name: str, value: Any, where: str) -> None:
    """Members, types and words, all the way down. A null counts as absent. Raises `ApiError`."""
    if not isinstance(value, dict):
        raise bad_request(f"Invalid value at '{where}' ({type_name}), an object was expected.")
    known = members()[type_name]
    for name, each in value.items():
        if name not in known:
            raise bad_request(
                f"Invalid JSON payload received. Unknown name \"{name}\" at '{where}': Cannot find field."
            )
        if each is not None:
            _check(known[name], each, f"{where}.{name}", words().get(f"{type_name}.{name}"))


def _check(kind: str, value: Any, where: str, known: frozenset[str] | None) -> None:
    if kind.startswith("["):
        if not isinstance(value, list):
            raise bad_request(f"Invalid value at '{where}', a list was expected.")
        for number, each in enumerate(value):
            _check(kind[1:-1], each, f"{where}[{number}]", known)
    elif kind in _SIMPLE:
        if not _SIMPLE[kind](value):
            raise bad_request(f"Invalid value at '{where}' (TYPE_{kind.upper()}), {str(value)[:60]!r}")
        if known is not None and value not in known:
            raise bad_request(f"Invalid value at '{where}', {str(value)[:60]!r}")
    else:
        check_words(kind, value, where)


def _whole(value: object, bits: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2 ** (bits - 1)) <= value < 2 ** (bits - 1)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_SIMPLE = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "int32": lambda value: _whole(value, 32),
    "int64": lambda value: _whole(value, 64) or (isinstance(value, str) and value.lstrip("-").isdigit()),
    "double": _number,
}


def check_whole(kind: str, body: Mapping[str, Any]) -> None:
    """What must hold for a class or card as it would be stored. Raises `ApiError`."""
    missing = [name for name in _REQUIRED[kind] if not body.get(name)]
    if missing:
        raise bad_request(f"{kind}: required member {missing[0]} is missing.")
    if not _ID.fullmatch(body["id"]):
        raise bad_request(f"Invalid resource ID: {body['id'][:100]}")
    if len(body.get("messages") or ()) > MOST_MESSAGES:
        raise bad_request(f"{kind}: at most {MOST_MESSAGES} messages.")
    if len(body.get("merchantLocations") or ()) > MOST_LOCATIONS:
        raise bad_request(f"{kind}: at most {MOST_LOCATIONS} merchantLocations.")
    color = body.get("hexBackgroundColor")
    if color and not _COLOR.fullmatch(color):
        raise bad_request("hexBackgroundColor must be #rrggbb.")
    for name in ("programLogo", "heroImage", "wideProgramLogo"):
        _check_image(body.get(name), name)
    for name in ("loyaltyPoints", "secondaryLoyaltyPoints"):
        _check_points(body.get(name), name)
    _check_callback(body.get("callbackOptions"))


def _check_image(image: Mapping[str, Any] | None, name: str) -> None:
    if image is None:
        return
    uri = (image.get("sourceUri") or {}).get("uri")
    if bool(uri) == bool(image.get("privateImageId")) or (uri and not urlsplit(uri).scheme):
        raise bad_request(f"{name}: either sourceUri with a full address or privateImageId must be set.")


def _check_points(points: Mapping[str, Any] | None, name: str) -> None:
    if points is None:
        return
    balance = {kind: value for kind, value in (points.get("balance") or {}).items() if value is not None}
    if len(balance) != 1:
        raise bad_request(f"{name}.balance: exactly one of string, int, double, money must be set.")


def _check_callback(options: Mapping[str, Any] | None) -> None:
    url = (options or {}).get("url")
    if not url:
        return
    address = urlsplit(url)
    # Google takes https only; the portal that is tried out on this machine has none.
    if address.scheme != "https" and not (address.scheme == "http" and address.hostname in _LOOPBACK):
        raise bad_request("callbackOptions.url must be an HTTPS address.")
