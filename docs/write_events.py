"""`make event-list`: writes docs/events.md from the catalogue. A test holds the page beside it, so that the two cannot differ."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from portal.services.catalogue import COMMON, EVENT_TYPES, EventType, Property

PAGE = Path(__file__).parent / "events.md"
INTRODUCTION = f"""# The {len(EVENT_TYPES)} events

Written by `make event-list` from `portal/services/catalogue.py`; the portal shows the same at `/docs/events`.

The name of a metric in Klaviyo is exactly the title here. `type` is what `POST /v1/events` takes. Properties are typed: a number is a
number with at most two decimals, an address begins with `http://` or `https://`. Others are the merchant's own and pass as they are.

## On every event

Computed by the portal as of the time of the event. Whatever is sent under these names is replaced, and what is not known
is left out (never `"-"`, never `""`).
"""


def render() -> str:
    """The whole page."""
    parts = [INTRODUCTION, _table(COMMON), *(_event(entry) for entry in EVENT_TYPES)]
    return "\n".join(parts)


def _event(entry: EventType) -> str:
    own = _table(entry.properties) if entry.properties else "No properties of its own.\n"
    never = "\nThe customer's age is never sent.\n" if entry.type == "customer_birthday" else ""
    example = json.dumps(entry.example, indent=2, ensure_ascii=False)
    return (
        f"## {entry.metric}\n\n`{entry.type}`. {entry.description} Where it comes from: {entry.source}.\n\n"
        f"{own}{never}\n```json\n{example}\n```\n"
    )


def _table(properties: Iterable[Property]) -> str:
    rows = ["| property | kind | meaning | tag |", "|---|---|---|---|"]
    for prop in properties:
        choices = f" ({', '.join(f'`{choice}`' for choice in prop.choices)})" if prop.choices else ""
        rows.append(f"| `{prop.name}` | {prop.kind} | {prop.note}{choices} | `{prop.tag}` |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render())
    sys.stdout.write(f"{PAGE}\n")
