"""The rows of a file that were refused, as a file for a spreadsheet: line, id and reason, page by page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from portal.services import imports

# A spreadsheet takes a cell that begins like this for a formula, and runs it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# Excel takes a file for UTF-8 only where it begins with this.
MARK = "\ufeff"


def as_csv(import_id: int) -> Iterator[str]:
    yield MARK + _rows([("line", "id", "reason")])
    after = 0
    while page := imports.problems(import_id, after):
        yield _rows([(str(each.line), _harmless(each.event_id or ""), _harmless(each.reason)) for each in page])
        after = page[-1].line


def _rows(rows: list[tuple[str, ...]]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue()


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
