"""Pacing below Klaviyo's limits, shared by all workers through Redis.

Klaviyo counts in fixed windows of 1 s and 60 s, so a bucket must keep `capacity + rate * window <= limit` for both;
then no placement of its windows can be exceeded. Without Redis each process keeps its own share.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import RedisError


@dataclass(frozen=True)
class Pace:
    """A token bucket for one endpoint. Limits are Klaviyo's documented `burst` (1 s) and `steady` (60 s)."""

    name: str
    burst: int
    steady: int
    capacity: int
    per_second: float

    def __post_init__(self) -> None:
        # A request is a whole one: what is left over of a token allows for none.
        in_a_second, in_a_minute = int(self.capacity + self.per_second), int(self.capacity + self.per_second * 60)
        if in_a_second > self.burst or in_a_minute > self.steady:
            raise ValueError(f"{self.name}: this pace can exceed Klaviyo's limit")


# Some room is left below each limit, because requests bunch up on their way.
EVENT = Pace("event", burst=350, steady=3500, capacity=60, per_second=56)
EVENT_BULK = Pace("event-bulk", burst=10, steady=150, capacity=4, per_second=2.38)
PROFILE = Pace("profile-import", burst=75, steady=750, capacity=20, per_second=11.8)
PROFILE_BULK = Pace("profile-bulk-import", burst=10, steady=150, capacity=4, per_second=2.38)
# Looking after a bulk import: Klaviyo counts the job and its errors by themselves, and both are asked for together.
PROFILE_BULK_STATUS = Pace("profile-bulk-import-job", burst=10, steady=150, capacity=4, per_second=2.38)
PROFILE_LIST = Pace("profiles", burst=75, steady=750, capacity=20, per_second=11.8)
SEGMENT = Pace("segment", burst=75, steady=750, capacity=20, per_second=11.8)
# Klaviyo counts a segment's members for us no more often than that.
SEGMENT_COUNT = Pace("segment-count", burst=1, steady=15, capacity=1, per_second=0.23)

_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local capacity, rate = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(kept[1] or capacity), tonumber(kept[2] or now)
if now > at then tokens = math.min(capacity, tokens + (now - at) * rate / 1000) end
local wait = 0
if tokens >= 1 then tokens = tokens - 1 else wait = math.ceil((1 - tokens) * 1000 / rate) end
redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', now)
redis.call('PEXPIRE', KEYS[1], 120000)
return wait
"""


class Pacer:
    """Asks for leave to call. `processes` is how many share the limit when Redis cannot be asked."""

    def __init__(self, redis: Redis, processes: int) -> None:
        self._take = redis.register_script(_TAKE)
        self._processes = processes
        self._own: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def wait(self, pace: Pace, whose: int) -> float:
        """Seconds to wait before asking again; 0 means go, and is taken from the budget. `whose` tells accounts apart."""
        key = f"portal:pace:{whose}:{pace.name}"
        try:
            return float(self._take(keys=[key], args=[pace.capacity, pace.per_second])) / 1000
        except (RedisError, OSError):
            return self._wait_alone(key, pace)

    def _wait_alone(self, key: str, pace: Pace) -> float:
        rate = pace.per_second / self._processes
        with self._lock:
            now = time.monotonic()
            # Starts with a single token: what the shared bucket has given out lately is not known here.
            tokens, at = self._own.get(key, (1.0, now))
            tokens = min(max(1.0, pace.capacity / self._processes), tokens + (now - at) * rate)
            granted = tokens >= 1
            self._own[key] = (tokens - 1 if granted else tokens, now)
        return 0.0 if granted else (1 - tokens) / rate
