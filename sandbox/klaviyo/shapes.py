"""Shapes of JSON, as small checks that are put together: what does not fit is a problem with its pointer.

Unknown members are let through, as Klaviyo's description does.
"""

from collections.abc import Callable
from typing import Any

from sandbox.klaviyo.errors import invalid
from sandbox.klaviyo.persons import Problems

Check = Callable[[Any, str, Problems], None]


def _of(types: tuple[type, ...], words: str) -> Check:
    def check(value: Any, pointer: str, problems: Problems) -> None:
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            problems.append(invalid(f"This field must be {words}.", pointer))

    return check


text = _of((str,), "a string")
flag = _of((bool,), "true or false")
whole = _of((int,), "a whole number")
number = _of((int, float), "a number")
object_ = _of((dict,), "an object")


def nullable(inner: Check) -> Check:
    def check(value: Any, pointer: str, problems: Problems) -> None:
        if value is not None:
            inner(value, pointer, problems)

    return check


def word(*allowed: Any) -> Check:
    def check(value: Any, pointer: str, problems: Problems) -> None:
        if not any(value is each or (isinstance(value, str) and value == each) for each in allowed):
            problems.append(invalid(f"This field must be one of {', '.join(map(str, allowed))}.", pointer))

    return check


def array(inner: Check, least: int = 0) -> Check:
    def check(value: Any, pointer: str, problems: Problems) -> None:
        if not isinstance(value, list) or len(value) < least:
            problems.append(invalid("This field must be an array" + (" with members." if least else "."), pointer))
            return
        for place, each in enumerate(value):
            inner(each, f"{pointer}/{place}", problems)

    return check


def record(required: dict[str, Check], optional: dict[str, Check] | None = None) -> Check:
    def check(value: Any, pointer: str, problems: Problems) -> None:
        if not isinstance(value, dict):
            problems.append(invalid("This field is required and must be an object.", pointer))
            return
        for name, inner in required.items():
            if name not in value:
                problems.append(invalid("This field is required.", f"{pointer}/{name}"))
            else:
                inner(value[name], f"{pointer}/{name}", problems)
        for name, inner in (optional or {}).items():
            if name in value:
                inner(value[name], f"{pointer}/{name}", problems)

    return check


def by_type(kinds: dict[str, Check], unknown: str) -> Check:
    """One of several shapes, told apart by the member `type`; `unknown` says what is wrong with any other."""

    def check(value: Any, pointer: str, problems: Problems) -> None:
        if not isinstance(value, dict):
            problems.append(invalid("This field is required and must be an object.", pointer))
            return
        kind = value.get("type")
        chosen = kinds.get(kind) if isinstance(kind, str) else None
        if chosen is None:
            problems.append(invalid(unknown.format(kind), f"{pointer}/type"))
        else:
            chosen(value, pointer, problems)

    return check
