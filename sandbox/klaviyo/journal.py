"""Accepted requests on disk until they are recorded: one append for each, before the 202 is sent.

Numbers only grow. What a restart finds with a number above the last recorded one is read again, in order.
"""

import json
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

_SEGMENT_BYTES = 64_000_000


class Frame(NamedTuple):
    number: int
    account: int
    integration: str
    kind: str
    received: float
    body: bytes


class Journal:
    def __init__(self, folder: Path, recorded: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = threading.Lock()
        self._number = max([recorded, *(frame.number for frame in self._frames())])
        self._first = self._number + 1
        self._file = self._open()

    def _open(self) -> BinaryIO:
        # Unbuffered: when append returns, the bytes are the system's, and a killed process loses none. A file of this
        # name can only hold a torn write: every whole frame has a lower number.
        return (self._folder / f"{self._first:016d}.journal").open("wb", buffering=0)

    def append(self, account: int, integration: str, kind: str, received: float, body: bytes) -> int:
        """Keep one request; returns its number. Callers hold their own lock where the order matters to them."""
        with self._lock:
            self._number += 1
            head = json.dumps([self._number, account, integration, kind, received, len(body)]).encode()
            self._write(head + b"\n" + body + b"\n")
            return self._number

    def _write(self, frame: bytes) -> None:
        rest = memoryview(frame)
        while rest:
            rest = rest[self._file.write(rest) :]

    def settle(self, recorded: int) -> None:
        """Everything up to a number is recorded: what is no longer needed goes."""
        with self._lock:
            if recorded == self._number and self._file.tell() > 0:
                self._file.truncate(0)
                self._file.seek(0)
            elif self._file.tell() > _SEGMENT_BYTES:
                self._file.close()
                self._first = self._number + 1
                self._file = self._open()
            starts = sorted(self._folder.glob("*.journal"))
            for path, following in pairwise(starts):
                if int(following.stem) - 1 <= recorded:
                    path.unlink()

    def unrecorded(self, recorded: int) -> Iterator[Frame]:
        return (frame for frame in self._frames() if frame.number > recorded)

    def _frames(self) -> Iterator[Frame]:
        for path in sorted(self._folder.glob("*.journal")):
            with path.open("rb") as file:
                while head := file.readline():
                    frame = _frame(head, file)
                    if frame is None:
                        # Torn by a kill in the middle of a write: it was never answered.
                        break
                    yield frame

    def forget(self) -> None:
        """Drop everything that waits."""
        with self._lock:
            self._file.close()
            for path in self._folder.glob("*.journal"):
                path.unlink()
            self._first = self._number + 1
            self._file = self._open()

    def close(self) -> None:
        with self._lock:
            self._file.close()


def _frame(head: bytes, file: BinaryIO) -> Frame | None:
    try:
        number, account, integration, kind, received, length = json.loads(head)
    except ValueError:
        return None
    body = file.read(length + 1)
    return Frame(number, account, integration, kind, received, body[:-1]) if len(body) == length + 1 else None
