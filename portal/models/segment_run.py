"""Runs of a segment's import: each walks all members once, in parts that know how far they have come."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import BigId, Model, UtcDateTime


class RunState(StrEnum):
    # Also between two tries: a run that was interrupted goes on where it stopped.
    RUNNING = "running"
    # Its set is the one that readers see, until the next run is complete.
    COMPLETE = "complete"
    # Klaviyo's list had fewer members than Klaviyo counts. Given up too, and the next run goes about it carefully.
    SHORT = "short"
    # Given up. What it found is never shown, and nobody was removed.
    FAILED = "failed"


class SegmentRun(Model):
    """One row is one walk over all members of a segment, from beginning to end. A segment's runs are numbered from 1."""

    __tablename__ = "segment_runs"
    __table_args__ = (UniqueConstraint("segment_id", "generation"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    segment_id: Mapped[int] = mapped_column(ForeignKey("segments.id", ondelete="CASCADE"))
    generation: Mapped[int] = mapped_column()
    state: Mapped[RunState] = mapped_column(String(10))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # How many members Klaviyo counted, for the estimate and for telling a short run.
    expected: Mapped[int | None] = mapped_column()
    # One part after the other, from the first member to the last: after a run that came out short.
    careful: Mapped[bool] = mapped_column(default=False)
    pages: Mapped[int] = mapped_column(default=0)
    requests: Mapped[int] = mapped_column(default=0)
    # Members found so far, each once.
    members: Mapped[int] = mapped_column(default=0)
    joined: Mapped[int] = mapped_column(default=0)
    left: Mapped[int] = mapped_column(default=0)
    # The last thing that went wrong, in our words; a complete run may have had its trouble too.
    reason: Mapped[str | None] = mapped_column(Text)


class SegmentPart(Model):
    """One row is a part of a run: the members who joined in one span of time, from `since` up to `until`, and how far it was read."""

    __tablename__ = "segment_parts"
    __table_args__ = (Index("ix_segment_parts_run_id", "run_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    run_id: Mapped[int] = mapped_column(ForeignKey("segment_runs.id", ondelete="CASCADE"))
    since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Where another part takes over: this one was split while it was read, and a cursor belongs to its filter.
    stop_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # When the last member read had joined. A cursor that Klaviyo no longer takes is replaced by it.
    position: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cursor: Mapped[str | None] = mapped_column(Text)
    pages: Mapped[int] = mapped_column(default=0)
    done: Mapped[bool] = mapped_column(default=False)
