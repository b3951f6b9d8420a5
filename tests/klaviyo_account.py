"""The sandbox as tests use it: order faults, look at what arrived, and allow the portal's app as a merchant would."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

NORDIC = "K9x2Lm"
HARBOR = "H4rB0r"
BULK_PATH = "/api/event-bulk-create-jobs"
SINGLE_PATH = "/api/events"


class Sandbox:
    """Its control API. Events that it was born with are left out of everything that is counted here."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._born_with: dict[str, int] = {}

    def _call(self, method: str, path: str, body: object = None, **params: Any) -> Any:
        response = requests.request(method, f"{self.url}/_sandbox/{path}", json=body, params=params, timeout=30)
        assert response.ok, response.text
        return response.json()

    def reset(self) -> None:
        self._call("POST", "reset")
        self._born_with = {account: len(self._recorded(account, 0)) for account in (NORDIC, HARBOR)}

    def set(self, **settings: object) -> None:
        self._call("PUT", "settings", settings)

    def order(self, fault: str, path: str = "/api/", *, method: str = "POST", **details: object) -> None:
        """A fault for requests whose path begins so; see the sandbox's README for its kinds and details."""
        self._call("POST", "faults", {"fault": fault, "match": {"path": path, "method": method}, **details})

    def clear_faults(self) -> None:
        self._call("DELETE", "faults")

    def faults(self) -> list[dict[str, Any]]:
        return list(self._call("GET", "faults")["faults"])

    def start_flow(self, name: str, metric: str, status: str = "live", account: str = NORDIC) -> None:
        """A flow with an email that starts with a metric that our app has sent, made as a marketer would."""
        mail = {"temporary_id": "mail", "type": "send-email", "links": {"next": None}}
        self.make_flow(name, metric, [{**mail, "data": {"message": {"subject_line": "Hello"}}}], status, account)

    def make_flow(
        self, name: str, metric: str, actions: list[dict[str, Any]], status: str = "live", account: str = NORDIC
    ) -> None:
        """A flow that begins with the first of the actions."""
        definition = {
            "triggers": [{"type": "metric", "id": self.metric_id(metric, account)}],
            "actions": actions,
            "entry_action_id": actions[0]["temporary_id"],
        }
        made = {"type": "flow", "attributes": {"name": name, "definition": definition}}
        flow = self.ask("POST", "/api/flows", account, json={"data": made})["data"]
        changed = {"type": "flow", "id": flow["id"], "attributes": {"status": status}}
        self.ask("PATCH", f"/api/flows/{flow['id']}", account, json={"data": changed})

    def metric_id(self, name: str, account: str = NORDIC) -> str:
        """Of a metric that our app has sent."""
        known = self.ask("GET", "/api/metrics", account)["data"]
        attributes = {each["id"]: each["attributes"] for each in known}
        return str(
            next(
                metric_id
                for metric_id, each in attributes.items()
                if each["name"] == name and each["integration"]["key"] != "api"
            )
        )

    def flow_steps(self, account: str = NORDIC) -> list[dict[str, Any]]:
        """What its flows have done, in order: each action of each run, a webhook once for each try."""
        return list(self._call("GET", "flows/activity", account=account)["steps"])

    def order_webhooks(self, **orders: int) -> None:
        """`lose_answers` and `duplicate`: of so many of the next deliveries."""
        self._call("PUT", "webhooks", orders)

    def plant(self, profiles: list[dict[str, Any]], account: str = NORDIC) -> list[str]:
        """Profiles, below the API; their ids."""
        return list(self._call("POST", "profiles", {"account": account, "profiles": profiles})["ids"])

    def plant_segment(self, name: str, account: str = NORDIC, **details: object) -> str:
        """A segment with members, named by `profile_ids`, `emails` or the `first` so many; its id."""
        return str(self._call("POST", "segments", {"account": account, "name": name, **details})["id"])

    def change_segment(self, segment_id: str, **values: object) -> None:
        self._call("PATCH", f"segments/{segment_id}", values)

    def delete_segment(self, segment_id: str) -> None:
        self._call("DELETE", f"segments/{segment_id}")

    def change_members(self, segment_id: str, method: str = "PUT", **whom: object) -> None:
        """PUT replaces them, POST adds, DELETE takes away."""
        self._call(method, f"segments/{segment_id}/members", whom)

    def google(self, method: str, path: str, body: object = None) -> Any:
        """An order for its Google Wallet, such as `POST save`."""
        return self._call(method, f"google/{path}", body)

    def uninstall(self, account: str = NORDIC) -> None:
        self._call("POST", "uninstall", {"account": account})

    def expire_access(self, account: str = NORDIC) -> None:
        self._call("POST", "expire-access", {"account": account})

    def ledger(self, account: str = NORDIC) -> dict[str, Any]:
        """Counts of what was recorded, dropped and requested."""
        return dict(self._call("GET", "ledger", account=account))

    def events(self, account: str = NORDIC) -> list[dict[str, Any]]:
        """The events that came over the API, in the order in which they were recorded."""
        return self._recorded(account, 0)[self._born_with[account] :]

    def _recorded(self, account: str, after: int) -> list[dict[str, Any]]:
        page = self._call("GET", "events", account=account, after=after, limit=10_000)
        found: list[dict[str, Any]] = page["events"]
        return found if page["next"] is None else found + self._recorded(account, page["next"])

    def event_ids(self, account: str = NORDIC) -> list[str]:
        return [event["unique_id"] for event in self.events(account)]

    def told(self, account: str = NORDIC) -> list[dict[str, Any]]:
        """Of `events` those that a merchant's program told, without what the portal says of itself beside them."""
        return [event for event in self.events(account) if not str(event["unique_id"]).startswith("jc:")]

    def told_ids(self, account: str = NORDIC) -> list[str]:
        return [event["unique_id"] for event in self.told(account)]

    def plant_profiles(self, *profiles: dict[str, Any], account: str = NORDIC) -> list[str]:
        """Profiles that were there before us; their ids."""
        return list(self._call("POST", "profiles", {"account": account, "profiles": list(profiles)})["ids"])

    def profiles(self, account: str = NORDIC, **wanted: str) -> list[dict[str, Any]]:
        """Profiles as Klaviyo's API shows them to the merchant: `email=...`, `id=...`, or the latest."""
        params = {"page[size]": "100", "sort": "-created"}
        if wanted:
            params["filter"] = ",".join(f'equals({name},"{value}")' for name, value in wanted.items())
        return list(self.ask("GET", "/api/profiles", account, params=params)["data"])

    def properties(self, account: str = NORDIC, **wanted: str) -> dict[str, Any]:
        """The custom properties of the one profile that is meant."""
        found = self.profiles(account, **wanted)
        assert len(found) == 1, found
        return dict(found[0]["attributes"]["properties"])

    def ask(self, method: str, path: str, account: str = NORDIC, **more: Any) -> Any:
        """A call of the merchant's own, with a private key."""
        key = self._call("POST", "private-keys", {"account": account, "key": f"pk_tests_{account}"})["key"]
        headers = {"Authorization": f"Klaviyo-API-Key {key}", "revision": "2026-07-15"}
        response = requests.request(method, f"{self.url}{path}", headers=headers, timeout=30, **more)
        assert response.ok, response.text
        return response.json()

    def merge(self, source: str, target: str, account: str = NORDIC) -> None:
        """As a merchant merges two profiles in Klaviyo."""
        profiles = {"data": [{"type": "profile", "id": source}]}
        body = {"data": {"type": "profile-merge", "id": target, "relationships": {"profiles": profiles}}}
        self.ask("POST", "/api/profile-merge", account, json=body)

    def requests(self, path: str, account: str = NORDIC) -> int:
        """How many requests to this path came over the API since the reset."""
        counted = self.ledger(account)["requests"]
        return sum(entry["count"] for entry in counted if entry["path"] == path)

    def allow(self, authorize_url: str, account: str = NORDIC) -> str:
        """Press *Allow* on the consent screen; the code that the browser is sent back with."""
        page = requests.get(authorize_url, timeout=30)
        assert page.ok, page.text
        form = {name: values[0] for name, values in parse_qs(urlsplit(authorize_url).query).items()}
        assert all(re.search(rf'name="{name}"', page.text) for name in form), (
            "the screen does not carry on what was asked"
        )
        answer = requests.post(
            f"{self.url}/oauth/authorize",
            data={**form, "decision": "allow", "account": account},
            allow_redirects=False,
            timeout=30,
        )
        assert answer.status_code == 302, answer.text
        return parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
