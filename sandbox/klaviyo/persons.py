"""A profile as a request describes it: which identifiers, which changes; read and checked in one pass.

Absent leaves unchanged, null clears. Checked by hand: a schema library would cost more than everything else together.
"""

import base64
import re
from functools import lru_cache
from typing import Any, NamedTuple

import phonenumbers

from sandbox.klaviyo.errors import invalid

Problems = list[dict[str, Any]]
Identifier = tuple[str, str]

LARGEST_TEXT = 100_000
LARGEST_PROFILE = 100_000
_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)
OUT_OF_REGION = "Phone number is valid but is not in a supported region for this account."
_E164 = re.compile(r"\+[1-9]\d{6,14}")

# In the order in which one wins over the next.
PRECEDENCE = ("id", "external_id", "email", "phone_number", "anonymous_id")
TEXT_FIELDS = frozenset(("first_name", "last_name", "organization", "locale", "title", "image"))
PROFILE_FIELDS = TEXT_FIELDS | {"email", "phone_number", "external_id", "location", "properties"}
_LOCATION_TEXTS = frozenset(("address1", "address2", "city", "country", "region", "zip", "timezone", "ip"))
_LOCATION_FIELDS = _LOCATION_TEXTS | {"latitude", "longitude"}
_PATCH_FIELDS = frozenset(("append", "unappend", "unset"))


class Person(NamedTuple):
    identifiers: tuple[Identifier, ...]
    cleared: tuple[str, ...]
    attributes: dict[str, Any]
    properties: dict[str, Any] | None
    patch: dict[str, Any] | None


def read(data: Any, pointer: str, problems: Problems, extra: frozenset[str], needs_identifier: bool = True) -> Person:
    """A profile resource; what is wrong with it goes to `problems`. `extra` are fields only some endpoints take."""
    cleared: list[str] = []
    changes: dict[str, Any] = {}
    identifiers: dict[str, str] = {}
    given, patch = _envelope(data, pointer, problems, identifiers)
    for name, value in given.items():
        here = f"{pointer}/attributes/{name}"
        if name == "meta" and "meta" in extra:
            patch = _patch(value, here, problems)
        elif name not in PROFILE_FIELDS and name not in extra:
            problems.append(invalid(f"'{name}' is not a valid field for the resource 'profile'.", here))
        elif name in _IDENTIFY:
            _identifier(name, value, here, problems, identifiers, cleared)
        else:
            _CHECKS.get(name, _text)(value, here, problems)
            changes[name] = value
    # A malformed identifier is complained about alone; only a row without any is told that it needs one.
    if needs_identifier and not identifiers and not any(given.get(name) is not None for name in _IDENTIFY):
        problems.append(invalid("One or more identifiers is required.", f"{pointer}/attributes"))
    properties = changes.pop("properties", None)
    ordered = tuple((kind, identifiers[kind]) for kind in PRECEDENCE if kind in identifiers)
    return Person(ordered, tuple(cleared), changes, properties if isinstance(properties, dict) else None, patch)


def _envelope(
    data: Any, pointer: str, problems: Problems, identifiers: dict[str, str]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Check type and id of the resource; returns its attributes and patch operations."""
    if type(data) is not dict:
        problems.append(invalid("This field is required and must be an object.", pointer))
        return {}, None
    if data.get("type") != "profile":
        problems.append(invalid("The resource type must be 'profile'.", f"{pointer}/type"))
    given_id = data.get("id")
    if given_id is not None:
        if isinstance(given_id, str) and given_id:
            identifiers["id"] = given_id
        else:
            problems.append(invalid("The id must be a non-empty string.", f"{pointer}/id"))
    attributes = data.get("attributes")
    if type(attributes) is not dict:
        problems.append(invalid("This field is required and must be an object.", f"{pointer}/attributes"))
        attributes = {}
    patch = data.get("meta")
    return attributes, None if patch is None else _patch(patch, f"{pointer}/meta", problems)


def _identifier(
    name: str, value: Any, pointer: str, problems: Problems, into: dict[str, str], cleared: list[str]
) -> None:
    if value is None:
        cleared.append(name)
        return
    if type(value) is not str:
        problems.append(invalid("This field must be a string.", pointer))
        return
    complaint, kept = _IDENTIFY[name](value)
    if complaint:
        problems.append(invalid(complaint, pointer))
    elif name != "_kx":
        into[name] = kept
    else:
        into.setdefault("id", kept)


def _email(value: str) -> tuple[str | None, str]:
    """Klaviyo compares addresses without regard to case; they are kept in lower case."""
    if len(value) > 254 or not _EMAIL.fullmatch(value):
        return f"Invalid email address ('{value[:100]}').", value
    return None, value.lower()


def _phone(value: str) -> tuple[str | None, str]:
    if _E164.fullmatch(value) and _possible(value):
        return None, value
    return "Invalid phone number format (Example of a valid format: +12345678901)", value


@lru_cache(maxsize=65536)
def _possible(value: str) -> bool:
    try:
        return bool(phonenumbers.is_possible_number(phonenumbers.parse(value)))
    except phonenumbers.NumberParseException:
        return False


def _any_text(value: str) -> tuple[str | None, str]:
    if not value or len(value) > 1000:
        return "This field must have between 1 and 1000 characters.", value
    return None, value


def out_of_region(person: Person, pointer: str, prefixes: list[str]) -> Problems:
    """The complaint about a good phone number of a region that the account does not support, if it has one."""
    phone = dict(person.identifiers).get("phone_number")
    if phone is None or not phone.startswith(tuple(prefixes)):
        return []
    return [invalid(OUT_OF_REGION, f"{pointer}/attributes/phone_number")]


def exchange_id(profile_id: str, account_id: str) -> str:
    """The `_kx` that stands for a profile. Klaviyo's is encrypted; ours only looks opaque."""
    return base64.urlsafe_b64encode(profile_id.encode()).decode().rstrip("=") + "." + account_id


def profile_of_exchange(value: str) -> str | None:
    head, dot, _ = value.rpartition(".")
    try:
        profile = base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)).decode("ascii")
    except ValueError:
        return None
    return profile if dot and profile.isalnum() else None


