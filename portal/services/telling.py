"""An event as a program or a file tells it: one set of types checks it and writes the description of the API.

Blank identifiers count as absent: Klaviyo's templates render a missing variable as an empty text.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from portal.services.catalogue import BY_TYPE
from portal.services.properties import fit_properties
from portal.services.recording import DERIVED
from portal.services.values import Birthday, Email, Identifier, Moment, Name, Optional, OurId, Past, Phone, plain


class CustomerRef(BaseModel):
    """Who it is about: one or more identifiers, tried in this order. Blank ones are ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[OurId | None, Optional] = Field(
        None, description="Our own id, as an answer gave it.", examples=["cus_42"]
    )
    external_id: Annotated[Identifier | None, Optional] = Field(
        None, description="Your id of the customer.", examples=["10422"]
    )
    email: Annotated[Email | None, Optional] = Field(
        None, description="In Klaviyo, the customer is found by it.", examples=["ada@example.com"]
    )
    phone_number: Annotated[Phone | None, Optional] = Field(
        None, description="With + and the country code.", examples=["+4520123456"]
    )
    klaviyo_profile_id: Annotated[Identifier | None, Optional] = Field(
        None, description="The id of the profile in Klaviyo.", examples=["01HZX3W2V7QJ8K5N4M6P9R0T1S"]
    )

    @model_validator(mode="after")
    def _somebody(self) -> CustomerRef:
        if not (self.id or self.external_id or self.email or self.phone_number or self.klaviyo_profile_id):
            raise ValueError("needs at least one of id, external_id, email, phone_number, klaviyo_profile_id")
        return self


def _not_ours(event_id: str) -> str:
    if event_id.startswith(DERIVED):
        raise ValueError(f"must not begin with {DERIVED}, as ids of events do that we make ourselves")
    return event_id


class EventIn(BaseModel):
    """One wallet event."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(plain), AfterValidator(_not_ours)] = Field(
        description="Your id of the event. A repeat of it is stored once.", examples=["order-1042"]
    )
    type: Literal[tuple(BY_TYPE)] = Field(description="Which of the 18 events.", examples=["balance_changed"])  # type: ignore[valid-type]
    customer: CustomerRef
    occurred_at: Moment | None = Field(
        None,
        description="When it happened, ISO 8601 with zone. Now, if left out.",
        examples=["2026-11-23T09:30:00+01:00"],
    )
    properties: dict[str, Any] = Field(
        default_factory=dict,
        description="What belongs to this event; see the list of events.",
        examples=[{"change": 25}],
    )

    @model_validator(mode="after")
    def _properties_fit(self) -> EventIn:
        fitting = fit_properties(self.type, self.properties)
        if fitting is not self.properties:
            self.properties = fitting
        return self


class CustomerIn(CustomerRef):
    """A customer: who it is, and what is known of them. What is left out stays as it is, null clears."""

    first_name: Annotated[Name | None, Optional] = Field(None, examples=["Ada"])
    last_name: Annotated[Name | None, Optional] = Field(None, examples=["Lovelace"])
    birthday: Annotated[Birthday | None, Optional] = Field(
        None, description="MM-DD, or YYYY-MM-DD of which the year is not kept.", examples=["12-10"]
    )
    joined_at: Annotated[Past | None, Optional] = Field(
        None,
        description="When they joined, if that was before they came here. ISO 8601 with zone.",
        examples=["2025-02-01T10:00:00+01:00"],
    )


class NewCustomersIn(BaseModel):
    """What may be said about a whole request."""

    initial_import: bool = Field(
        False, description="With true, *Customer created* is told of nobody, and nobody gets a welcome."
    )


class CustomerAloneIn(CustomerIn, NewCustomersIn):
    """One customer."""
