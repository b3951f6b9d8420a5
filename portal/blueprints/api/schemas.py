"""What the API gives, and how it takes many events at once; what an event may be like is in `services/telling.py`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from portal.services.telling import EventIn


class ErrorBody(BaseModel):
    code: str = Field(examples=["invalid"])
    message: str = Field(description="In plain words: what is wrong and what to do.")
    field: str | None = Field(None, description="The part at fault.", examples=["customer.email"])
    request_id: str | None = Field(None, description="Name it when you ask us.")


class ErrorOut(BaseModel):
    error: ErrorBody


class EventResult(BaseModel):
    """What became of one event."""

    id: str | None = Field(description="Your id of the event.")
    status: Literal["accepted", "duplicate", "rejected"]
    error: ErrorBody | None = Field(None, description="With `rejected` only.")


class EventsOut(BaseModel):
    """One result per event, in order."""

    results: list[EventResult]


class EventsIn(BaseModel):
    """Up to 1,000 events. One that is rejected does not affect the others."""

    events: list[EventIn] = Field(min_length=1, max_length=1000)


EventState = Literal["waiting", "delivered", "failed", "not_sent"]


class DeliveryOut(BaseModel):
    """Where an event stands on its way to Klaviyo."""

    state: EventState
    attempts: int
    reason: str | None = Field(description="Why it waits, failed or was not sent.")
    next_attempt_at: datetime | None
    delivered_at: datetime | None


class EventOut(BaseModel):
    id: str
    type: str
    metric: str = Field(description="The name in Klaviyo.")
    customer_id: str
    occurred_at: datetime
    received_at: datetime
    properties: dict[str, Any]
    delivery: DeliveryOut
