"""How many requests a second the public addresses take from one place, counted by each process for itself."""

from __future__ import annotations

from functools import cache

from flask import request
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from portal.errors import TooManyError

_limiter = FixedWindowRateLimiter(MemoryStorage())


def limit_by_address(what: str, *, per_second: int) -> None:
    """Raises `TooManyError`. Many phones share one address with their network, so the limit is no tight one."""
    if not _limiter.hit(_item(per_second), what, request.remote_addr or ""):
        raise TooManyError("Too many requests from your network. Wait a moment, then try again.", retry_after=1)


@cache
def _item(per_second: int) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(per_second)


def forget() -> None:
    """As at the start of the process."""
    _limiter.storage.reset()
