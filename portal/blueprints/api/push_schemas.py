"""What the API gives about pushes; what one may be like is in `services/push_orders.py`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from portal.models import PushReason, PushState, Wallet


class PushAccepted(BaseModel):
    """Taken. A repeat is answered the same."""

    id: str | None = Field(description="Empty with `dry_run`.", examples=["psh_42"])
    status: Literal["accepted", "checked"]
    customer_id: str = Field(description="Our id of the customer who was found.", examples=["cus_42"])
    channels: list[Wallet] = Field(description="The wallets with the customer's card.")


class PushDevice(BaseModel):
    """One iPhone, or Google for all the customer's Android phones."""

    channel: Wallet
    state: PushState
    detail: str = Field(description="In plain words.")
    at: datetime | None


class PushOut(BaseModel):
    """Where a push stands. `delivered`: a phone has fetched the card, or Google has taken the message."""

    id: str
    state: PushState
    reason: PushReason | None = Field(description="Why it was skipped or failed.")
    customer_id: str
    title: str | None
    message: str
    url: str | None
    channels: list[Wallet]
    created_at: datetime
    expires_at: datetime | None
    sent_at: datetime | None
    settled_at: datetime | None
    devices: list[PushDevice]
