"""Keeps the processes alive: one that ends is said with its last lines and started again.

The outbox makes that safe. One that ends again and again has something to tell, and stops everything.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterable

from launch.problems import StartError
from launch.processes import Child
from launch.words import obituary, say

DEATHS = 3
WITHIN_SECONDS = 60.0


class Watch:
    def __init__(self, children: Iterable[Child]) -> None:
        self._children = list(children)
        self._deaths: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=DEATHS))

    def look(self) -> None:
        """Start again what has ended. Raises `StartError` for the third end within a minute."""
        for child in self._children:
            if child.exit_code is None:
                continue
            deaths = self._deaths[child.name]
            deaths.append(time.monotonic())
            if len(deaths) == DEATHS and deaths[-1] - deaths[0] < WITHIN_SECONDS:
                raise StartError(obituary(child))
            say(obituary(child) + "\nIt is started again.")
            child.sweep()
            child.start()
