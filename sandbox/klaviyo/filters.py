"""Klaviyo's filter grammar: `any(email,["a","b"]),greater-than(updated,2026-01-01T00:00:00Z)`, joined by commas.

Turns a filter into SQL conditions; a field or operator the endpoint does not list is refused, as there.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.klaviyo.errors import ApiError, bad_request
from sandbox.klaviyo.persons import profile_of_exchange

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<mark>[(),\[\]])|(?P<word>[^\s"'(),\[\]]+))"""
)
_COMPARE = {"greater-than": ">", "greater-or-equal": ">=", "less-than": "<", "less-or-equal": "<="}
_LIKE = {"contains": "*{}*", "starts-with": "{}*", "ends-with": "*{}"}


@dataclass(frozen=True)
class Condition:
    operator: str
    field: str
    values: list[Any]


@dataclass(frozen=True)
class Rule:
    """What one field may be compared by, and with which column.

    A rule without column is accepted and not applied; `{}` in a column is where the list of values goes.
    """

    operators: frozenset[str]
    column: str
    kind: str = "text"


def rule(operators: str, column: str, kind: str = "text") -> Rule:
    return Rule(frozenset(operators.split()), column, kind)


def parse(text: str) -> list[Condition]:
    """The conditions of a filter, all of which must hold."""
    tokens = _tokens(text)
    conditions: list[Condition] = []
    place = _expression(tokens, 0, conditions)
    while place < len(tokens):
        if tokens[place] != ("mark", ","):
            raise _malformed(f"unexpected '{tokens[place][1]}'")
        place = _expression(tokens, place + 1, conditions)
    return conditions


def _malformed(reason: str) -> ApiError:
    return bad_request(f"Invalid filter provided: {reason}.", parameter="filter")


def _tokens(text: str) -> list[tuple[str, str]]:
    found, place = [], 0
    while place < len(text.rstrip()):
        match = _TOKEN.match(text, place)
        if match is None:
            raise _malformed(f"cannot be read from character {place + 1}")
        kind = str(match.lastgroup)
        found.append((kind, match.group(kind)))
        place = match.end()
    return found


def _expression(tokens: list[tuple[str, str]], place: int, into: list[Condition]) -> int:
    kind, name = _at(tokens, place)
    if kind != "word":
        raise _malformed(f"expected an operator, found '{name}'")
    place = _expect(tokens, place + 1, "(")
    if name == "and":
        return _conjunction(tokens, place, into)
    field = _at(tokens, place)
    if field[0] != "word":
        raise _malformed("expected a field")
    place += 1
    values: list[Any] = []
    if _at(tokens, place) == ("mark", ","):
        values, place = _values(tokens, place + 1)
    into.append(Condition(name, field[1], values))
    return _expect(tokens, place, ")")


def _conjunction(tokens: list[tuple[str, str]], place: int, into: list[Condition]) -> int:
    place = _expression(tokens, place, into)
    while _at(tokens, place) == ("mark", ","):
        place = _expression(tokens, place + 1, into)
    return _expect(tokens, place, ")")


def _values(tokens: list[tuple[str, str]], place: int) -> tuple[list[Any], int]:
    if _at(tokens, place) != ("mark", "["):
        return [_literal(*_at(tokens, place))], place + 1
    values, place = [], place + 1
    while _at(tokens, place) != ("mark", "]"):
        values.append(_literal(*_at(tokens, place)))
        place += 1
        if _at(tokens, place) == ("mark", ","):
            place += 1
    return values, place + 1


def _literal(kind: str, text: str) -> Any:
    if kind == "mark":
        raise _malformed(f"unexpected '{text}'")
    if kind == "text":
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return {"true": True, "false": False}.get(text, text)


def _at(tokens: list[tuple[str, str]], place: int) -> tuple[str, str]:
    if place >= len(tokens):
        raise _malformed("it ends too early")
    return tokens[place]


def _expect(tokens: list[tuple[str, str]], place: int, mark: str) -> int:
    if _at(tokens, place) != ("mark", mark):
        raise _malformed(f"expected '{mark}', found '{tokens[place][1]}'")
    return place + 1


def conditions(text: str | None, rules: Mapping[str, Rule]) -> tuple[list[str], list[Any]]:
    """SQL conditions and their arguments for a filter, by the rules of an endpoint."""
    where: list[str] = []
    args: list[Any] = []
    for each in parse(text) if text else []:
        found = rules.get(each.field)
        if found is None or each.operator not in found.operators:
            raise _malformed(f"'{each.operator}' is not an allowed operator for the field '{each.field}'")
        if each.operator == "has":
            continue
        if not each.values:
            raise _malformed(f"'{each.field}' needs a value")
        values = [_converted(value, found.kind, each.field) for value in each.values]
        if found.column:
            _add(where, args, found.column, each.operator, values)
    return where, args


def _add(where: list[str], args: list[Any], column: str, operator: str, values: list[Any]) -> None:
    if operator in _COMPARE:
        where.append(f"{column} {_COMPARE[operator]} ?")
        args.append(values[0])
        return
    if operator in _LIKE:
        where.append(f"{column} GLOB ?")
        args.append(_LIKE[operator].format(re.sub(r"([*?\[])", r"[\1]", str(values[0]))))
        return
    values_of = "(SELECT value FROM json_each(?))"
    where.append(column.format(values_of) if "{}" in column else f"{column} IN {values_of}")
    args.append(json.dumps(values))


def _converted(value: Any, kind: str, field: str) -> Any:
    try:
        return _CONVERT[kind](value)
    except (ValueError, KeyError) as error:
        raise _malformed(f"'{value}' is not a valid value for the field '{field}'") from error


def _time(value: Any) -> float:
    moment = datetime.fromisoformat(str(value))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _email(value: Any) -> str:
    return str(value).lower()


def _flag(value: Any) -> int:
    return {True: 1, False: 0, "true": 1, "false": 0}[value]


def _exchange(value: Any) -> str:
    return profile_of_exchange(str(value)) or ""


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "text": str, "email": _email, "time": _time, "number": float, "flag": _flag, "exchange": _exchange,
}  # fmt: skip
