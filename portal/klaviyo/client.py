"""Klaviyo's API for one account, one bounded exchange at a time; no retry of its own."""

from __future__ import annotations

from typing import Any

from portal.exchange import USER_AGENT, Answer, exchange
from portal.klaviyo.errors import NoAnswerError, verdict

# https://developers.klaviyo.com/en/docs/api_versioning_and_deprecation_policy: each revision lives two years.
REVISION = "2026-07-15"


class Client:
    """Klaviyo's API for one account. `token` is an OAuth access token."""

    def __init__(self, api_url: str, token: str) -> None:
        self._api_url = api_url
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.api+json",
            "revision": REVISION,
            "User-Agent": USER_AGENT,
        }

    def send(self, method: str, path: str, *, body: str | None = None, params: dict[str, str] | None = None) -> Answer:
        """The exchange, whatever came of it; never raises for what the network or Klaviyo did."""
        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/vnd.api+json"}
        data = None if body is None else body.encode()
        return exchange(method, self._api_url, path, data=data, params=params, headers=headers)

    def read(self, path: str, params: dict[str, str] | None = None) -> dict[str, Any]:
        """GET as JSON. Raises a `KlaviyoError`."""
        answer = self.send("GET", path, params=params)
        if error := verdict(answer):
            raise error
        document = answer.json()
        if not isinstance(document, dict):
            raise NoAnswerError(f"HTTP {answer.status} without a JSON object")
        return document
