"""A phone of a running sandbox, used over HTTP as a journey needs it."""

from __future__ import annotations

from typing import Any

import requests

from tests.waiting import eventually

IPHONE, ANDROID = "iphone", "android"


class Phone:
    """`url` is the sandbox's; a fresh one has the phones `iphone` and `android`."""

    def __init__(self, url: str, phone_id: str = IPHONE) -> None:
        self.url, self.id = url, phone_id

    @classmethod
    def one_more(cls, url: str, kind: str) -> Phone:
        answer = requests.post(f"{url}/_sandbox/phones", json={"kind": kind}, timeout=30)
        assert answer.ok, answer.text
        return cls(url, answer.json()["id"])

    def order(self, method: str, what: str = "", body: Any = None, expect: int | None = None) -> Any:
        address = f"{self.url}/_sandbox/phones/{self.id}{what}"
        answer = requests.request(method, address, json=body, timeout=30)
        assert answer.status_code == expect if expect else answer.ok, answer.text
        return answer.json()

    def open(self, url: str) -> dict[str, Any]:
        opened: dict[str, Any] = self.order("POST", "/open", {"url": url})
        return opened

    def settled(self) -> None:
        """Nothing is left to do."""
        assert eventually(lambda: self.order("GET")["waiting"] == 0)

    def add(self, url: str) -> None:
        """Open a card's link; the card is there, and registered where it can be."""
        opened = self.open(url)
        assert opened["result"] == "card", opened
        self.settled()

    def cards(self) -> list[dict[str, Any]]:
        return list(self.order("GET", "/cards")["cards"])

    def card(self, serial: str | None = None) -> dict[str, Any]:
        """The one with that serial number or Google's id, or the only one."""
        (only,) = (card for card in self.cards() if serial in (None, card["serial"]))
        return only

    def notices(self) -> list[str]:
        """The texts on the lock screen, newest first."""
        return [each["text"] for each in self.order("GET", "/notifications")["notifications"]]

    def log(self) -> list[str]:
        return [each["text"] for each in self.order("GET", "/log")["log"]]
