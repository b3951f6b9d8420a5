"""Reads and checks the events of a request, single or bulk, in one pass and by hand.

What comes out is what gets recorded: plain tuples, the time cut to the second, the properties already as text.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple, cast

from pydantic_core import to_json

from sandbox.klaviyo import persons
from sandbox.klaviyo.errors import invalid
from sandbox.klaviyo.persons import LARGEST_TEXT, Person, Problems

MOST_EVENTS = 1000
MOST_PROPERTIES = 400
_MOST_ITEMS = 4000
_DEEPEST = 10
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC).timestamp()
_YEAR_SECONDS = 366 * 86400
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")
_CURRENCY = re.compile(r"[A-Z]{3}")
_EVENT_FIELDS = frozenset(("properties", "time", "value", "value_currency", "unique_id", "backfill", "metric"))
_SINGLE_FIELDS = _EVENT_FIELDS | {"profile"}
_PERSON_FIELDS = frozenset(("anonymous_id", "_kx", "meta"))
_BULK_PERSON_FIELDS = frozenset(("anonymous_id", "_kx"))

_WRONG_TIME = "Datetime has the wrong format. Use ISO 8601 with a UTC offset."

BULK_POINTER = "/data/attributes/events-bulk-create/data"


class Event(NamedTuple):
    metric: str
    dedupe: str
    time: int
    value: float | None
    currency: str | None
    backfill: int
    properties: bytes


class Entry(NamedTuple):
    person: Person
    events: list[Event]
    pointer: str


def single(body: Any, received: float, problems: Problems) -> list[Entry]:
    """The one event of `POST /api/events`."""
    attributes = _attributes(body, "event", problems)
    if attributes is None:
        return []
    person = _person(attributes, "/data/attributes", problems, _PERSON_FIELDS)
    event = _event(attributes, "/data/attributes", received, problems, _SINGLE_FIELDS, False)
    return [Entry(person, [event], "/data")] if event and not problems else []


def bulk(body: Any, received: float, problems: Problems) -> list[Entry]:
    """The events of `POST /api/event-bulk-create-jobs`, one entry for each profile given."""
    attributes = _attributes(body, "event-bulk-create-job", problems)
    if attributes is None:
        return []
    rows = _array(attributes.get("events-bulk-create"), BULK_POINTER, problems)
    entries = [
        entry for place, row in enumerate(rows) if (entry := _entry(row, f"{BULK_POINTER}/{place}", received, problems))
    ]
    total = sum(len(entry.events) for entry in entries)
    if total > MOST_EVENTS:
        problems.append(invalid(f"A maximum of {MOST_EVENTS} events can be created in one request.", BULK_POINTER))
    if not problems and not total:
        problems.append(invalid("At least one event is required.", BULK_POINTER))
    return entries


def _entry(row: Any, pointer: str, received: float, problems: Problems) -> Entry | None:
    if type(row) is not dict or row.get("type") != "event-bulk-create":
        problems.append(invalid("The resource type must be 'event-bulk-create'.", f"{pointer}/type"))
        return None
    given = row.get("attributes")
    here = f"{pointer}/attributes"
    if type(given) is not dict:
        problems.append(invalid("This field is required and must be an object.", here))
        return None
    backfill = given.get("backfill")
    if backfill is not None and type(backfill) is not bool:
        problems.append(invalid("This field must be true or false.", f"{here}/backfill"))
    person = _person(given, here, problems, _BULK_PERSON_FIELDS)
    events = []
    for place, each in enumerate(_array(given.get("events"), f"{here}/events/data", problems)):
        there = f"{here}/events/data/{place}"
        if type(each) is not dict or each.get("type") != "event" or type(each.get("attributes")) is not dict:
            problems.append(invalid("Each event must be an object of type 'event' with attributes.", there))
            continue
        event = _event(each["attributes"], f"{there}/attributes", received, problems, _EVENT_FIELDS, backfill is True)
        if event:
            events.append(event)
    return Entry(person, events, f"{here}/events/data")


def _attributes(body: Any, kind: str, problems: Problems) -> dict[str, Any] | None:
    data = body.get("data") if type(body) is dict else None
    if type(data) is not dict:
        problems.append(invalid("This field is required and must be an object.", "/data"))
        return None
    if data.get("type") != kind:
        problems.append(invalid(f"The resource type must be '{kind}'.", "/data/type"))
    attributes = data.get("attributes")
    if type(attributes) is not dict:
        problems.append(invalid("This field is required and must be an object.", "/data/attributes"))
        return None
    return attributes


def _array(holder: Any, pointer: str, problems: Problems) -> list[Any]:
    data = holder.get("data") if type(holder) is dict else None
    if type(data) is not list:
        problems.append(invalid("This field is required and must be an array.", pointer))
        return []
    return data


def _person(attributes: dict[str, Any], pointer: str, problems: Problems, extra: frozenset[str]) -> Person:
    holder = attributes.get("profile")
    data = holder.get("data") if type(holder) is dict else None
    return _plain_person(data) or persons.read(data, f"{pointer}/profile/data", problems, extra)


def _plain_person(data: Any) -> Person | None:
    """A profile given by a single identifier and nothing else, as most are; remembered, since they come again."""
    if type(data) is not dict or len(data) not in (2, 3) or data.get("type") != "profile":
        return None
    attributes, given_id = data.get("attributes"), data.get("id")
    if (
        type(attributes) is not dict
        or len(attributes) + (type(given_id) is str) != 1
        or len(data) != 2 + ("id" in data)
    ):
        return None
    if given_id is not None:
        return _remembered("id", given_id) if not attributes else None
    ((kind, value),) = attributes.items()
    return _remembered(kind, value) if type(value) is str and kind in persons.PRECEDENCE else None


@lru_cache(maxsize=100_000)
def _remembered(kind: str, value: str) -> Person | None:
    problems: Problems = []
    data = {"type": "profile", "attributes": {} if kind == "id" else {kind: value}}
    if kind == "id":
        data["id"] = value
    person = persons.read(data, "", problems, _BULK_PERSON_FIELDS)
    return None if problems else person


def _event(
    given: dict[str, Any], pointer: str, received: float, problems: Problems, allowed: frozenset[str], backfill: bool
) -> Event | None:
    """One event. Pointers are only put together once something is wrong: this runs ten thousand times a second."""
    wrong: list[tuple[str, str]] = []
    if not allowed.issuperset(given):
        unknown = next(name for name in given if name not in allowed)
        wrong.append((f"'{unknown}' is not a valid field for the resource 'event'.", unknown))
    metric = _metric(given.get("metric"), wrong)
    moment = _moment(given.get("time"), received)
    if type(moment) is str:
        wrong.append((moment, "time"))
    properties = given.get("properties")
    if type(properties) is not dict:
        wrong.append(("This field is required and must be an object.", "properties"))
    else:
        _check_properties(properties, wrong)
    unique = given.get("unique_id")
    if unique is not None and (type(unique) is not str or not unique or len(unique) > LARGEST_TEXT):
        wrong.append(("This field must be a non-empty string.", "unique_id"))
    value, currency, own = given.get("value"), given.get("value_currency"), given.get("backfill")
    if value is not None and not _is_amount(value):
        wrong.append(("This field must be a number.", "value"))
    if currency is not None and (type(currency) is not str or not _CURRENCY.fullmatch(currency)):
        wrong.append(("This field must be an ISO 4217 currency code.", "value_currency"))
    if own is not None and type(own) is not bool:
        wrong.append(("This field must be true or false.", "backfill"))
    if wrong:
        problems += [invalid(detail, f"{pointer}/{where}") for detail, where in wrong]
        return None
    # No unique_id can be mistaken for a time: each kind has a mark of its own.
    dedupe = f"@{moment}" if unique is None else "=" + unique
    amount = None if value is None else float(value)
    late = backfill if own is None else own
    return Event(metric, dedupe, cast(int, moment), amount, currency, int(late), to_json(properties))


def _metric(holder: Any, wrong: list[tuple[str, str]]) -> str:
    data = holder.get("data") if type(holder) is dict else None
    if type(data) is not dict or data.get("type") != "metric" or type(data.get("attributes")) is not dict:
        wrong.append(("A metric of type 'metric' with attributes is required.", "metric/data"))
        return ""
    name = data["attributes"].get("name")
    if type(name) is not str or not name.strip():
        wrong.append(("This field is required and must be a non-empty string.", "metric/data/attributes/name"))
        return ""
    if len(name) >= 128:
        wrong.append(("The metric name must be less than 128 characters.", "metric/data/attributes/name"))
    service = data["attributes"].get("service")
    if service is not None and type(service) is not str:
        wrong.append(("This field must be a string.", "metric/data/attributes/service"))
    return name


def _moment(given: Any, received: float) -> int | str:
    """The time cut to the second, or what is wrong with it."""
    if given is None:
        return int(received)
    if type(given) is not str or not _TIME.fullmatch(given):
        return _WRONG_TIME
    try:
        seconds = datetime.fromisoformat(given.upper()).timestamp()
    except (ValueError, OverflowError):
        return _WRONG_TIME
    if seconds < _EARLIEST or seconds > received + _YEAR_SECONDS:
        return "The time must be after 1990 and at most one year in the future."
    return int(seconds)


def _is_amount(given: Any) -> bool:
    return (type(given) is int or type(given) is float) and abs(given) <= 1e15


def _check_properties(properties: dict[str, Any], wrong: list[tuple[str, str]]) -> None:
    if len(properties) > MOST_PROPERTIES:
        wrong.append((f"An event must not have more than {MOST_PROPERTIES} properties.", "properties"))
    for name, value in properties.items():
        kind = type(value)
        if kind is str and len(value) <= 25_000:
            continue
        if kind is str or kind is dict or kind is list:
            complaint = _deep(value, 2)
            if complaint:
                wrong.append((complaint, f"properties/{name}"))


def _deep(value: Any, depth: int) -> str | None:
    if isinstance(value, str) and len(value) > 25_000 and len(value.encode()) > LARGEST_TEXT:
        return "A string must not be larger than 100 KB."
    if not isinstance(value, (dict, list)):
        return None
    if depth > _DEEPEST:
        return f"Properties must not be nested deeper than {_DEEPEST} levels."
    if isinstance(value, list) and len(value) > _MOST_ITEMS:
        return f"An array must not have more than {_MOST_ITEMS} items."
    parts = value.values() if isinstance(value, dict) else value
    return next((complaint for part in parts if (complaint := _deep(part, depth + 1))), None)
