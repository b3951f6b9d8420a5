"""What the API gives about customers, and how it takes many at once; what a customer may be like is in `services/telling.py`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from portal.blueprints.api.schemas import ErrorBody
from portal.models import CardStatus
from portal.services.telling import CustomerIn, NewCustomersIn


class CustomersIn(NewCustomersIn):
    """Up to 1,000 customers. One that is rejected does not affect the others."""

    customers: list[CustomerIn] = Field(min_length=1, max_length=1000)


class CustomerResult(BaseModel):
    """What became of one customer."""

    id: str | None = Field(description="Our id of the customer.", examples=["cus_42"])
    status: Literal["created", "updated", "unchanged", "rejected"]
    kept: list[str] | None = Field(
        None,
        description="Identifiers that were not taken over, because the customer has another or it is somebody else's.",
    )
    error: ErrorBody | None = Field(None, description="With `rejected` only.")


class CustomersOut(BaseModel):
    """One result per customer, in order."""

    results: list[CustomerResult]


class TierOut(BaseModel):
    """The tier, and how far it is to the next."""

    name: str | None
    entered_at: datetime | None
    expires_at: datetime | None
    points: float | int = Field(description="Those that count for the tier.")
    next: str | None
    points_to_next: float | int | None


class RewardsOut(BaseModel):
    available: int = Field(description="How many rewards the balance is enough for.")
    next: str | None = Field(description="The cheapest that is not yet in reach.")
    points_to_next: float | int | None


class CardOut(BaseModel):
    status: CardStatus
    platforms: list[Literal["ios", "android"]]
    link: str = Field(description="The customer's own card link; whoever has it has the card.")


class CustomerOut(BaseModel):
    """A customer, and where they stand."""

    id: str
    external_id: str | None
    klaviyo_profile_id: str | None
    email: str | None
    phone_number: str | None
    first_name: str | None
    last_name: str | None
    birthday: str | None = Field(description="MM-DD.")
    joined_at: datetime
    created_at: datetime = Field(description="When they were first known here.")
    verified_at: datetime | None
    balance: float | int
    tier: TierOut
    rewards: RewardsOut
    card: CardOut
    properties: dict[str, Any] = Field(
        description="What Klaviyo last took of the profile's `jericommerce_` properties."
    )
    properties_sent_at: datetime | None


class ErasedOut(BaseModel):
    """The customer is gone here."""

    id: str
    status: Literal["erased"]
    klaviyo: Literal["will_be_told", "does_not_know"] = Field(
        description="`will_be_told`: the erasure is passed on to Klaviyo, and tried again until it is taken."
    )
