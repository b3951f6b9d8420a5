"""Profiles at Klaviyo: bodies that create or update them, one by one and in bulk, and what comes back.

What is absent stays as it is, null clears; each profile is named by exactly one identifier. Sources: POST /api/profile-import,
POST /api/profile-bulk-import-jobs and GET /api/profiles in Klaviyo's OpenAPI description, revision 2026-07-15.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring as _quote
from typing import Any
from urllib.parse import parse_qs, urlsplit

from portal.klaviyo.client import Client

PATH = "/api/profile-import"
BULK_PATH = "/api/profile-bulk-import-jobs"
LIST_PATH = "/api/profiles"
BULK_PROFILES = 10_000
# Klaviyo's cap is 5 MB of body; the rest is for the wrapping.
BULK_BYTES = 4_500_000
PAGE = 100
# Errors of one import beyond that are not read: a person has enough to do with these.
MOST_ERROR_PAGES = 20
FIELDS = "email,phone_number,external_id,properties"


@dataclass(frozen=True)
class Profile:
    """As much of a profile as we look at."""

    id: str
    email: str | None = None
    phone: str | None = None
    external_id: str | None = None
    properties: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Job:
    """A bulk import: `ended` whether or not rows failed, `cancelled` where nothing more comes of it."""

    id: str
    ended: bool
    cancelled: bool
    failed: int


@dataclass(frozen=True)
class RowError:
    """Why one row of a bulk import was not taken; `place` is its number, `who` the identifier it had."""

    detail: str
    pointer: str
    place: int | None
    who: str | None


# --- bodies --------------------------------------------------------------------------------------


def upsert(*, klaviyo_profile_id: str | None, email: str | None, phone: str | None, properties: str) -> str:
    """A profile with exactly one identifier: seeing two at once, Klaviyo may merge profiles for good. `properties` is JSON."""
    if klaviyo_profile_id:
        return f'{{"type":"profile","id":{_quote(klaviyo_profile_id)},"attributes":{{"properties":{properties}}}}}'
    identifier = f'"email":{_quote(email)}' if email else f'"phone_number":{_quote(phone or "")}'
    return f'{{"type":"profile","attributes":{{{identifier},"properties":{properties}}}}}'


def single(profile: str) -> str:
    """Body of POST /api/profile-import."""
    return f'{{"data":{profile}}}'


def bulk(profiles: Iterable[str]) -> str:
    """Body of POST /api/profile-bulk-import-jobs."""
    return '{"data":{"type":"profile-bulk-import-job","attributes":{"profiles":{"data":[' + ",".join(profiles) + "]}}}}"


_PLACE = re.compile(r"/profiles/data/(\d+)(?:/|$)")


def place_of(pointer: str) -> int | None:
    """Which row of a bulk body an error's pointer names."""
    match = _PLACE.search(pointer)
    return int(match[1]) if match else None


# --- answers -------------------------------------------------------------------------------------


def read_profile(document: Any) -> Profile | None:
    """Of an answer or a list's entry; None where it is not one."""
    resource = document.get("data", document) if isinstance(document, dict) else None
    if not isinstance(resource, dict) or not isinstance(resource.get("id"), str):
        return None
    told = _object(resource.get("attributes"))
    properties = told.get("properties")
    return Profile(
        id=resource["id"],
        email=_text(told.get("email")),
        phone=_text(told.get("phone_number")),
        external_id=_text(told.get("external_id")),
        properties=properties if isinstance(properties, dict) else {},
    )


def read_job(document: Any) -> Job | None:
    resource = _object(document.get("data")) if isinstance(document, dict) else {}
    told = _object(resource.get("attributes"))
    if not isinstance(resource.get("id"), str):
        return None
    status, failed = told.get("status"), told.get("failed_count")
    return Job(
        id=resource["id"],
        ended=status in ("complete", "cancelled"),
        cancelled=status == "cancelled",
        failed=failed if isinstance(failed, int) else 0,
    )


def fetch_job(client: Client, job_id: str) -> Job | None:
    """Raises a `KlaviyoError`."""
    return read_job(client.read(f"{BULK_PATH}/{job_id}"))


def fetch_errors(client: Client, job_id: str) -> list[RowError]:
    """Why rows of an import were not taken. Raises a `KlaviyoError`."""
    found: list[RowError] = []
    params = {"page[size]": str(PAGE)}
    for _ in range(MOST_ERROR_PAGES):
        document = client.read(f"{BULK_PATH}/{job_id}/import-errors", params)
        found += [_row_error(entry) for entry in document.get("data", []) if isinstance(entry, dict)]
        cursor = _cursor(document)
        if cursor is None:
            break
        params = {**params, "page[cursor]": cursor}
    return found


def fetch_by(client: Client, name: str, values: Sequence[str]) -> list[Profile]:
    """The profiles that have one of these identifiers; `name` is id, email or phone_number. Raises a `KlaviyoError`."""
    found: list[Profile] = []
    for start in range(0, len(values), PAGE):
        wanted = json.dumps(values[start : start + PAGE], ensure_ascii=False, separators=(",", ":"))
        found += _page(client, {"filter": f"any({name},{wanted})"})
    return found


def fetch_some(client: Client) -> list[Profile]:
    """Those that changed last, as a sample of the account. Raises a `KlaviyoError`."""
    return _page(client, {"sort": "-updated"})


def _page(client: Client, params: dict[str, str]) -> list[Profile]:
    document = client.read(LIST_PATH, {"fields[profile]": FIELDS, "page[size]": str(PAGE), **params})
    return [profile for entry in document.get("data", []) if (profile := read_profile(entry))]


def _row_error(entry: dict[str, Any]) -> RowError:
    told = _object(entry.get("attributes"))
    pointer = str(_object(told.get("source")).get("pointer") or "")
    payload = _object(told.get("original_payload"))
    named = {**payload, **_object(payload.get("attributes"))}
    who = next((value for name in ("id", "email", "phone_number") if (value := _text(named.get(name)))), None)
    return RowError(str(told.get("detail") or told.get("title") or ""), pointer, place_of(pointer), who)


def _cursor(document: dict[str, Any]) -> str | None:
    following = _object(document.get("links")).get("next")
    return parse_qs(urlsplit(str(following)).query).get("page[cursor]", [None])[0] if following else None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
