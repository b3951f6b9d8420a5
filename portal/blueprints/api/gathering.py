"""Single events that arrive at the same moment are written in one transaction: a commit costs as much for twenty as for one.

One request writes; those that arrive meanwhile wait, and the next of them writes for all of its merchant's. Nobody waits for
company: a request that is alone is written at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

from portal.services.events import Outcome
from portal.services.recording import Told

Record = Callable[[int, Sequence[Told]], list[Outcome]]


@dataclass(eq=False)
class _Waiting:
    merchant_id: int
    told: Told
    outcome: Outcome | None = None
    alone: bool = False


class Gathering:
    """The events that wait for a transaction in this process."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._turn = Lock()
        self._guard = Lock()
        self._waiting: list[_Waiting] = []

    def record(self, merchant_id: int, told: Told) -> Outcome:
        """Recorded when this returns. Raises whatever recording this event by itself raises."""
        mine = _Waiting(merchant_id, told)
        with self._guard:
            self._waiting.append(mine)
        with self._turn:
            if mine.outcome is None and not mine.alone:
                self._write_with_others(mine)
        if mine.outcome is None:
            (mine.outcome,) = self._record(merchant_id, [told])
        return mine.outcome

    def _write_with_others(self, mine: _Waiting) -> None:
        group = self._take(mine)
        try:
            outcomes = self._record(mine.merchant_id, [each.told for each in group])
        except Exception:
            if len(group) == 1:
                raise
            # One of them may be at fault: each tries by itself, and has its own answer.
            for each in group:
                each.alone = True
            return
        for each, outcome in zip(group, outcomes, strict=True):
            each.outcome = outcome

    def _take(self, mine: _Waiting) -> list[_Waiting]:
        """Mine, and what else waits of the same merchant, in the order of arrival."""
        with self._guard:
            group = [each for each in self._waiting if each.merchant_id == mine.merchant_id]
            self._waiting = [each for each in self._waiting if each.merchant_id != mine.merchant_id]
        return group if mine in group else [mine, *group]
