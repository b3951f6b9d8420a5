"""Who is in a segment, who joined and left at each run, and how many of the members can be reached."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, ForeignKey, Index, SmallInteger, String, and_, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Model, UtcDateTime
from portal.models.segment import Segment

_PHONE = text("phone IS NOT NULL")


class SegmentMember(Model):
    """One row is a Klaviyo profile in a segment; `customer_id` where it is a customer of ours.

    Readers see those for whom `is_member` holds. A run moves `seen_generation` ahead as it walks, which changes nothing for them;
    the set changes as a whole when the run's number becomes the segment's.
    """

    __tablename__ = "segment_members"
    __table_args__ = (
        Index(
            "ix_segment_members_segment_id_email",
            "segment_id",
            "email",
            postgresql_ops={"email": "text_pattern_ops"},
        ),
        Index(
            "ix_segment_members_segment_id_phone", "segment_id", "phone", sqlite_where=_PHONE, postgresql_where=_PHONE
        ),
        Index("ix_segment_members_customer_id_segment_id", "customer_id", "segment_id"),
        Index("ix_segment_members_segment_id_standing", "segment_id", "standing", "klaviyo_profile_id"),
    )

    segment_id: Mapped[int] = mapped_column(
        ForeignKey("segments.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    klaviyo_profile_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customers.id", ondelete="SET NULL"))
    email: Mapped[str | None] = mapped_column(String(254))
    phone: Mapped[str | None] = mapped_column(String(20))
    external_id: Mapped[str | None] = mapped_column(String(200))
    # When Klaviyo put them in, most recently.
    joined_group_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The run that found them first since they were last out of it, and the run that found them last.
    joined_generation: Mapped[int] = mapped_column()
    seen_generation: Mapped[int] = mapped_column()
    # How far they could be reached when the set was counted; see `services/reach.py`.
    standing: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")

    @property
    def label(self) -> str:
        return self.email or self.phone or self.external_id or self.klaviyo_profile_id


def is_member() -> ColumnElement[bool]:
    """A row of `SegmentMember`, joined with its `Segment`, belongs to the last complete set."""
    return and_(
        SegmentMember.segment_id == Segment.id,
        SegmentMember.joined_generation <= Segment.generation,
        SegmentMember.seen_generation >= Segment.generation,
    )


class Way(StrEnum):
    JOINED = "joined"
    LEFT = "left"


class SegmentChange(Model):
    """One row is a profile that joined or left between the complete run before and this one. The first run has none.

    It counts once its run is complete. This is what campaigns that start on entering a segment read.
    """

    __tablename__ = "segment_changes"
    __table_args__ = (Index("ix_segment_changes_customer_id", "customer_id"),)

    run_id: Mapped[int] = mapped_column(
        ForeignKey("segment_runs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    way: Mapped[Way] = mapped_column(String(6), primary_key=True)
    klaviyo_profile_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customers.id", ondelete="SET NULL"))
    # As a person calls them; they may be gone from the members.
    label: Mapped[str] = mapped_column(String(254))


class SegmentReach(Model):
    """One row is how many members of a segment's last complete set could be reached, counted at `counted_at`."""

    __tablename__ = "segment_reach"

    segment_id: Mapped[int] = mapped_column(
        ForeignKey("segments.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    counted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    members: Mapped[int] = mapped_column()
    matched: Mapped[int] = mapped_column()
    # Of the matched: the card is on a phone, was removed from it, or never was on one.
    installed: Mapped[int] = mapped_column()
    removed: Mapped[int] = mapped_column()
    # Of the installed, with either or both.
    apple: Mapped[int] = mapped_column()
    google: Mapped[int] = mapped_column()
    notifiable: Mapped[int] = mapped_column()
