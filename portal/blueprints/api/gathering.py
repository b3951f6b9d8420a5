"""Single events, or pushes, that arrive at the same moment are written in one transaction: it costs almost as much for one as for twenty.

One request writes; those that arrive meanwhile wait, and the next of them writes for all of its merchant's. A request that is
alone is written at once. Where requests keep coming together, the writer has a moment's patience for those just answered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Condition, Event
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

PATIENCE_SECONDS = 0.003


@dataclass(eq=False)
class _Waiting(Generic[Asked, Answer]):
    """`taken`: somebody writes it, or has tried to. Woken without being taken it is to write for all that wait."""

    merchant_id: int
    asked: Asked
    answer: Answer | None = None
    taken: bool = False
    woken: Event = field(default_factory=Event)


class Gathering(Generic[Asked, Answer]):
    """What waits for a transaction in this process; `record` writes those of one merchant and has an answer for each."""

    def __init__(self, record: Callable[[int, Sequence[Asked]], list[Answer]]) -> None:
        self._record = record
        self._arrived = Condition()
        self._waiting: list[_Waiting[Asked, Answer]] = []
        self._writing = False
        # How many were here at once a moment ago.
        self._company = 1

    def record(self, merchant_id: int, asked: Asked) -> Answer:
        """Recorded when this returns. Raises whatever recording this one by itself raises."""
        mine: _Waiting[Asked, Answer] = _Waiting(merchant_id, asked)
        if self._must_wait(mine):
            mine.woken.wait()
        if not mine.taken:
            self._write_with_others(mine)
        if mine.answer is None:
            (mine.answer,) = self._record(merchant_id, [asked])
        return mine.answer

    def _must_wait(self, mine: _Waiting[Asked, Answer]) -> bool:
        """Joins those that wait; False for who finds nobody writing, and is to write."""
        with self._arrived:
            self._waiting.append(mine)
            if len(self._waiting) >= self._company:
                self._arrived.notify()
            busy, self._writing = self._writing, True
            return busy

    def _write_with_others(self, mine: _Waiting[Asked, Answer]) -> None:
        group = self._take(mine)
        try:
            answers = self._record(mine.merchant_id, [each.asked for each in group])
            for each, answer in zip(group, answers, strict=True):
                each.answer = answer
        except Exception:  # one of them may be at fault: each tries by itself, and raises or has its own answer
            if len(group) == 1:
                raise
        finally:
            self._answer(group)

    def _take(self, mine: _Waiting[Asked, Answer]) -> list[_Waiting[Asked, Answer]]:
        """Mine, and what else waits of the same merchant, in the order of arrival."""
        with self._arrived:
            if self._company > 1:
                self._arrived.wait_for(lambda: len(self._waiting) >= self._company, PATIENCE_SECONDS)
            group = [each for each in self._waiting if each.merchant_id == mine.merchant_id]
            self._waiting = [each for each in self._waiting if each.merchant_id != mine.merchant_id]
        for each in group:
            each.taken = True
        return group

    def _answer(self, group: list[_Waiting[Asked, Answer]]) -> None:
        """The group learns what became of it, and the first of those that came meanwhile is the next to write."""
        with self._arrived:
            self._company = len(group) + len(self._waiting)
            self._writing = bool(self._waiting)
            following = self._waiting[:1]
        for each in (*group, *following):
            each.woken.set()
