"""How much memory the portal's processes hold while something goes on."""

from __future__ import annotations

import threading

from bench.stack import Stack

SAMPLE_SECONDS = 0.5
OURS = ("web", "worker", "ticker", "importer")


class Watching:
    """The most that each process has held since it was last asked, in MB."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._most = stack, dict[str, float]()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watching:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def most(self) -> dict[str, float]:
        most, self._most = self._most, {}
        return most

    def told(self) -> str:
        return in_words(self.most())

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            for name, megabytes in self._stack.memory().items():
                if name.startswith(OURS):
                    self._most[name] = max(self._most.get(name, 0.0), megabytes)


def in_words(megabytes: dict[str, float]) -> str:
    return ", ".join(f"{name} {each:.0f} MB" for name, each in megabytes.items())