def _exchange(value: str) -> tuple[str | None, str]:
    profile = profile_of_exchange(value)
    return (None, profile) if profile else ("Invalid exchange_id (_kx) provided.", value)


_IDENTIFY = {
    "email": _email, "phone_number": _phone, "external_id": _any_text, "anonymous_id": _any_text, "_kx": _exchange,
}  # fmt: skip


def _text(value: Any, pointer: str, problems: Problems) -> None:
    if value is not None and type(value) is not str:
        problems.append(invalid("This field must be a string.", pointer))


def _location(value: Any, pointer: str, problems: Problems) -> None:
    if value is None:
        return
    if type(value) is not dict:
        problems.append(invalid("This field must be an object.", pointer))
        return
    for name, each in value.items():
        if name not in _LOCATION_FIELDS:
            problems.append(invalid(f"'{name}' is not a valid field for the resource 'location'.", f"{pointer}/{name}"))
        elif name in _LOCATION_TEXTS:
            _text(each, f"{pointer}/{name}", problems)
        elif each is not None and (type(each) not in (str, int, float)):
            problems.append(invalid("This field must be a string or a number.", f"{pointer}/{name}"))


def _custom(value: Any, pointer: str, problems: Problems) -> None:
    if value is not None and type(value) is not dict:
        problems.append(invalid("This field must be an object.", pointer))


_CHECKS = {"location": _location, "properties": _custom}


def _patch(value: Any, pointer: str, problems: Problems) -> dict[str, Any] | None:
    operations = value.get("patch_properties") if type(value) is dict else value
    if operations is None:
        return None
    if type(operations) is not dict:
        problems.append(invalid("This field must be an object.", pointer))
        return None
    here = f"{pointer}/patch_properties"
    for name, each in operations.items():
        if name not in _PATCH_FIELDS:
            problems.append(invalid(f"'{name}' is not a valid patch operation.", f"{here}/{name}"))
        elif name == "unset":
            _unset(each, f"{here}/unset", problems)
        else:
            _custom(each, f"{here}/{name}", problems)
    return operations


def _unset(value: Any, pointer: str, problems: Problems) -> None:
    names = value if type(value) is list else [value]
    if value is not None and not all(type(name) is str for name in names):
        problems.append(invalid("This field must be a string or an array of strings.", pointer))


def changed(person: Person, attributes: dict[str, Any], properties: dict[str, Any]) -> bool:
    """Apply a person's changes to a profile's stored attributes and custom properties; True when any took effect."""
    before = (dict(attributes), dict(properties))
    for name, value in person.attributes.items():
        if value is None:
            attributes.pop(name, None)
        elif name == "location":
            merged = {**attributes.get("location", {}), **value}
            attributes["location"] = {key: each for key, each in merged.items() if each is not None}
        else:
            attributes[name] = value
    for name, value in (person.properties or {}).items():
        if value is None:
            properties.pop(name, None)
        else:
            properties[name] = value
    _apply_patch(person.patch or {}, properties)
    return before != (attributes, properties)


def _apply_patch(patch: dict[str, Any], properties: dict[str, Any]) -> None:
    unset = patch.get("unset") or []
    for name in [unset] if isinstance(unset, str) else unset:
        properties.pop(name, None)
    for name, value in (patch.get("append") or {}).items():
        present = _as_list(properties.get(name))
        properties[name] = present + [each for each in _as_list(value) if each not in present]
    for name, value in (patch.get("unappend") or {}).items():
        if name in properties:
            gone = _as_list(value)
            properties[name] = [each for each in _as_list(properties[name]) if each not in gone]


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
