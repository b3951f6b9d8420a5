"""From an event as it was told to one that can be recorded; what the API takes and what a file holds is read alike."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ValidationError

from portal.models.customer import ID_PREFIX
from portal.services.customers import Identifiers
from portal.services.events import digest_of
from portal.services.recording import Told
from portal.services.registering import DETAILS, Entry
from portal.services.telling import CustomerIn, CustomerRef, EventIn
from portal.services.wording import CUSTOMER, in_words


def hear(document: Any, now: datetime, source: str = "api") -> Told:
    """Raises `InvalidError` that names the field and the remedy."""
    try:
        event = EventIn.model_validate(document)
    except ValidationError as error:
        raise in_words(error) from error
    return Told(
        event_id=event.id,
        type=event.type,
        customer=identifiers_of(event.customer),
        occurred_at=event.occurred_at or now,
        properties=event.properties,
        digest=digest_of(document),
        source=source,
    )


def hear_customer(document: Any) -> Entry:
    """Raises `InvalidError` that names the field and the remedy."""
    try:
        told = CustomerIn.model_validate(document)
    except ValidationError as error:
        raise in_words(error, CUSTOMER) from error
    details = {name: getattr(told, name) for name in DETAILS if getattr(told, name) is not None}
    if told.birthday:
        month, _, day = told.birthday.partition("-")
        details["birthday"] = int(month) * 100 + int(day)
    return Entry(
        customer=identifiers_of(told),
        # A blank text counts as absent, and only null clears.
        details={**details, **{name: None for name in DETAILS if document.get(name, "") is None}},
    )


def identifiers_of(ref: CustomerRef) -> Identifiers:
    return Identifiers(
        id=int(ref.id.removeprefix(ID_PREFIX)) if ref.id else None,
        external_id=ref.external_id,
        klaviyo_profile_id=ref.klaviyo_profile_id,
        email=ref.email,
        phone=ref.phone_number,
    )
