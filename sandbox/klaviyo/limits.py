"""Klaviyo's rate limits: fixed windows of a second, a minute and sometimes a day, for each caller and operation.

A window starts on the clock's whole second, minute or day. A refused request is not counted.
"""

import math
import threading

from sandbox.klaviyo.operations import Tier

# Caller, operation or shared bucket, length of the window.
Key = tuple[str, str, int]
_LENGTHS = (1, 60, 86400)


class Limits:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted: dict[Key, tuple[int, int]] = {}

    def take(self, caller: str, buckets: list[tuple[str, Tier]], now: float) -> tuple[int, int]:
        """Count one request in every bucket, or in none.

        Returns (seconds to wait, requests left in the first bucket's second); the wait is 0 when it may pass.
        """
        with self._lock:
            wait = max((self._wait(caller, name, tier, now) for name, tier in buckets), default=0)
            if wait:
                return wait, 0
            for name, tier in buckets:
                for length, _ in _windows(tier):
                    key = (caller, name, length)
                    self._counted[key] = (_window(now, length), self._used(key, now) + 1)
            first, tier = buckets[0]
            return 0, tier.per_second - self._used((caller, first, 1), now)

    def _wait(self, caller: str, name: str, tier: Tier, now: float) -> int:
        for length, most in reversed(_windows(tier)):
            if self._used((caller, name, length), now) >= most:
                return max(1, math.ceil((_window(now, length) + 1) * length - now))
        return 0

    def _used(self, key: Key, now: float) -> int:
        counted = self._counted.get(key)
        return counted[1] if counted is not None and counted[0] == _window(now, key[2]) else 0

    def forget(self) -> None:
        with self._lock:
            self._counted.clear()


def _windows(tier: Tier) -> list[tuple[int, int]]:
    """(length in seconds, requests) of each of a tier's windows."""
    return list(zip(_LENGTHS, tier.value, strict=False))


def _window(now: float, length: int) -> int:
    return math.floor(now / length)


def headers(tier: Tier, left: int) -> dict[str, str]:
    """The headers of an answer that passed; the numbers describe the one-second window, as real answers do."""
    per_second, per_minute = tier.value[:2]
    return {
        "ratelimit-limit": f"{per_second}, {per_second};w=1, {per_minute};w=60",
        "ratelimit-remaining": str(max(0, left)),
        "ratelimit-reset": "0",
    }
