"""Klaviyo's segments as this account has them, and where the import of the chosen ones stands."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import BigId, Model, UtcDateTime

_DUE = text("due_at IS NOT NULL")


class Segment(Model):
    """One row is a segment of the connected Klaviyo account, as it was when last listed or imported.

    `due_at` is schedule, lease and backoff at once, as in the outbox. `generation` is the number of the last complete run, which
    is the set that readers see.
    """

    __tablename__ = "segments"
    __table_args__ = (
        UniqueConstraint("merchant_id", "klaviyo_segment_id"),
        Index("ix_segments_due", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    klaviyo_segment_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(300))
    # What it was called in Klaviyo before.
    former_name: Mapped[str | None] = mapped_column(String(300))
    # False: Klaviyo no longer keeps it up to date. True in `is_processing`: Klaviyo is still working it out.
    is_active: Mapped[bool] = mapped_column(default=True)
    is_processing: Mapped[bool] = mapped_column(default=False)
    klaviyo_updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    listed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    selected_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    # How many members Klaviyo itself counts.
    profile_count: Mapped[int | None] = mapped_column()
    counted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # When it was last asked for the list that a person chooses from.
    count_asked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Its conditions speak of time that passes ("in the last 30 days"): Klaviyo works these out anew once a day.
    is_relative: Mapped[bool] = mapped_column(default=False, server_default="0")
    # Klaviyo says that there is no such segment any more.
    gone_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    # Null: not imported. While somebody imports it, the end of their lease.
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Drawn anew at every claim: a late importer's lease no longer matches and changes nothing.
    lease: Mapped[int | None] = mapped_column(BigId)
    # A person pressed Sync now.
    asked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The last complete run: its number, when it began and ended, and how many members it found.
    generation: Mapped[int] = mapped_column(default=0, server_default="0")
    complete_from: Mapped[datetime | None] = mapped_column(UtcDateTime)
    complete_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    members: Mapped[int] = mapped_column(default=0, server_default="0")
    # What stands in the way since the last complete run, in our words, and how often it did.
    failures: Mapped[int] = mapped_column(default=0, server_default="0")
    problem: Mapped[str | None] = mapped_column(Text)
    problem_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
