"""Waiting for what other processes do: look often, give up at a deadline, and say what was seen last."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], seconds: float = 30.0, *, every: float = 0.05) -> T:
    """The first true thing that `look` returns. Fails with the last one when time is up."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {seconds:g} s; last seen: {seen!r}")
        time.sleep(every)


def stays(look: Callable[[], object], seconds: float) -> None:
    """Fails as soon as `look` returns something false within the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        seen = look()
        assert seen, f"did not stay; seen: {seen!r}"
        time.sleep(0.05)
