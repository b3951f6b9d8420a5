"""What the API gives, and how it takes many events at once; what an event may be like is in `services/telling.py`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from portal.models import ImportKind
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


ImportStateOut = Literal["checking", "ready", "running", "paused", "finished", "cancelled", "failed"]


class ImportIn(BaseModel):
    """For events from before the connection. A file is sent as the body instead, as `text/csv` or `application/x-ndjson`."""

    from_: Literal["unsent"] = Field(alias="from", description="What was recorded here and not sent.")


class ImportOut(BaseModel):
    """An import of past events and how far it is."""

    id: str = Field(examples=["imp_42"])
    kind: ImportKind
    name: str
    state: ImportStateOut = Field(description="It is `ready` when everything is counted, and waits to be started.")
    reason: str | None = Field(description="What it waits for, or why it failed.")
    events: int = Field(description="Events that can be imported.")
    refused: int = Field(description="Rows that cannot; `/problems` lists them.")
    first_at: datetime | None = Field(description="When the earliest event happened.")
    last_at: datetime | None = Field(description="When the latest one did.")
    columns_ignored: list[str] = Field(description="Columns of a CSV file that are not known, and left out.")
    done: int = Field(description="Events that have been dealt with so far.")
    known: int = Field(description="Those among them that had been recorded before; they are not sent again.")
    delivered: int = Field(description="Events at Klaviyo, with those that follow from others, such as a new tier.")
    waiting: int = Field(description="Events on their way to Klaviyo.")
    seconds_left: int | None = Field(description="An estimate, from what was measured and from Klaviyo's limit.")
    created_at: datetime


class ProblemOut(BaseModel):
    """A row of the file that was refused."""

    line: int = Field(description="Where it is, as an editor counts.")
    id: str | None = Field(description="The event's id, where it could be read.")
    reason: str = Field(description="In plain words: what is wrong and what to do.")


class ProblemsOut(BaseModel):
    """Up to 1,000 of them, in the order of the file."""

    problems: list[ProblemOut]
    next: int | None = Field(description="Send it as `after` for those that follow; none at the end.")
