"""The last requests of each account, kept in memory for the pages and the ledger.

Never holds an Authorization header, and nothing of an OAuth body but its grant type.
"""

import threading
from collections import Counter, deque
from dataclasses import dataclass

KEPT = 2000
_HEAD = 2048
NOBODY = "-"


@dataclass(frozen=True, slots=True)
class Recorded:
    number: int
    method: str
    path: str
    query: str
    status: int
    seconds: float
    started: float
    sent: bytes
    answered: bytes
    fault: str


class Recorder:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._kept: dict[str, deque[Recorded]] = {}
        self._counts: dict[str, Counter[tuple[str, str, int]]] = {}

    def record(
        self, account: str, route: str, method: str, path: str, query: str, status: int, seconds: float,
        started: float, sent: bytes, answered: bytes, fault: str = "",
    ) -> None:  # fmt: skip
        if path.startswith("/oauth/"):
            sent, answered = _grant_type(sent), b"(not recorded)"
        with self._lock:
            self._number += 1
            kept = self._kept.setdefault(account, deque(maxlen=KEPT))
            heads = (sent[:_HEAD], answered[:_HEAD])
            kept.append(Recorded(self._number, method, path, query, status, seconds, started, *heads, fault))
            self._counts.setdefault(account, Counter())[(method, route, status)] += 1

    def of(self, account: str) -> list[Recorded]:
        """Newest first."""
        with self._lock:
            return list(reversed(self._kept.get(account, ())))

    def counts(self, account: str) -> list[dict[str, object]]:
        with self._lock:
            counted = sorted(self._counts.get(account, Counter()).items())
        return [
            {"method": method, "path": route, "status": status, "count": count}
            for (method, route, status), count in counted
        ]

    def forget(self) -> None:
        with self._lock:
            self._kept.clear()
            self._counts.clear()


def _grant_type(body: bytes) -> bytes:
    kept = [part for part in body.split(b"&") if part.startswith((b"grant_type=", b"token_type_hint="))]
    return b"&".join(kept)
