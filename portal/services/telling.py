"""An event as a program or a file tells it: one set of types checks it and writes the description of the API.

Blank identifiers count as absent: Klaviyo's templates render a missing variable as an empty text.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from portal.models.customer import ID_PREFIX
from portal.services.catalogue import BY_TYPE, EVENT_TYPES, Kind
from portal.services.recording import DERIVED

# Klaviyo's own limits (POST /api/events): refused here, where it can still be put right.
MOST_PROPERTIES = 380
LONGEST_TEXT_BYTES = 100_000
MOST_ITEMS = 4_000
DEEPEST = 8
EARLIEST = datetime(1991, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=364)


def _blank_is_absent(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _plain(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must not contain control characters")
    if not text.strip():
        raise ValueError("must not be empty")
    return text.strip()


# Addresses that need no second look: the full check takes twenty times as long, and most are like this.
_PLAIN_EMAIL = re.compile(r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,24}")
LONGEST_PLAIN_NAME = 64
LONGEST_PLAIN_EMAIL = 200


def _email(text: str) -> str:
    text = text.strip().lower()
    if len(text) <= LONGEST_PLAIN_EMAIL and text.find("@") <= LONGEST_PLAIN_NAME and _PLAIN_EMAIL.fullmatch(text):
        return text
    try:
        return validate_email(text, check_deliverability=False, test_environment=True).normalized.lower()
    except EmailNotValidError as error:
        raise ValueError("is not an email address") from error


def _phone(text: str) -> str:
    compact = "".join(character for character in text.strip() if character not in " -().")
    try:
        number = phonenumbers.parse(compact)
    except phonenumbers.NumberParseException as error:
        raise ValueError("must begin with + and the country code, such as +4520123456") from error
    if not phonenumbers.is_possible_number(number):
        raise ValueError("is not a phone number with this country code")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _our_id(text: str) -> str:
    digits = text.removeprefix(ID_PREFIX)
    if digits == text or not (digits.isascii() and digits.isdigit()) or len(digits) > 19 or int(digits) >= 2**63:
        raise ValueError(f"must be an id of ours, such as {ID_PREFIX}123; send your own id as external_id")
    return text


Identifier = Annotated[str, Field(max_length=200), AfterValidator(_plain)]
Optional = BeforeValidator(_blank_is_absent)


class CustomerRef(BaseModel):
    """Who it is about: one or more identifiers, tried in this order. Blank ones are ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[Annotated[str, AfterValidator(_our_id)] | None, Optional] = Field(
        None, description="Our own id, as an answer gave it.", examples=["cus_42"]
    )
    external_id: Annotated[Identifier | None, Optional] = Field(
        None, description="Your id of the customer.", examples=["10422"]
    )
    email: Annotated[Annotated[str, AfterValidator(_email)] | None, Optional] = Field(
        None, description="In Klaviyo, the customer is found by it.", examples=["ada@example.com"]
    )
    phone_number: Annotated[Annotated[str, AfterValidator(_phone)] | None, Optional] = Field(
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


def _moment(value: datetime) -> datetime:
    # Compared before it is converted: at the ends of the calendar another zone's day does not exist.
    if value < EARLIEST:
        raise ValueError("must be after the year 1990")
    if value > datetime.now(UTC) + AHEAD:
        raise ValueError("must not be more than a year ahead")
    return value.astimezone(UTC)


def _text_moment(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("must be a text such as 2026-11-23T09:30:00+01:00")
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError as error:
        raise ValueError("must be a time with a zone, such as 2026-11-23T09:30:00+01:00") from error


Moment = Annotated[AwareDatetime, AfterValidator(_moment)]


def _not_ours(event_id: str) -> str:
    if event_id.startswith(DERIVED):
        raise ValueError(f"must not begin with {DERIVED}, as ids of events do that we make ourselves")
    return event_id


class EventIn(BaseModel):
    """One wallet event."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain), AfterValidator(_not_ours)] = Field(
        description="Your id of the event. A repeat of it is stored once.", examples=["order-1042"]
    )
    type: Literal[tuple(BY_TYPE)] = Field(description="Which of the 18 events.", examples=["balance_changed"])  # type: ignore[valid-type]
    customer: CustomerRef
    occurred_at: Annotated[Moment, BeforeValidator(_text_moment)] | None = Field(
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
        check_properties(self.type, self.properties)
        return self


class PropertyError(ValueError):
    """A property at fault, by name."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


_OWN = {entry.type: {prop.name: prop for prop in entry.properties} for entry in EVENT_TYPES}
_COMMON = {
    "balance": Kind.NUMBER,
    "points_to_next_tier": Kind.NUMBER,
    "points_to_next_reward": Kind.NUMBER,
    "rewards_available": Kind.NUMBER,
    "tier": Kind.TEXT,
    "next_tier": Kind.TEXT,
    "next_reward": Kind.TEXT,
    "wallet_pass_status": Kind.TEXT,
    "source": Kind.TEXT,
}


def check_properties(event_type: str, properties: dict[str, Any]) -> None:
    """Types of the known ones, Klaviyo's limits for all. Raises `PropertyError`."""
    if len(properties) > MOST_PROPERTIES:
        raise PropertyError("", f"has more than {MOST_PROPERTIES} entries")
    own = _OWN[event_type]
    for name, value in properties.items():
        if not name or len(name) > 128:
            raise PropertyError(name[:60], "must have a name of 1 to 128 characters")
        prop = own.get(name)
        kind = prop.kind if prop else _COMMON.get(name)
        if kind is not None:
            _check_kind(name, kind, value)
        if prop and prop.choices and value not in prop.choices:
            raise PropertyError(name, f"must be one of {', '.join(prop.choices)}")
        _check_limits(name, value, DEEPEST)


def _check_kind(name: str, kind: Kind, value: Any) -> None:
    if kind is Kind.TEXT and not isinstance(value, str):
        raise PropertyError(name, "must be text in quotation marks")
    if kind is Kind.NUMBER and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise PropertyError(name, "must be a number")


def _check_limits(name: str, value: Any, deepest: int) -> None:
    if isinstance(value, str) and len(value) * 4 > LONGEST_TEXT_BYTES and len(value.encode()) > LONGEST_TEXT_BYTES:
        raise PropertyError(name, "must not be longer than 100 kB")
    if isinstance(value, int) and abs(value) > 2**63:
        raise PropertyError(name, "is too large a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise PropertyError(name, "must be a number")
    if isinstance(value, list | dict):
        if not deepest:
            raise PropertyError(name, "is nested too deeply")
        if len(value) > MOST_ITEMS:
            raise PropertyError(name, f"must not have more than {MOST_ITEMS} entries")
        for part in value.values() if isinstance(value, dict) else value:
            _check_limits(name, part, deepest - 1)
