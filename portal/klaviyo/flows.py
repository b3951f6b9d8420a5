"""Making a flow that starts with a metric and calls a webhook. Klaviyo keeps it as a draft until somebody switches it on.

Sources: POST and GET /api/flows in Klaviyo's OpenAPI description, revision 2026-07-15.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from portal.klaviyo.client import Client
from portal.klaviyo.errors import verdict

FLOWS_PATH = "/api/flows"
ACTION = "webhook"


@dataclass(frozen=True)
class Webhook:
    url: str
    headers: dict[str, str]
    body: str


def create(client: Client, name: str, metric_id: str, webhook: Webhook) -> str:
    """The flow's id. Raises a `KlaviyoError`; after a `NoAnswerError` it may be there all the same."""
    answer = client.send("POST", FLOWS_PATH, body=json.dumps(_document(name, metric_id, webhook)))
    if error := verdict(answer):
        raise error
    return _id(answer.json())


def find(client: Client, name: str) -> str | None:
    """The newest draft of exactly this name. Raises a `KlaviyoError`."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    params = {"filter": f'equals(name,"{quoted}"),equals(status,"draft")', "sort": "-created", "fields[flow]": "name"}
    data = client.read(FLOWS_PATH, params).get("data")
    return _id({"data": data[0]}) if isinstance(data, list) and data else None


def _document(name: str, metric_id: str, webhook: Webhook) -> dict[str, Any]:
    message = {"url": webhook.url, "headers": webhook.headers, "body": webhook.body, "name": name}
    action = {
        "temporary_id": ACTION,
        "type": "send-webhook",
        "links": {"next": None},
        "data": {"message": message, "status": "draft"},
    }
    definition = {
        "triggers": [{"type": "metric", "id": metric_id}],
        "profile_filter": None,
        "actions": [action],
        "entry_action_id": ACTION,
    }
    return {"data": {"type": "flow", "attributes": {"name": name, "definition": definition}}}


def _id(document: Any) -> str:
    data = document.get("data") if isinstance(document, dict) else None
    return str(data.get("id") or "") if isinstance(data, dict) else ""
