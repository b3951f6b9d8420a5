"""A phone of a running sandbox, used over HTTP."""

from __future__ import annotations

from typing import Any

from tests.sandbox.conftest import Running
from tests.waiting import eventually


class Phone:
    def __init__(self, running: Running, phone_id: str = "iphone") -> None:
        self.running, self.id = running, phone_id

    def order(self, method: str, what: str = "", body: Any = None, expect: int | None = None) -> Any:
        return self.running.control(method, f"/phones/{self.id}{what}", body, expect)

    def open(self, url: str) -> dict[str, Any]:
        opened: dict[str, Any] = self.order("POST", "/open", {"url": url})
        return opened

    def settled(self) -> None:
        """Nothing is left to do."""
        assert eventually(lambda: self.order("GET")["waiting"] == 0)

    def add(self, url: str) -> None:
        opened = self.open(url)
        assert opened["result"] == "card", opened
        self.settled()

    def card(self, serial: str = "S1") -> dict[str, Any]:
        found = [card for card in self.order("GET", "/cards")["cards"] if card["serial"] == serial]
        assert len(found) == 1
        only: dict[str, Any] = found[0]
        return only

    def notices(self) -> list[str]:
        return [each["text"] for each in self.order("GET", "/notifications")["notifications"]]

    def log(self) -> list[str]:
        return [each["text"] for each in self.order("GET", "/log")["log"]]
