"""Klaviyo's rate limits: two fixed windows, one second and sixty, for each caller and operation.

A window starts on the clock's whole second or minute. A refused request is not counted.
"""

import math
import threading

from sandbox.klaviyo.operations import Tier

Key = tuple[str, str]


class Limits:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: dict[Key, tuple[int, int]] = {}
        self._minutes: dict[Key, tuple[int, int]] = {}

    def take(self, caller: str, buckets: list[tuple[str, Tier]], now: float) -> tuple[int, int]:
        """Count one request in every bucket, or in none.

        Returns (seconds to wait, requests left in the first bucket's second); the wait is 0 when it may pass.
        """
        second, minute = math.floor(now), math.floor(now / 60)
        with self._lock:
            wait = max((self._wait((caller, name), tier, now) for name, tier in buckets), default=0)
            if wait:
                return wait, 0
            for name, _ in buckets:
                key = (caller, name)
                self._seconds[key] = (second, _used(self._seconds.get(key), second) + 1)
                self._minutes[key] = (minute, _used(self._minutes.get(key), minute) + 1)
            first, tier = buckets[0]
            return 0, tier.value[0] - self._seconds[(caller, first)][1]

    def _wait(self, key: Key, tier: Tier, now: float) -> int:
        per_second, per_minute = tier.value
        minute = math.floor(now / 60)
        if _used(self._minutes.get(key), minute) >= per_minute:
            return max(1, math.ceil((minute + 1) * 60 - now))
        if _used(self._seconds.get(key), math.floor(now)) >= per_second:
            return 1
        return 0

    def forget(self) -> None:
        with self._lock:
            self._seconds.clear()
            self._minutes.clear()


def _used(counted: tuple[int, int] | None, window: int) -> int:
    return counted[1] if counted is not None and counted[0] == window else 0


def headers(tier: Tier, left: int) -> dict[str, str]:
    """The headers of an answer that passed; the numbers describe the one-second window, as real answers do."""
    per_second, per_minute = tier.value
    return {
        "ratelimit-limit": f"{per_second}, {per_second};w=1, {per_minute};w=60",
        "ratelimit-remaining": str(max(0, left)),
        "ratelimit-reset": "0",
    }
