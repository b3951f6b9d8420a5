"""Klaviyo's segments as this account has them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import BigId, Model, UtcDateTime


class Segment(Model):
    """One row is a segment of the connected Klaviyo account, as it was when last listed."""

    __tablename__ = "segments"
    __table_args__ = (UniqueConstraint("merchant_id", "klaviyo_segment_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    klaviyo_segment_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(300))
    # False: Klaviyo no longer keeps it up to date. True in `is_processing`: Klaviyo is still working it out.
    is_active: Mapped[bool] = mapped_column(default=True)
    is_processing: Mapped[bool] = mapped_column(default=False)
    klaviyo_updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    listed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    selected_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
