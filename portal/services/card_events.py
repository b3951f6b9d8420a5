"""What devices report, as wallet events: each under an id that says what it is about, so that a repeat is not a second event."""

from __future__ import annotations

from datetime import datetime, timedelta

from portal.db import utcnow
from portal.services import events
from portal.services.customers import Identifiers
from portal.services.events import digest_of
from portal.services.recording import DERIVED, Told

SOURCE = "wallet"
IOS, ANDROID = "ios", "android"
# A link that is opened twice in a row (a preview, a double tap, a page that is reloaded) was opened once.
ONE_OPENING = timedelta(minutes=1)


def tell(merchant_id: int, customer_id: int, event_type: str, about: str, **properties: str) -> None:
    """Record it, unless it was recorded already: `about` is what makes it the same."""
    event_id = f"{DERIVED}{event_type}:{about}"
    told = Told(
        event_id=event_id,
        type=event_type,
        customer=Identifiers(id=customer_id),
        occurred_at=utcnow(),
        properties=dict(properties),
        digest=digest_of({"id": event_id}),
        source=SOURCE,
    )
    events.record(merchant_id, [told])


def opening(moment: datetime) -> str:
    """The same for all that belongs to one opening."""
    return str(int(moment.timestamp() // ONE_OPENING.total_seconds()))
