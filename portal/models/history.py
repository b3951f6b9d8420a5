"""Importing what happened before: the import, its file while it is read, the rows that wait to be recorded, and those refused."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import BigId, Model, UtcDateTime

IMPORT_PREFIX = "imp_"


class ImportKind(StrEnum):
    FILE = "file"
    # Events that were recorded here while Klaviyo was not connected, or Events was off.
    UNSENT = "unsent"


class ImportState(StrEnum):
    RECEIVING = "receiving"
    CHECKING = "checking"
    # Checked and counted; a person decides.
    READY = "ready"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"


ENDED = (ImportState.FINISHED, ImportState.CANCELLED, ImportState.FAILED)
_WORK = text("due_at IS NOT NULL")


class HistoryImport(Model):
    """One row is one import. While there is work for it `due_at` says when, and `lease` who does it, until then."""

    __tablename__ = "imports"
    __table_args__ = (
        Index("ix_imports_merchant_id_id", "merchant_id", "id"),
        Index("ix_imports_due", "due_at", sqlite_where=_WORK, postgresql_where=_WORK),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    kind: Mapped[ImportKind] = mapped_column(String(10))
    state: Mapped[ImportState] = mapped_column(String(10))
    # The file's name, for a person.
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # Of the state.
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # What it waits for, or why it failed.
    reason: Mapped[str | None] = mapped_column(String(500))

    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease: Mapped[int | None] = mapped_column(BigId)
    # Turns since it last got on; a worker that dies of it would die of it for ever.
    turns: Mapped[int] = mapped_column(default=0)

    # The file: csv or jsonl, how its bytes are read, and how far. `rest` is what was read and is no whole row yet.
    format: Mapped[str] = mapped_column(String(5), default="")
    encoding: Mapped[str] = mapped_column(String(10), default="")
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    pieces: Mapped[int] = mapped_column(default=0)
    pieces_read: Mapped[int] = mapped_column(default=0)
    lines_read: Mapped[int] = mapped_column(default=0)
    rest: Mapped[bytes] = mapped_column(LargeBinary, default=b"")
    # JSON list of column names with the delimiter at its end, once it is known.
    header: Mapped[str | None] = mapped_column(Text)
    columns_ignored: Mapped[str] = mapped_column(String(500), default="")

    # Events that can be imported and what became of them; what cannot is counted in `refused`.
    found: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    known: Mapped[int] = mapped_column(default=0)
    # Deliveries that were made, also those of events that follow from others.
    promised: Mapped[int] = mapped_column(default=0)
    first_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Up to here it is done: a time and a line, or an event's id.
    at_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    at_number: Mapped[int] = mapped_column(BigInteger, default=0)
    up_to_number: Mapped[int] = mapped_column(BigInteger, default=0)
    busy_seconds: Mapped[float] = mapped_column(default=0.0)
    stepped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def public_id(self) -> str:
        return f"{IMPORT_PREFIX}{self.id}"

    @property
    def left(self) -> int:
        return max(0, self.found - self.done)

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED


class ImportPiece(Model):
    """One row is a piece of an uploaded file, until it has been read. In the database, since any machine may read it."""

    __tablename__ = "import_pieces"

    import_id: Mapped[int] = mapped_column(ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class ImportRow(Model):
    """One row is an event of a file that waits to be recorded; the primary key is the order in which that is done."""

    __tablename__ = "import_rows"
    __table_args__ = (UniqueConstraint("import_id", "event_id"),)

    import_id: Mapped[int] = mapped_column(ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)
    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_id: Mapped[str] = mapped_column(String(200))
    # JSON: the event as the API would take it.
    document: Mapped[str] = mapped_column(Text)


class ImportProblem(Model):
    """One row is a row of a file that was refused, and why. Nothing of the row itself is kept but its id."""

    __tablename__ = "import_problems"

    import_id: Mapped[int] = mapped_column(ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_id: Mapped[str | None] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(String(500))
