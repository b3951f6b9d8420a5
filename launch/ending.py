"""Whether we are to stop, set from signal handlers and looked at by everything that waits.

No `threading.Event`: its lock is not ours twice, so a second signal in the midst of `set` or `wait` would hang for good.
"""

from __future__ import annotations

import time

SLICE_SECONDS = 0.05


class Ending:
    def __init__(self) -> None:
        self._asked = False

    def ask(self) -> None:
        self._asked = True

    @property
    def asked(self) -> bool:
        return self._asked

    def asked_within(self, seconds: float) -> bool:
        """Wait for at most that long."""
        deadline = time.monotonic() + seconds
        while not self._asked and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, SLICE_SECONDS))
        return self._asked
