"""Mischief that can be ordered for the next webhook deliveries of flows, counted in memory.

`lose_answers`: the receiver got it and answered, and the flow never learns. `duplicate`: delivered twice at once.
"""

import threading

KINDS = ("lose_answers", "duplicate")


class WebhookOrders:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = dict.fromkeys(KINDS, 0)

    def order(self, wanted: dict[str, int]) -> dict[str, int]:
        with self._lock:
            self._left.update(wanted)
            return dict(self._left)

    def take(self, kind: str) -> bool:
        with self._lock:
            if not self._left[kind]:
                return False
            self._left[kind] -= 1
            return True

    def forget(self) -> None:
        self.order(dict.fromkeys(KINDS, 0))
