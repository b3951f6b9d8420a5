"""Metrics by name, the flows that start with them, and events as Klaviyo has them.

Sources: GET /api/metrics, /api/metrics/{id}/flow-triggers and /api/events in Klaviyo's OpenAPI description,
revision 2026-07-15.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from portal.klaviyo.client import Client

METRICS_PATH = "/api/metrics"
EVENTS_PATH = "/api/events"
# Klaviyo gives two hundred metrics a page; nobody has thousands.
MOST_PAGES = 25
# Of the newest events of one metric and one profile: what was just sent is among them.
NEWEST = 50
# Whose metrics cannot be ours: Klaviyo's own, and those sent with a private key.
_OTHERS = ("klaviyo", "api")


@dataclass(frozen=True)
class Flow:
    id: str
    name: str
    # `live`, `manual` or `draft`.
    status: str


def metric_ids(client: Client, name: str) -> list[str]:
    """The metrics of this name that an app has sent; there is none before its first event. Raises a `KlaviyoError`."""
    found = []
    for entry in _pages(client, METRICS_PATH, {"fields[metric]": "name,integration"}):
        attributes = _attributes(entry)
        integration = attributes.get("integration")
        key = integration.get("key") if isinstance(integration, dict) else None
        if attributes.get("name") == name and key not in _OTHERS:
            found.append(str(entry["id"]))
    return found


def flows_of(client: Client, metric_id: str) -> list[Flow]:
    """The flows that the metric starts, archived ones left out. Raises a `KlaviyoError`."""
    document = client.read(f"{METRICS_PATH}/{metric_id}/flow-triggers", {"fields[flow]": "name,status,archived"})
    flows = [(str(entry["id"]), _attributes(entry)) for entry in _entries(document)]
    return [
        Flow(flow_id, str(about.get("name") or flow_id), str(about.get("status") or ""))
        for flow_id, about in flows
        if not about.get("archived")
    ]


def newest_events(client: Client, metric_id: str, profile: str) -> list[dict[str, Any]]:
    """The properties of a profile's newest events of one metric. Raises a `KlaviyoError`."""
    params = {
        "filter": f'equals(metric_id,"{metric_id}"),equals(profile_id,"{profile}")',
        "fields[event]": "event_properties",
        "sort": "-datetime",
        "page[size]": str(NEWEST),
    }
    told = (_attributes(entry).get("event_properties") for entry in _entries(client.read(EVENTS_PATH, params)))
    return [properties for properties in told if isinstance(properties, dict)]


def _pages(client: Client, path: str, params: dict[str, str]) -> Iterator[dict[str, Any]]:
    for _ in range(MOST_PAGES):
        document = client.read(path, params)
        yield from _entries(document)
        links = document.get("links")
        following = links.get("next") if isinstance(links, dict) else None
        cursor = parse_qs(urlsplit(following).query).get("page[cursor]", [None])[0] if following else None
        if cursor is None:
            return
        params = {**params, "page[cursor]": cursor}


def _entries(document: dict[str, Any]) -> list[dict[str, Any]]:
    data = document.get("data")
    return [entry for entry in data if isinstance(entry, dict) and "id" in entry] if isinstance(data, list) else []


def _attributes(entry: dict[str, Any]) -> dict[str, Any]:
    attributes = entry.get("attributes")
    return attributes if isinstance(attributes, dict) else {}
