"""The walk over a segment's members: several lanes ask for pages beside each other, one thread writes down what they bring.

What is written down is how far the walk has come, so that it goes on there after a kill, a rest or the end of a turn.
"""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from portal import config
from portal.db import db, in_own_session, transaction, utcnow
from portal.jobs.segment_asking import Asker, TurnOverError
from portal.klaviyo import NoAnswerError, RefusedError
from portal.klaviyo.segments import Page
from portal.services import segment_runs
from portal.services.segment_parts import Board, Part
from portal.services.segment_runs import Progress, Run
from portal.services.segment_schedule import Claim

# At 0.3 s a page, four are enough for all that Klaviyo's limit allows; more where it answers slowly.
LANES = 8
SAVE_EVERY_SECONDS = 1.0
# Pages that may wait to be written down; lanes rest until there is room.
MOST_WAITING = 60
MOST_IN_ONE_SAVE = 30
# The same page again, or a cursor that is not taken: so often in one turn of a part.
MOST_ODDITIES = 3
ODD_CURSOR = "Klaviyo no longer knew a place in its list. We went on by the time of joining."


class Walk:
    """One turn of a run's walk."""

    def __init__(self, claim: Claim, run: Run, asker: Asker) -> None:
        self._claim, self._run, self._asker = claim, run, asker
        self._board = Board(run.parts)
        self._brought: queue.Queue[tuple[Part, Page]] = queue.Queue()
        self._noted = asker.requests
        self._reason: str | None = None
        self.pages = 0

    def go(self, until: float, stopping: threading.Event) -> bool:
        """Whether everything is read now. Raises what `Asker` raises, or `LostLeaseError`; what was read by then is kept."""
        lanes = LANES if len(self._run.parts) > 1 else 1
        with ThreadPoolExecutor(lanes) as pool:
            futures = [pool.submit(in_own_session(self._lane)) for _ in range(lanes)]
            try:
                while not all(future.done() for future in futures):
                    if stopping.is_set() or time.monotonic() > until:
                        self._board.stop()
                    self._save(SAVE_EVERY_SECONDS)
            finally:
                self._board.stop()
        while not self._brought.empty():
            self._save(0)
        self._save(0)
        _raise_worst(futures)
        return self._board.is_read()

    def _lane(self) -> None:
        try:
            while part := self._board.take():
                self._read(part)
        finally:
            self._board.stop_if_not_read()
            db.session.remove()

    def _read(self, part: Part) -> None:
        oddities = 0
        try:
            while not part.done and not self._board.stopped:
                try:
                    page = self._asker.members(since=part.since, until=part.until, cursor=part.cursor)
                except RefusedError as error:
                    oddities += 1
                    if error.status != 400 or not part.cursor or oddities > MOST_ODDITIES:
                        raise
                    self._reason = ODD_CURSOR
                    self._board.forget_cursor(part)
                    continue
                if page.cursor is not None and page.cursor == (part.cursor or ""):
                    oddities += 1
                    if oddities > MOST_ODDITIES:
                        raise NoAnswerError("the same page of the list came again and again")
                self._brought.put((self._board.advance(part, page.members, page.cursor), page))
                while self._brought.qsize() > MOST_WAITING and not self._board.stopped:
                    time.sleep(0.05)
        finally:
            self._board.give_back(part)

    def _save(self, wait_seconds: float) -> None:
        """Write down what has been brought by the end of the wait."""
        progress = Progress([], {}, reason=self._reason)
        deadline = time.monotonic() + wait_seconds
        while progress.pages < MOST_IN_ONE_SAVE:
            try:
                part, page = self._brought.get(timeout=max(0.001, deadline - time.monotonic()))
            except queue.Empty:
                break
            progress.parts[part.id] = part
            progress.profiles += page.members
            progress.pages += 1
        requests = self._asker.requests
        progress.requests, self._noted = requests - self._noted, requests
        with transaction():
            segment_runs.save(
                self._claim, self._run, progress, self._board.outline(), config.current().lease_seconds, utcnow()
            )
        db.session.remove()
        self.pages += progress.pages


def _raise_worst(futures: list[Future[None]]) -> None:
    """What a lane met; the end of the turn only where nothing else was."""
    errors = [error for future in futures if (error := future.exception())]
    for error in sorted(errors, key=lambda error: isinstance(error, TurnOverError)):
        raise error
