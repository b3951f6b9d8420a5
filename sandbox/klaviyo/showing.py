"""How the pages show what was recorded: bodies with one value a line, scopes in words.

A body is kept to its first 2 kB, so it may end in the midst of a value; it is laid out all the same.
"""

import json
import re
from typing import Any

CUT = "(the rest was not kept)"
# As a person who is asked to allow them would say it.
SCOPES = {
    "accounts": "the account's name and contact details",
    "events": "events on profiles",
    "flows": "flows",
    "lists": "lists",
    "metrics": "metrics",
    "profiles": "profiles",
    "segments": "segments and who is in them",
}
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


def scope_in_words(scope: str) -> str:
    """`profiles:write` -> `Change profiles`."""
    if scope == "data-privacy:write":
        return "Delete profiles for good"
    subject, _, access = scope.partition(":")
    verb = {"read": "See", "write": "Change"}.get(access, "Use")
    return f"{verb} {SCOPES.get(subject, subject)}"


def readable(value: Any) -> str:
    """A property's value for a person: texts as they are, lists by commas, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and not any(isinstance(each, (dict, list)) for each in value):
        return ", ".join(map(readable, value))
    return json.dumps(value, indent=2, ensure_ascii=False)


def laid_out(body: bytes, kept: int = 2048) -> str:
    """JSON with one value a line, also where it was cut; anything else as it is."""
    text = body.decode("utf-8", "replace")
    cut = f"\n{CUT}" if len(body) >= kept else ""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        looks_like_json = text.lstrip()[:1] in ("{", "[") and cut
        return (_indented(text) if looks_like_json else text) + cut


def _indented(text: str) -> str:
    lines, depth = [""], 0
    for token in _TOKENS.findall(text):
        if token in "}]":
            depth -= 1
            lines.append("  " * depth + token)
        elif token == ":":
            lines[-1] += ": "
        else:
            lines[-1] += token
        if token in "{[":
            depth += 1
        if token in "{[,":
            lines.append("  " * depth)
    return "\n".join(line for line in lines if line.strip())
