"""The columns of a CSV file: which field of an event each one is, and a row's cells put in their places."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from portal.errors import InvalidError
from portal.services.catalogue import EVENT_TYPES, Kind
from portal.services.properties import kind_of

DELIMITERS = ",;\t|"
OCCURRED_AT = "occurred_at"
PROPERTIES = "properties"
IDENTIFIERS = ("external_id", "email", "phone_number", "klaviyo_profile_id")
# What other programs call the same thing. Written in lower case, with _ between words.
SYNONYMS = {
    "event_id": "id",
    "event": "type",
    "event_type": "type",
    "customer_id": "external_id",
    "customer_external_id": "external_id",
    "e_mail": "email",
    "email_address": "email",
    "phone": "phone_number",
    "profile_id": "klaviyo_profile_id",
    "date": OCCURRED_AT,
    "datetime": OCCURRED_AT,
    "time": OCCURRED_AT,
    "timestamp": OCCURRED_AT,
    "points": "change",
}
_FIELDS = {"id": ("id",), "type": ("type",), OCCURRED_AT: (OCCURRED_AT,)}
_CUSTOMER = {name: ("customer", name) for name in IDENTIFIERS}
_KNOWN_PROPERTIES = {prop.name for entry in EVENT_TYPES for prop in entry.properties}
_WHOLE, _NUMBER = re.compile(r"[+-]?\d{1,18}"), re.compile(r"[+-]?\d{1,18}\.\d{1,12}")


@dataclass(frozen=True)
class Columns:
    """For each column its place in an event, or nothing where it is left out."""

    delimiter: str
    places: tuple[tuple[str, ...], ...]
    ignored: tuple[str, ...] = ()

    def as_text(self) -> str:
        return json.dumps([self.delimiter, self.places])


def from_text(text: str) -> Columns:
    delimiter, places = json.loads(text)
    return Columns(delimiter, tuple(tuple(place) for place in places))


def read_header(line: str) -> Columns:
    """Raises `InvalidError` that says what is missing and what to do."""
    delimiter = max(DELIMITERS, key=line.count)
    names = cells_of(line, delimiter)
    places = tuple(_place(name) for name in names)
    named = [place for place in places if place]
    for name in ("type", OCCURRED_AT):
        if (name,) not in named:
            raise InvalidError(
                f"The file has no column {name}. Its first line must name the columns, such as id,type,email,occurred_at,change."
            )
    if not any(place[0] == "customer" for place in named):
        raise InvalidError(
            f"The file does not say which customer a row is about. Add a column {', '.join(IDENTIFIERS)}."
        )
    if twice := next((place for place in named if named.count(place) > 1), None):
        raise InvalidError(f"Two columns mean {'.'.join(twice)}. Remove or rename one of them.")
    ignored = tuple(name.strip()[:60] for name, place in zip(names, places, strict=True) if not place and name.strip())
    return Columns(delimiter, places, ignored)


def _place(name: str) -> tuple[str, ...]:
    name = name.strip()
    if name.lower().startswith(f"{PROPERTIES}."):
        return (PROPERTIES, name.partition(".")[2].strip())
    plain = re.sub(r"[\s-]+", "_", name.lower()).removeprefix("customer.")
    plain = SYNONYMS.get(plain, plain)
    if plain in _KNOWN_PROPERTIES:
        return (PROPERTIES, plain)
    return _FIELDS.get(plain) or _CUSTOMER.get(plain) or ()


def cells_of(text: str, delimiter: str) -> list[str]:
    """Raises `InvalidError` for what is no row of a CSV file."""
    try:
        return next(csv.reader(_lines(text), delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise InvalidError("A quotation mark stands where none may. Write it twice, within a cell in marks.") from error


def _lines(text: str) -> Iterator[str]:
    """A cell's own line breaks are the only ones that count, and not the other characters that end a line in Unicode."""
    return (f"{line}\n" for line in text.split("\n"))


def document_of(columns: Columns, text: str, zone: tzinfo) -> dict[str, Any]:
    """The event as the API would take it; an empty cell is absent. A time without a zone is meant in the merchant's.

    Raises `InvalidError`.
    """
    cells = cells_of(text, columns.delimiter)
    if len(cells) != len(columns.places):
        raise InvalidError(
            f"The row has {len(cells):,} cells, and the first line names {len(columns.places):,} columns."
        )
    document: dict[str, Any] = {}
    properties: dict[str, str] = {}
    for place, cell in zip(columns.places, cells, strict=True):
        value = cell.strip()
        if not value or not place:
            continue
        if place[0] == PROPERTIES:
            properties[place[1]] = value
        elif place[0] == "customer":
            document.setdefault("customer", {})[place[1]] = value
        else:
            document[place[0]] = _with_zone(value, zone) if place[0] == OCCURRED_AT else value
    if properties:
        kind = str(document.get("type", ""))
        document[PROPERTIES] = {name: _typed(kind, name, value) for name, value in properties.items()}
    return document


def _with_zone(text: str, zone: tzinfo) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text  # refused where everything is checked
    return moment.isoformat() if moment.tzinfo else moment.replace(tzinfo=zone).isoformat()


def _typed(event_type: str, name: str, text: str) -> str | int | float:
    if kind_of(event_type, name) is Kind.NUMBER:
        if _WHOLE.fullmatch(text):
            return int(text)
        if _NUMBER.fullmatch(text):
            return float(text)
    return text
