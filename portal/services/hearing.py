"""From an event as it was told to one that can be recorded; what the API takes and what a file holds is read alike."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ValidationError

from portal.models.customer import ID_PREFIX
from portal.services.customers import Identifiers
from portal.services.events import digest_of
from portal.services.recording import Told
from portal.services.telling import CustomerRef, EventIn
from portal.services.wording import in_words


def hear(document: Any, now: datetime) -> Told:
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
    )


def identifiers_of(ref: CustomerRef) -> Identifiers:
    return Identifiers(
        id=int(ref.id.removeprefix(ID_PREFIX)) if ref.id else None,
        external_id=ref.external_id,
        klaviyo_profile_id=ref.klaviyo_profile_id,
        email=ref.email,
        phone=ref.phone_number,
    )
