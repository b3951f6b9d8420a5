"""Faults that can be ordered over HTTP: what to match, what goes wrong, and how many times.

The first fault in the list that matches is used up first. Kinds in `_BEFORE` keep the request from being processed.
"""

import itertools
import threading
from dataclasses import dataclass, field
from typing import Any

KINDS = (
    "status", "hang_after_accept", "hang_before", "garbage", "html_403", "slow", "drip", "reset", "redirect",
    "expired_cursor", "repeat_page",
)  # fmt: skip
# The paths of the other stand-ins, and what can go wrong there; a fault for any path is one of Klaviyo's.
_BESIDE = {
    "/3/": ("status", "hang_after_accept", "hang_before", "slow", "reset", "goaway"),
    "/google/callbacks": ("duplicate", "forge", "expire", "lose"),
    "/google/token": KINDS,
    "/gp/": KINDS,
    "/walletobjects/": KINDS,
}
_LET_THROUGH = {"hang_after_accept", "slow", "drip", "repeat_page"}
_LONGEST_SECONDS = 300
_numbers = itertools.count(1)


@dataclass
class Fault:
    kind: str
    path: str = "/"
    method: str | None = None
    status: int = 500
    retry_after: int | None = None
    seconds: float = 3.0
    times: int | None = 1
    account: str | None = None
    accept: bool = False
    # What Apple and Google say beside the status; Apple's timestamp in milliseconds, with 410.
    reason: str | None = None
    timestamp: int | None = None
    used: int = 0
    number: int = field(default_factory=lambda: next(_numbers))

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.number, "fault": self.kind, "match": {"path": self.path, "method": self.method},
            "status": self.status, "retry_after": self.retry_after, "seconds": self.seconds, "times": self.times,
            "account": self.account, "accept": self.accept, "reason": self.reason, "timestamp": self.timestamp, "used": self.used,
        }  # fmt: skip

    @property
    def lets_through(self) -> bool:
        """Whether the request is processed before (or although) the answer goes wrong."""
        return self.accept or self.kind in _LET_THROUGH


class Faults:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ordered: list[Fault] = []

    def order(self, fault: Fault) -> None:
        with self._lock:
            self._ordered.append(fault)

    def listed(self) -> list[Fault]:
        with self._lock:
            return list(self._ordered)

    def clear(self, number: int | None = None) -> int:
        with self._lock:
            kept = [each for each in self._ordered if number is not None and each.number != number]
            gone = len(self._ordered) - len(kept)
            self._ordered = kept
            return gone

    def take(self, method: str, path: str, account: str | None, has_cursor: bool = False) -> Fault | None:
        """The fault for this request, counted as used; spent faults leave the list."""
        if not self._ordered:
            return None
        with self._lock:
            for fault in self._ordered:
                if not _matches(fault, method, path, account) or (fault.kind == "expired_cursor" and not has_cursor):
                    continue
                fault.used += 1
                if fault.times is not None and fault.used >= fault.times:
                    self._ordered.remove(fault)
                return fault
        return None


def _matches(fault: Fault, method: str, path: str, account: str | None) -> bool:
    if fault.method and fault.method.upper() != method:
        return False
    if _place(fault.path) != _place(path):
        return False
    return path.startswith(fault.path) and (fault.account is None or fault.account == account)


_MEMBERS = {
    "match", "fault", "status", "retry_after", "seconds", "times", "account", "accept", "reason", "timestamp",
}  # fmt: skip


def from_request(wanted: Any) -> Fault | str:
    """A fault from an order's JSON, or what is wrong with the order."""
    if not isinstance(wanted, dict):
        return "the body must be an object"
    match = wanted.get("match") or {}
    if not isinstance(match, dict):
        return "match must be an object with path and method"
    unknown = set(wanted) - _MEMBERS
    if unknown or set(match) - {"path", "method"}:
        return f"unknown members: {', '.join(sorted(unknown | (set(match) - {'path', 'method'})))}"
    fault = Fault(
        kind=wanted.get("fault", "status"), path=match.get("path") or "/", method=match.get("method"),
        status=wanted.get("status", 500), retry_after=wanted.get("retry_after"), seconds=wanted.get("seconds", 3.0),
        times=wanted.get("times", 1), account=wanted.get("account"), accept=wanted.get("accept", False),
        reason=wanted.get("reason"), timestamp=wanted.get("timestamp"),
    )  # fmt: skip
    return _complaint(fault) or fault


def _complaint(fault: Fault) -> str | None:
    checks = (
        (isinstance(fault.path, str), "match.path must be a text"),
        (
            fault.kind in _kinds(fault.path),
            f"under {fault.path} fault must be one of {', '.join(_kinds(fault.path))}, not {fault.kind}",
        ),
        (fault.method is None or isinstance(fault.method, str), "match.method must be a text"),
        (_whole(fault.status, 200, 599), "status must be a number from 200 to 599"),
        (fault.retry_after is None or _whole(fault.retry_after, 0, 10**6), "retry_after must be whole seconds"),
        (_seconds(fault.seconds), f"seconds must be a number from 0 to {_LONGEST_SECONDS}"),
        (fault.times is None or _whole(fault.times, 1, 10**9), "times must be a whole number, or null for always"),
        (fault.account is None or isinstance(fault.account, str), "account must be an account's id"),
        (isinstance(fault.accept, bool), "accept must be true or false"),
        (fault.reason is None or isinstance(fault.reason, str), "reason must be a text"),
        (fault.timestamp is None or _whole(fault.timestamp, 0, 10**14), "timestamp must be whole milliseconds"),
    )
    return next((message for good, message in checks if not good), None)


def _place(path: str) -> str:
    """Which of the other stand-ins a path belongs to; empty for Klaviyo's."""
    return next((place for place in _BESIDE if path.startswith(place)), "")


def _kinds(path: object) -> tuple[str, ...]:
    return _BESIDE.get(_place(str(path)), KINDS)


def _whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _LONGEST_SECONDS
