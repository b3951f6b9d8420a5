"""A file's bytes, piece by piece, cut into rows with their line numbers; what is no row comes out with the reason.

Nothing is kept between two pieces but the end of the first that is no whole row yet: a file of any length takes the same memory.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass

# Klaviyo takes no text of more than 100 kB.
LONGEST_ROW = 200_000
# A cell in quotation marks may hold line breaks. One that goes on for longer has lost its closing mark.
MOST_LINES_IN_ROW = 50
UNFINISHED, BROKEN = 0, -1


@dataclass(frozen=True)
class Row:
    """`line` is where it begins, as an editor counts."""

    line: int
    content: bytes


@dataclass(frozen=True)
class Refused:
    line: int
    reason: str
    event_id: str | None = None


@dataclass(frozen=True)
class Cut:
    """Rows, the lines that they and everything before them fill, and what has to be read again with the next piece."""

    rows: list[Row | Refused]
    lines_read: int
    rest: bytes


def cut(content: bytes, lines_read: int, *, last: bool, delimiter: str | None = None) -> Cut:
    """`content` is the rest of the piece before, and this piece. With a `delimiter`, quoted cells may hold line breaks."""
    lines = content.split(b"\n")
    end = lines.pop()
    if last and end:
        lines.append(end)
        end = b""
    rows: list[Row | Refused] = []
    at = 0
    while at < len(lines):
        span = 1
        if delimiter and b'"' in lines[at]:
            span = _span(lines, at, delimiter, last=last)
            if span == UNFINISHED:
                break
        _add(rows, lines_read + 1, lines[at : at + abs(span)], broken=span == BROKEN)
        at += abs(span)
        lines_read += abs(span)
    # A line that is too long already need not be kept any longer to be refused.
    return Cut(rows, lines_read, b"\n".join([*lines[at:], end[: LONGEST_ROW + 1]]))


def _add(rows: list[Row | Refused], line: int, lines: Sequence[bytes], *, broken: bool) -> None:
    content = b"\n".join(lines).rstrip(b"\r")
    if broken:
        rows.append(
            Refused(line, "A quotation mark is not closed. Close it, or write it twice where it is meant as one.")
        )
    elif len(content) > LONGEST_ROW:
        rows.append(Refused(line, f"The row is longer than {LONGEST_ROW // 1000} kB. Shorten it."))
    elif b"\x00" in content:
        rows.append(Refused(line, "The row contains a NUL character. Remove it, or save the file again as UTF-8."))
    elif content.strip():
        rows.append(Row(line, content))


def _span(lines: Sequence[bytes], at: int, delimiter: str, *, last: bool) -> int:
    """How many lines this row fills: BROKEN where a quotation mark stays open, UNFINISHED where that cannot be told yet."""
    size = 0
    for span in range(1, MOST_LINES_IN_ROW + 1):
        if at + span > len(lines):
            return BROKEN if last else UNFINISHED
        size += len(lines[at + span - 1])
        if size > LONGEST_ROW:
            return 1 if span == 1 else BROKEN
        if _is_closed(lines[at : at + span], delimiter):
            return span
    return BROKEN


def _is_closed(lines: Sequence[bytes], delimiter: str) -> bool:
    # Latin-1 gives each byte a character; what matters here is the same in every encoding that is read.
    reader = csv.reader([line.decode("latin-1") + "\n" for line in lines], delimiter=delimiter, strict=True)
    try:
        next(reader)
    except csv.Error as error:
        # Other mistakes are for whoever reads the cells.
        return "unexpected end of data" not in str(error)
    return True
