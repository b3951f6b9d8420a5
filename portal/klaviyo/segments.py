"""Segments as Klaviyo tells them: how one stands, and its members page by page, ordered by when they joined.

Sources: GET /api/segments/{id} and GET /api/segments/{id}/profiles in Klaviyo's OpenAPI description, revision 2026-07-15.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from portal.klaviyo.client import Client

SEGMENTS_PATH = "/api/segments"
PAGE_SIZE = 100
# With `definition`, to tell conditions on time that passes.
_FIELDS = "name,definition,updated,is_active,is_processing"
_MEMBER_FIELDS = "email,phone_number,external_id,joined_group_at"
# Conditions on a date that these compare with now; Klaviyo works such segments out anew once a day (help.klaviyo.com 115005233488).
_RELATIVE = {"at-least", "in-the-last", "in-the-next", "between", "anniversary-last", "anniversary-next"}


@dataclass(frozen=True)
class Overview:
    """How a segment stands. `profile_count` is known only where it was asked for: Klaviyo counts 15 times a minute at most."""

    name: str
    is_active: bool
    is_processing: bool
    is_relative: bool
    updated_at: datetime | None
    profile_count: int | None


@dataclass(frozen=True)
class Profile:
    """A member, as far as finding the customer needs it."""

    id: str
    email: str | None
    phone: str | None
    external_id: str | None
    joined_at: datetime | None


@dataclass(frozen=True)
class Page:
    """Up to a hundred members; without a `cursor` it is the last. An empty one leads to the beginning."""

    members: tuple[Profile, ...]
    cursor: str | None


def read_overview(client: Client, segment_id: str, *, counted: bool) -> Overview:
    """How the segment stands. Raises a `KlaviyoError`; `RefusedError` with status 404 where it is gone."""
    params = {"fields[segment]": _FIELDS}
    if counted:
        params = {"fields[segment]": f"{_FIELDS},profile_count", "additional-fields[segment]": "profile_count"}
    told = client.read(_path(segment_id), params).get("data") or {}
    attributes = told.get("attributes") or {}
    count = attributes.get("profile_count")
    return Overview(
        name=str(attributes.get("name") or "Without a name"),
        is_active=bool(attributes.get("is_active", True)),
        is_processing=bool(attributes.get("is_processing", False)),
        is_relative=any(_dates(attributes.get("definition"))),
        updated_at=_time(attributes.get("updated")),
        profile_count=count if isinstance(count, int) and not isinstance(count, bool) else None,
    )


def read_members(
    client: Client,
    segment_id: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    cursor: str | None = None,
    size: int = PAGE_SIZE,
    latest_first: bool = False,
) -> Page:
    """Members who joined from `since` up to before `until`. Raises a `KlaviyoError`.

    A cursor belongs to the span that it was given for.
    """
    params = {
        "fields[profile]": _MEMBER_FIELDS,
        "page[size]": str(size),
        "sort": "-joined_group_at" if latest_first else "joined_group_at",
    }
    bounds = [f"greater-or-equal(joined_group_at,{since.isoformat()})"] if since else []
    bounds += [f"less-than(joined_group_at,{until.isoformat()})"] if until else []
    if bounds:
        params["filter"] = ",".join(bounds)
    if cursor:
        params["page[cursor]"] = cursor
    document = client.read(f"{_path(segment_id)}/profiles", params)
    return Page(tuple(_profile(entry) for entry in document.get("data") or ()), cursor_of(document))


def cursor_of(document: dict[str, Any]) -> str | None:
    """Where a list goes on; None at its end."""
    links = document.get("links")
    following = links.get("next") if isinstance(links, dict) else None
    return parse_qs(urlsplit(following).query).get("page[cursor]", [""])[0] if following else None


def _path(segment_id: str) -> str:
    return f"{SEGMENTS_PATH}/{quote(segment_id, safe='')}"


def _profile(entry: dict[str, Any]) -> Profile:
    attributes = entry.get("attributes") or {}
    email = _text(attributes.get("email"), 254)
    return Profile(
        id=str(entry["id"])[:64],
        email=email.lower() if email else None,
        phone=_text(attributes.get("phone_number"), 20),
        external_id=_text(attributes.get("external_id"), 200),
        joined_at=_time(attributes.get("joined_group_at")),
    )


def _text(told: object, longest: int) -> str | None:
    """What is longer than any of ours can be, or what no database takes, finds nobody."""
    text = told.strip() if isinstance(told, str) else ""
    unusable = len(text) > longest or "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text)
    return None if not text or unusable else text


def _time(told: object) -> datetime | None:
    if not isinstance(told, str):
        return None
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _dates(told: Any) -> Iterator[bool]:
    """For each condition on a date whether it compares with now."""
    if isinstance(told, dict):
        if told.get("type") == "date":
            yield told.get("operator") in _RELATIVE and "unit" in told
        for each in told.values():
            yield from _dates(each)
    elif isinstance(told, list):
        for each in told:
            yield from _dates(each)
