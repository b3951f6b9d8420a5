"""Conditions of segments, flow filters and splits: which shapes are understood, and whether they hold for somebody.

All groups must hold, and in each group one condition. A kind that is not understood is refused when it is handed in.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.klaviyo import shapes
from sandbox.klaviyo.persons import Problems

_CUSTOM = re.compile(r"""properties\[(['"])(?P<name>.*)\1\]""")
_UNIT_SECONDS = {"hour": 3600, "day": 86400, "week": 7 * 86400}


@dataclass(frozen=True)
class Subject:
    """Whom conditions are asked about, and how to look up what is not on the profile itself."""

    person: dict[str, Any]
    event: dict[str, Any]
    now: float
    entered: float = 0.0
    # (metric id, since) -> the events of the profile: value and properties.
    events_since: Callable[[str, float], list[tuple[float | None, dict[str, Any]]]] = lambda metric, since: []
    in_groups: Callable[[list[str]], bool] = lambda ids: False


def holds(tested: dict[str, Any] | None, subject: Subject) -> bool:
    """Whether a filter (`{"condition_groups": [...]}`) lets somebody pass; none lets everybody."""
    groups = (tested or {}).get("condition_groups") or []
    return all(any(_KINDS[each["type"]](each, subject) for each in group["conditions"]) for group in groups)


def _property(condition: dict[str, Any], subject: Subject) -> bool:
    return _passes(condition["filter"], property_of(subject.person, condition["property"]))


def property_of(person: dict[str, Any], name: str) -> Any:
    """`email` or `properties['tier']`, on a person as templates see it."""
    custom = _CUSTOM.fullmatch(name)
    return person.get("properties", {}).get(custom.group("name")) if custom else person.get(name)


def _event_property(condition: dict[str, Any], subject: Subject) -> bool:
    return _passes(condition["filter"], subject.event.get(condition["field"]))


def _metric(condition: dict[str, Any], subject: Subject) -> bool:
    found = subject.events_since(condition["metric_id"], _since(condition["timeframe_filter"], subject))
    for each in condition.get("metric_filters") or []:
        found = [(value, told) for value, told in found if _passes(each.get("filter"), told.get(each["property"]))]
    measured = len(found) if condition["measurement"] == "count" else sum(value or 0 for value, _ in found)
    return _passes(condition["measurement_filter"], measured)


def _since(timeframe: dict[str, Any], subject: Subject) -> float:
    if timeframe["operator"] == "in-the-last":
        return subject.now - float(timeframe["quantity"] * _UNIT_SECONDS[timeframe["unit"]])
    # Events carry whole seconds: one in the second of entering counts as later.
    return int(subject.entered) if timeframe["operator"] == "flow-start" else 0.0


def _membership(condition: dict[str, Any], subject: Subject) -> bool:
    return subject.in_groups(condition["group_ids"]) is condition["is_member"]


_KINDS: dict[str, Callable[[dict[str, Any], Subject], bool]] = {
    "profile-property": _property, "metric-property": _event_property, "profile-metric": _metric,
    "profile-group-membership": _membership,
}  # fmt: skip


def _passes(tested: dict[str, Any] | None, value: Any) -> bool:
    if tested is None:
        return True
    kind, operator = tested["type"], tested["operator"]
    if kind == "existence":
        return (value is not None) is (operator == "is-set")
    wanted = tested["value"]
    if kind == "numeric":
        measured = _number(value)
        return operator == "not-equals" if measured is None else _NUMERIC[operator](measured, wanted)
    if kind == "boolean":
        return value is wanted
    if kind == "list":
        return (wanted in value if isinstance(value, list) else False) is (operator == "contains")
    positive = operator.removeprefix("not-")
    found = value is not None and _TEXT[positive](str(value), wanted or "")
    return found is (positive == operator)


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


_NUMERIC: dict[str, Callable[[float, float], bool]] = {
    "equals": lambda a, b: a == b, "not-equals": lambda a, b: a != b, "greater-than": lambda a, b: a > b,
    "greater-than-or-equal": lambda a, b: a >= b, "less-than": lambda a, b: a < b,
    "less-than-or-equal": lambda a, b: a <= b,
}  # fmt: skip
_TEXT: dict[str, Callable[[str, str], bool]] = {
    "equals": lambda a, b: a == b, "contains": lambda a, b: b in a, "starts-with": str.startswith,
    "ends-with": str.endswith,
}  # fmt: skip


def is_relative(value: Any) -> bool:
    """Whether a definition asks for relative time anywhere, so that it changes without any profile changing."""
    if isinstance(value, list):
        return any(map(is_relative, value))
    if not isinstance(value, dict):
        return False
    return value.get("operator") in _RELATIVE or any(map(is_relative, value.values()))


_RELATIVE = {"at-least", "in-the-last", "in-the-next"}
_OPERATORS = {
    "equals": "is", "not-equals": "is not", "greater-than": "is more than", "less-than": "is less than",
    "greater-than-or-equal": "is at least", "less-than-or-equal": "is at most", "is-set": "is set",
    "not-set": "is not set",
}  # fmt: skip
_TIMEFRAMES = {"alltime": "ever", "flow-start": "since entering the flow"}


def told(tested: dict[str, Any] | None, names: Mapping[str, str]) -> str:
    """A filter for a person: `tier is Gold; balance is more than 100`. `names` are those of metrics, by id."""
    groups = (tested or {}).get("condition_groups") or []
    return "; ".join(" or ".join(_told(each, names) for each in group["conditions"]) for group in groups) or "always"


def _told(condition: dict[str, Any], names: Mapping[str, str]) -> str:
    kind = condition.get("type")
    if kind == "profile-property":
        custom = _CUSTOM.fullmatch(condition["property"])
        return f"{custom.group('name') if custom else condition['property']} {_compared(condition['filter'])}"
    if kind == "metric-property":
        return f"the event's {condition['field']} {_compared(condition['filter'])}"
    if kind == "profile-metric":
        when = condition["timeframe_filter"]
        span = _TIMEFRAMES.get(when["operator"]) or f"in the last {when.get('quantity')} {when.get('unit')}s"
        extra = [f"{each['property']} {_compared(each['filter'])}" for each in condition.get("metric_filters") or []]
        measured = _compared(condition["measurement_filter"])
        metric = names.get(condition["metric_id"], condition["metric_id"])
        return f"{condition['measurement']} of {metric} {span} {measured}" + "".join(f", {each}" for each in extra)
    return f"is {'' if condition.get('is_member') else 'not '}a member of {', '.join(condition.get('group_ids', []))}"


def _compared(tested: dict[str, Any] | None) -> str:
    if tested is None:
        return "is anything"
    operator = tested["operator"]
    words = _OPERATORS.get(operator, operator.replace("-", " "))
    return words if tested["type"] == "existence" else f"{words} {tested['value']}"


_text_filter = shapes.record(
    {"operator": shapes.word(*_TEXT, *(f"not-{each}" for each in _TEXT)), "value": shapes.nullable(shapes.text)}
)
_numeric_filter = shapes.record({"operator": shapes.word(*_NUMERIC), "value": shapes.number})
_FILTERS: dict[str, shapes.Check] = {
    "string": _text_filter,
    "numeric": _numeric_filter,
    "boolean": shapes.record({"operator": shapes.word("equals"), "value": shapes.flag}),
    "existence": shapes.record({"operator": shapes.word("is-set", "not-set")}),
}
_LISTED = shapes.record({"operator": shapes.word("contains", "not-contains"), "value": shapes.nullable(shapes.text)})
_UNKNOWN_FILTER = "The sandbox does not compute filters of the type '{}'."
_property_filter = shapes.by_type({**_FILTERS, "list": _LISTED}, _UNKNOWN_FILTER)
_in_the_last = {"unit": shapes.word(*_UNIT_SECONDS), "quantity": shapes.whole}


def _timeframe(value: Any, pointer: str, problems: Problems) -> None:
    relative = isinstance(value, dict) and value.get("operator") == "in-the-last"
    fields = {"type": shapes.word("date"), "operator": shapes.word("alltime", "flow-start", "in-the-last")}
    shapes.record({**fields, **_in_the_last} if relative else fields)(value, pointer, problems)


_profile_condition: dict[str, shapes.Check] = {
    "profile-property": shapes.record({"property": shapes.text, "filter": _property_filter}),
    "profile-metric": shapes.record(
        {
            "metric_id": shapes.text, "measurement": shapes.word("count", "sum"),
            "measurement_filter": shapes.by_type({"numeric": _numeric_filter}, "The type must be 'numeric', not '{}'."),
            "timeframe_filter": _timeframe,
        },
        {"metric_filters": shapes.nullable(shapes.array(shapes.record(
            {"property": shapes.text}, {"filter": shapes.nullable(shapes.by_type(_FILTERS, _UNKNOWN_FILTER))},
        )))},
    ),
    "profile-group-membership": shapes.record({"is_member": shapes.flag, "group_ids": shapes.array(shapes.text)}),
}  # fmt: skip
_event_condition = {
    "metric-property": shapes.record({"metric_id": shapes.text, "field": shapes.text, "filter": _property_filter})
}


def _groups(kinds: dict[str, shapes.Check]) -> shapes.Check:
    condition = shapes.by_type(kinds, "The sandbox does not compute conditions of the type '{}'.")
    return shapes.record({"condition_groups": shapes.array(shapes.record({"conditions": shapes.array(condition, 1)}))})


PROFILE_FILTER = _groups(_profile_condition)
EVENT_FILTER = _groups(_event_condition)
# What a segment's membership can be computed by when a profile changes.
PROPERTY_FILTER = _groups({"profile-property": _profile_condition["profile-property"]})
