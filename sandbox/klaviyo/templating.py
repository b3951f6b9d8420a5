"""The part of Klaviyo's template language that webhook bodies and subject lines are written in.

`{{ person.KlaviyoID }}`, `{{ event|lookup:'$event_id' }}`, `{{ first_name|default:'you' }}`: paths and a few filters, nothing is
evaluated. What is missing is an empty text; what is there goes in as it is, so a quote in a name breaks the JSON around it.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

_MARK = re.compile(r"\{\{(.*?)\}\}|\{%(.*?)%\}|\{#.*?#\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*"|'[^']*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<path>[A-Za-z_$][\w$]*(?:\.[\w$]+)*)|(?P<mark>[|:]))"""
)


class TemplateError(ValueError):
    """A template that cannot be rendered, in words for whoever wrote it."""


def render(text: str, names: Mapping[str, Any]) -> str:
    """The template with every expression replaced. Raises `TemplateError`."""

    def replaced(match: re.Match[str]) -> str:
        if match.group(2) is not None:
            raise TemplateError(f"the sandbox renders no tags: {match.group(0)[:60]}")
        return "" if match.group(1) is None else _shown(_evaluated(match.group(1), names))

    return _MARK.sub(replaced, text)


def check(text: str) -> None:
    """Raises `TemplateError` if the template could not be rendered for anybody."""
    render(text, {})


def _evaluated(expression: str, names: Mapping[str, Any]) -> Any:
    tokens = _tokens(expression)
    value, place = _operand(tokens, 0, names, expression), 1
    while place < len(tokens):
        if tokens[place] != ("mark", "|") or place + 1 == len(tokens) or tokens[place + 1][0] != "path":
            raise _unreadable(expression)
        name, place = tokens[place + 1][1], place + 2
        argument = None
        if place < len(tokens) and tokens[place] == ("mark", ":"):
            argument, place = _operand(tokens, place + 1, names, expression), place + 2
        if name not in _FILTERS:
            raise TemplateError(f"the sandbox does not know the filter {name!r}")
        value = _FILTERS[name](value, argument)
    return value


def _tokens(expression: str) -> list[tuple[str, str]]:
    found, place, text = [], 0, expression.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise _unreadable(expression)
        kind = str(match.lastgroup)
        found.append((kind, match.group(kind)))
        place = match.end()
    return found


def _operand(tokens: list[tuple[str, str]], place: int, names: Mapping[str, Any], expression: str) -> Any:
    kind, text = tokens[place] if place < len(tokens) else ("", "")
    if kind == "text":
        return text[1:-1]
    if kind == "number":
        return float(text) if "." in text else int(text)
    if kind != "path":
        raise _unreadable(expression)
    value: Any = names
    for name in text.split("."):
        value = _lookup(value, name)
    return value


def _unreadable(expression: str) -> TemplateError:
    return TemplateError(f"{{{{{expression[:60]}}}}} cannot be read")


def _lookup(value: Any, name: Any) -> Any:
    if isinstance(value, Mapping):
        return value.get(str(name))
    if isinstance(value, list) and str(name).isdigit() and int(str(name)) < len(value):
        return value[int(str(name))]
    return None


def _shown(value: Any) -> str:
    """As Django writes it: True, 12.5, and a mapping the way Python shows it."""
    return "" if value is None else str(value)


# Django's `default` takes the place of everything that counts as empty.
_FILTERS: dict[str, Callable[[Any, Any], Any]] = {
    "lookup": _lookup,
    "default": lambda value, other: value or other,
    "lower": lambda value, _: _shown(value).lower(),
    "upper": lambda value, _: _shown(value).upper(),
    "title": lambda value, _: _shown(value).title(),
    "urlencode": lambda value, _: quote(_shown(value), safe="/"),
}
