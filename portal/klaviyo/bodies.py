"""Request bodies, made by joining JSON that was frozen when the event was recorded: a repeat is byte-identical.

Sources: POST /api/events, /api/event-bulk-create-jobs and /api/data-privacy-deletion-jobs in Klaviyo's OpenAPI description,
revision 2026-07-15.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from json.encoder import encode_basestring as _quote

EVENT_PATH = "/api/events"
EVENT_BULK_PATH = "/api/event-bulk-create-jobs"
ERASURE_PATH = "/api/data-privacy-deletion-jobs"
BULK_EVENTS = 1_000
# Klaviyo's cap is 5 MB of body; the rest is for the wrapping.
BULK_BYTES = 4_500_000


def profile_of(*, klaviyo_profile_id: str | None, email: str | None, phone: str | None) -> str:
    """`{"data": {...}}` with exactly one identifier: seeing two at once, Klaviyo may merge profiles for good."""
    if klaviyo_profile_id:
        return f'{{"data":{{"type":"profile","id":{_quote(klaviyo_profile_id)},"attributes":{{}}}}}}'
    identifier = f'"email":{_quote(email)}' if email else f'"phone_number":{_quote(phone or "")}'
    return f'{{"data":{{"type":"profile","attributes":{{{identifier}}}}}}}'


def event_of(*, metric: str, unique_id: str, time: datetime, properties: str, backfill: bool = False) -> str:
    """The attributes of an event without its profile. `properties` is JSON already, an object."""
    return (
        f'{{"properties":{properties},"time":"{time.isoformat()}","unique_id":{_quote(unique_id)},'
        f'"metric":{{"data":{{"type":"metric","attributes":{{"name":{_quote(metric)}}}}}}}'
        + (',"backfill":true}' if backfill else "}")
    )


def single(profile: str, event: str) -> str:
    """Body of POST /api/events from frozen parts."""
    return f'{{"data":{{"type":"event","attributes":{event[:-1]},"profile":{profile}}}}}}}'


def bulk(parts: Iterable[tuple[str, str]]) -> str:
    """Body of POST /api/event-bulk-create-jobs from frozen (profile, event) parts; a profile's events keep their order."""
    by_profile: dict[str, list[str]] = {}
    for profile, event in parts:
        by_profile.setdefault(profile, []).append(f'{{"type":"event","attributes":{event}}}')
    entries = ",".join(
        f'{{"type":"event-bulk-create","attributes":{{"profile":{profile},"events":{{"data":[{",".join(events)}]}}}}}}'
        for profile, events in by_profile.items()
    )
    return f'{{"data":{{"type":"event-bulk-create-job","attributes":{{"events-bulk-create":{{"data":[{entries}]}}}}}}}}'


def erasure(profile: str) -> str:
    """Body of POST /api/data-privacy-deletion-jobs for a profile with exactly one identifier, as `profile_of` makes it."""
    return f'{{"data":{{"type":"data-privacy-deletion-job","attributes":{{"profile":{profile}}}}}}}'


def bulk_places(profiles: Iterable[str]) -> list[tuple[int, int]]:
    """For each part given to `bulk`, in order: (index of its entry, index of its event within), as error pointers name them."""
    order: dict[str, int] = {}
    counts: dict[str, int] = {}
    places = []
    for profile in profiles:
        entry = order.setdefault(profile, len(order))
        places.append((entry, counts.get(profile, 0)))
        counts[profile] = counts.get(profile, 0) + 1
    return places
