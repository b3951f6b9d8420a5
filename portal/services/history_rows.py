"""One row of a file: an event that can be recorded, or the reason why not, in words with a remedy."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from portal.errors import PortalError
from portal.services.effects import check_alone
from portal.services.hearing import hear
from portal.services.history_columns import OCCURRED_AT, Columns, document_of
from portal.services.history_lines import Refused, Row
from portal.services.strict_json import parse

# Ids of rows that bring none begin like this, and go on with a digest of what the row says.
DERIVED_ID = "history:"
ENCODINGS = {"utf-8": "UTF-8", "cp1252": "Windows-1252"}
_canonical = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


@dataclass(frozen=True)
class Ready:
    """An event that has been checked; `document` is JSON, as the API would take it."""

    line: int
    event_id: str
    occurred_at: datetime
    document: str


@dataclass(frozen=True)
class Reader:
    """How the rows of one file are read; without `columns` each is JSON."""

    columns: Columns | None
    encoding: str
    zone: tzinfo
    now: datetime

    def read(self, row: Row) -> Ready | Refused:
        event_id = None
        try:
            document = self._document(row.content)
            event_id = _id_of(document)
            return self._check(row.line, document)
        except UnicodeDecodeError as error:
            name = ENCODINGS[self.encoding]
            return Refused(
                row.line,
                f"The row is not {name} (its byte {error.start + 1}). Save the file as CSV UTF-8, and import it again.",
            )
        except PortalError as error:
            return Refused(row.line, error.message[:500], event_id)

    def _document(self, content: bytes) -> Any:
        text = content.decode(self.encoding)
        if self.columns:
            return document_of(self.columns, text, self.zone)
        return parse(text.encode(), "The row")

    def _check(self, line: int, document: Any) -> Ready | Refused:
        if isinstance(document, dict) and document.get("id") in (None, ""):
            document = {**document, "id": _derive_id(document)}
        told = hear(document, self.now)
        check_alone(told.type, told.properties)
        if not document.get(OCCURRED_AT):
            return Refused(line, "occurred_at is missing. History needs the time when it happened.", told.event_id)
        if told.occurred_at > self.now:
            return Refused(line, "occurred_at has not come yet. History is about what has happened.", told.event_id)
        return Ready(line, told.event_id, told.occurred_at, _canonical(document))


def _derive_id(document: dict[str, Any]) -> str:
    """The same row gets the same id however often it is imported."""
    content = _canonical({name: value for name, value in document.items() if name != "id"})
    return DERIVED_ID + hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def _id_of(document: Any) -> str | None:
    """For whoever looks for the row again; only what can be stored."""
    found = document.get("id") if isinstance(document, dict) else None
    return found[:200] if isinstance(found, str) and found.isprintable() else None
