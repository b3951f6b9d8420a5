"""How the walk over a segment is divided, so that the wait for one page is not the wait for all: spans of joining times, read beside
each other and split where somebody is idle.

The last span has no end and is read last, so that whoever joins, or joins anew, during the walk is found there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Protocol

from portal.db import new_id

# Fewer members than that are read sooner than they are divided.
DIVIDE_FROM = 2_000
SPANS = 24
# A part is split where at least so many pages seem to be left of it.
SPLIT_FROM = 4
INSTANT = timedelta(microseconds=1)
LOOK_EVERY_SECONDS = 0.5


@dataclass
class Part:
    """A span of joining times and how far it was read; see `SegmentPart`."""

    id: int
    since: datetime | None = None
    until: datetime | None = None
    stop_at: datetime | None = None
    position: datetime | None = None
    cursor: str | None = None
    pages: int = 0
    done: bool = False
    # From where to where this process has read it, and in how many pages: for the estimate.
    first: datetime | None = None
    pages_here: int = 0

    @property
    def end(self) -> datetime | None:
        return self.stop_at or self.until

    def pages_left(self) -> float:
        """An estimate by how dense it was so far; 0 where nothing can be said."""
        if self.first is None or self.position is None or self.end is None or self.position <= self.first:
            return 0.0
        return self.pages_here * max(0.0, (self.end - self.position) / (self.position - self.first))


class Joined(Protocol):
    @property
    def joined_at(self) -> datetime | None: ...


def whole() -> list[Part]:
    """One part, from the first member to the last."""
    return [Part(new_id())]


def divide(earliest: datetime, latest: datetime, former: Sequence[Part]) -> list[Part]:
    """Spans from the first joining to the last, and one behind it: as the run before found them, or equal ones.

    The first has no beginning: a time is told more coarsely than it is kept, and the first member may be a little earlier.
    """
    end = latest + INSTANT
    bounds = [at for at in _former_bounds(former) if earliest < at < end] or _equal_bounds(earliest, end)
    edges = [earliest, *bounds, end]
    spans = [Part(new_id(), since if since > earliest else None, until) for since, until in pairwise(edges)]
    return [*spans, Part(new_id(), since=end)]


def _equal_bounds(earliest: datetime, end: datetime) -> list[datetime]:
    step = (end - earliest) / SPANS
    return [earliest + step * number for number in range(1, SPANS)] if step >= INSTANT else []


def _former_bounds(former: Sequence[Part]) -> list[datetime]:
    """Where the parts before began, of small neighbours only the first."""
    known = sorted((part for part in former if part.since), key=lambda part: part.since or datetime.min)
    if len(known) < SPANS // 2:
        return []
    enough = sum(part.pages for part in known) / SPANS
    bounds, pages = [], enough
    for part in known:
        if part.since and pages >= enough:
            bounds.append(part.since)
            pages = 0
        pages += part.pages
    return bounds


class Board:
    """The parts of one run as the lanes of one process share them. Thread-safe."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._parts = list(parts)
        self._born = {part.id: replace(part) for part in self._parts}
        self._held: set[int] = set()
        self._stopped = False
        self._changed = threading.Condition()

    def take(self) -> Part | None:
        """A part that nobody reads, or half of one that somebody does; None once there is nothing to do any more."""
        with self._changed:
            while not self._stopped:
                part = self._free() or self._split()
                if part is not None:
                    self._held.add(part.id)
                    return part
                if all(part.done for part in self._parts):
                    return None
                self._changed.wait(LOOK_EVERY_SECONDS)
            return None

    def _free(self) -> Part | None:
        open_parts = [part for part in self._parts if not part.done]
        spans = [part for part in open_parts if part.until is not None]
        return next((part for part in spans or open_parts if part.id not in self._held), None)

    def _split(self) -> Part | None:
        largest = max(
            (part for part in self._parts if not part.done and part.id in self._held),
            key=Part.pages_left,
            default=None,
        )
        if largest is None or largest.pages_left() < SPLIT_FROM or largest.position is None or largest.end is None:
            return None
        middle = largest.position + (largest.end - largest.position) / 2
        half = Part(new_id(), since=middle, until=largest.until, stop_at=largest.stop_at)
        largest.stop_at = middle
        self._parts.append(half)
        self._born[half.id] = replace(half)
        return half

    def advance(self, part: Part, members: Sequence[Joined], cursor: str | None) -> Part:
        """A page was read; how the part stands now."""
        with self._changed:
            times = [member.joined_at for member in members if member.joined_at]
            if times:
                part.position = times[-1]
                part.first = part.first or times[0]
            part.cursor, part.pages, part.pages_here = cursor, part.pages + 1, part.pages_here + 1
            past = part.stop_at is not None and part.position is not None and part.position >= part.stop_at
            part.done = cursor is None or past
            if part.done:
                self._held.discard(part.id)
                self._changed.notify_all()
            return replace(part)

    def forget_cursor(self, part: Part) -> None:
        """Go on by time: Klaviyo no longer takes the cursor."""
        with self._changed:
            part.cursor, part.since = None, part.position or part.since

    def give_back(self, part: Part) -> None:
        with self._changed:
            self._held.discard(part.id)
            self._changed.notify_all()

    def stop(self) -> None:
        """Whoever asks for a part gets none any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def stop_if_not_read(self) -> None:
        """A lane has ended; unless everything is read, it met something that the others would meet too."""
        with self._changed:
            if not all(part.done for part in self._parts):
                self._stopped = True
            self._changed.notify_all()

    @property
    def stopped(self) -> bool:
        return self._stopped

    def is_read(self) -> bool:
        with self._changed:
            return all(part.done for part in self._parts)

    def outline(self) -> dict[int, Part]:
        """All parts as they were made, and where they stop now: what a split changes is written together, or a span would be lost."""
        with self._changed:
            return {part.id: replace(self._born[part.id], stop_at=part.stop_at) for part in self._parts}
