"""Campaigns: what is said to the members of segments, and who was assigned to which."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, SmallInteger, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import LARGEST_ID, BigId, Model, UtcDateTime, utcnow
from portal.models.customer import CardStatus

CAMPAIGN_PREFIX = "cmp_"
# `walked_to` of a campaign that has come to the end of its audience.
WALKED = LARGEST_ID
_DUE = text("due_at IS NOT NULL")


class CampaignState(StrEnum):
    DRAFT = "draft"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    # Its time had come, but something about the audience is for a person to decide.
    NEEDS_PERSON = "needs_person"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class CampaignStart(StrEnum):
    NOW = "now"
    AT = "at"
    ON_ENTERING = "on_entering"


class Opening(StrEnum):
    """By what it is known that a customer has seen it: a tap on the notification itself tells nobody."""

    # The message's own link was followed.
    LINK = "link"
    # The card's page was opened, or another of its links followed, soon after.
    CARD = "card"


class Campaign(Model):
    """One row is a campaign. While `due_at` is set it is worked on then; it is schedule and lease at once."""

    __tablename__ = "campaigns"
    __table_args__ = (
        Index("ix_campaigns_merchant_id_id", "merchant_id", "id"),
        Index("ix_campaigns_due", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    # The rule: only customers in this tier, only with such a card; empty for all.
    tier_id: Mapped[int | None] = mapped_column(BigId)
    card_status: Mapped[CardStatus | None] = mapped_column(String(15))
    # With its variables, as `services/personalising.py` reads them.
    message: Mapped[str] = mapped_column(Text)
    url: Mapped[str | None] = mapped_column(String(2048))
    start: Mapped[CampaignStart] = mapped_column(String(15))
    start_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # By how many percent the audience may differ from the last look before sending waits for a person.
    guard_percent: Mapped[int] = mapped_column(SmallInteger)
    # How many they were at the last look, and when that was: a person's, or on entering that at the last import.
    audience: Mapped[int | None] = mapped_column()
    looked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    state: Mapped[CampaignState] = mapped_column(String(15), default=CampaignState.DRAFT)
    # Why it waits, is paused or was cancelled, in our words.
    reason: Mapped[str | None] = mapped_column(Text)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The last customer, by rising id, whom the walk over the audience has come to.
    walked_to: Mapped[int] = mapped_column(BigId, default=0)
    assigned: Mapped[int] = mapped_column(default=0)
    created_by: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def public_id(self) -> str:
        return f"{CAMPAIGN_PREFIX}{self.id}"

    @property
    def has_walked(self) -> bool:
        """Everybody in the audience is assigned."""
        return self.walked_to == WALKED

    @property
    def has_ended(self) -> bool:
        return self.state in (CampaignState.FINISHED, CampaignState.CANCELLED)


class CampaignSegment(Model):
    """One row is a segment whose members a campaign includes, or leaves out.

    It outlives the segment, on purpose: were it gone with it, everybody who was to be left out would be in.
    """

    __tablename__ = "campaign_segments"

    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id", ondelete="CASCADE"), primary_key=True)
    segment_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    included: Mapped[bool] = mapped_column()
    name: Mapped[str] = mapped_column(String(300))
    # The last complete run whose joiners were assigned, for a campaign that starts on entering.
    generation: Mapped[int] = mapped_column(default=0)
    # The last run whose joiners were found to be no more than usual, or that a person has let pass.
    passed: Mapped[int] = mapped_column(default=0, server_default="0")


class Assignment(Model):
    """One row is a customer who was assigned to a campaign: once, whatever happens."""

    __tablename__ = "assignments"
    __table_args__ = (Index("ix_assignments_customer_id", "customer_id"),)

    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id", ondelete="CASCADE"), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id", ondelete="CASCADE"), primary_key=True)
    assigned_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # Empty where there was nothing to push to.
    push_id: Mapped[int | None] = mapped_column(ForeignKey("pushes.id", ondelete="SET NULL"), index=True)
    # Why there is no push.
    refused: Mapped[str | None] = mapped_column(String(40))
    opened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    opened_by: Mapped[Opening | None] = mapped_column(String(10))
