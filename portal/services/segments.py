"""The account's segments: listing them and remembering which the merchant chose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import exists, select

from portal.db import LARGEST_ID, db, utcnow
from portal.errors import NotFoundError
from portal.klaviyo import Client
from portal.models import Segment, SegmentMember
from portal.services import auditing, segment_schedule

SEGMENTS_PATH = "/api/segments"
# Without it each segment comes with its whole definition.
FIELDS = "name,created,updated,is_active,is_processing"
# Klaviyo gives ten a page; nobody has thousands.
MOST_PAGES = 200


@dataclass(frozen=True)
class RemoteSegment:
    """A segment as Klaviyo lists it."""

    klaviyo_segment_id: str
    name: str
    is_active: bool
    is_processing: bool
    updated_at: datetime | None


def fetch_list(client: Client) -> list[RemoteSegment]:
    """All segments of the account. HTTP. Raises a `KlaviyoError`."""
    params = {"fields[segment]": FIELDS, "page[size]": "10", "sort": "name"}
    found: list[RemoteSegment] = []
    for _ in range(MOST_PAGES):
        document = client.read(SEGMENTS_PATH, params)
        found += [_read(entry) for entry in document.get("data", [])]
        cursor = _cursor(document)
        if cursor is None:
            break
        params = {**params, "page[cursor]": cursor}
    return found


def _read(entry: dict[str, object]) -> RemoteSegment:
    attributes = entry.get("attributes")
    attributes = attributes if isinstance(attributes, dict) else {}
    updated = attributes.get("updated")
    return RemoteSegment(
        klaviyo_segment_id=str(entry["id"]),
        name=str(attributes.get("name") or "Without a name"),
        is_active=bool(attributes.get("is_active", True)),
        is_processing=bool(attributes.get("is_processing", False)),
        updated_at=datetime.fromisoformat(updated) if isinstance(updated, str) else None,
    )


def _cursor(document: dict[str, object]) -> str | None:
    links = document.get("links")
    following = links.get("next") if isinstance(links, dict) else None
    return parse_qs(urlsplit(following).query).get("page[cursor]", [None])[0] if following else None


def save_list(merchant_id: int, remote: Sequence[RemoteSegment]) -> int:
    """Take the list over; how many. A chosen segment that Klaviyo no longer lists is kept and shown as gone."""
    now = utcnow()
    known = {segment.klaviyo_segment_id: segment for segment in list_known(merchant_id)}
    for told in remote:
        segment = known.pop(told.klaviyo_segment_id, None)
        if segment is None:
            segment = Segment(merchant_id=merchant_id, klaviyo_segment_id=told.klaviyo_segment_id)
            db.session.add(segment)
        elif segment.name != told.name[:300]:
            segment.former_name = segment.name
        segment.name, segment.is_active, segment.is_processing = told.name[:300], told.is_active, told.is_processing
        segment.klaviyo_updated_at, segment.listed_at, segment.gone_at = told.updated_at, now, None
    for gone in known.values():
        gone.gone_at = gone.gone_at or now
        if gone.selected_at is None and not _has_members(gone):
            db.session.delete(gone)
    return len(remote)


def _has_members(segment: Segment) -> bool:
    """They may be a million: `segment_tidying` removes them first, a few at a time."""
    return db.session.scalar(select(exists().where(SegmentMember.segment_id == segment.id))) or False


def list_known(merchant_id: int) -> Sequence[Segment]:
    """By name, as last listed."""
    return db.session.scalars(
        select(Segment).where(Segment.merchant_id == merchant_id).order_by(Segment.name, Segment.id)
    ).all()


def select_segment(merchant_id: int, segment_id: int, selected: bool, actor: str) -> Segment:
    """Raises `NotFoundError`."""
    wanted = select(Segment).where(Segment.merchant_id == merchant_id, Segment.id == min(segment_id, LARGEST_ID))
    segment = db.session.scalar(wanted)
    if segment is None:
        raise NotFoundError("There is no such segment. Refresh the list.")
    if (segment.selected_at is not None) != selected:
        segment.selected_at = utcnow() if selected else None
        if selected:
            segment_schedule.start(segment, utcnow())
        else:
            segment_schedule.stop(segment)
        auditing.record(merchant_id, actor, f"segment {'selected' if selected else 'deselected'}", segment.name)
    return segment
