"""A push as it is asked for: one set of types checks the request and writes the description of the API.

Klaviyo renders a missing variable as an empty text, so blank means absent everywhere but in the message.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from portal.models import PushSource
from portal.services.events import digest_of
from portal.services.values import Email, Identifier, Moment, Optional, Phone
from portal.services.wording import PUSH, in_words

LONGEST_MESSAGE, LONGEST_TITLE, LONGEST_URL = 500, 60, 2048
IDENTIFIERS = ("customer_id", "klaviyo_profile_id", "email", "phone_number")
# Marks that turn the direction of all that follows: a message could pretend to say something else.
_TURNING = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{2,59})", re.IGNORECASE)
_NOT_PUBLIC = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "invalid", "onion")


def _trimmed(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _readable(text: str) -> str:
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text) or _TURNING & set(text):
        raise ValueError("must not contain line breaks or other control characters")
    return text


def public_address(text: str) -> str:
    """A plain https address of a public host, as it is. It is only passed on, never fetched."""
    if any(character <= " " or character in '\\\x7f"<>' for character in text):
        raise ValueError("must not contain spaces, quotation marks or control characters")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        host = host.encode("idna").decode()
    except ValueError as error:
        raise ValueError("is not a web address") from error
    if parts.scheme != "https":
        raise ValueError("must begin with https://")
    if "@" in parts.netloc or port not in (None, 443):
        raise ValueError("must not contain a user name or a port")
    if not _HOST.fullmatch(host) or host.rpartition(".")[2].lower() in _NOT_PUBLIC:
        raise ValueError("must lead to a public website, such as https://yourstore.com/rewards")
    return text


_Trim = BeforeValidator(_trimmed)
_Text = Annotated[str, AfterValidator(_readable)]


class PushIn(BaseModel):
    """One message for one customer. At least one identifier; they are tried in the order of this list."""

    model_config = ConfigDict(extra="forbid", strict=True)

    customer_id: Annotated[Identifier | None, Optional, _Trim] = Field(
        None,
        description="Our id, your own id (what `{{ person.id }}` renders), or the id of the profile in Klaviyo. Blank is absent.",
        examples=["{{ person.id }}"],
    )
    klaviyo_profile_id: Annotated[Identifier | None, Optional, _Trim] = Field(
        None, description="The id of the profile in Klaviyo.", examples=["{{ person.KlaviyoID }}"]
    )
    email: Annotated[Email | None, Optional, _Trim] = Field(None, examples=["ada@example.com"])
    phone_number: Annotated[Phone | None, Optional, _Trim] = Field(None, examples=["+4520123456"])
    message: Annotated[_Text, Field(min_length=1, max_length=LONGEST_MESSAGE), _Trim] = Field(
        description="What the lock screen says.", examples=["Your reward is ready!"]
    )
    title: Annotated[Annotated[_Text, Field(max_length=LONGEST_TITLE)] | None, Optional, _Trim] = Field(
        None, description="A line above the message.", examples=["Nordic Coffee"]
    )
    url: Annotated[
        Annotated[str, Field(max_length=LONGEST_URL), AfterValidator(public_address)] | None, Optional, _Trim
    ] = Field(
        None,
        description="Where the link on the card leads: an https address of a public website.",
        examples=["https://yourstore.com/rewards"],
    )
    idempotency_key: Annotated[Identifier | None, Optional, _Trim] = Field(
        None,
        description="What makes a repeat; the header `Idempotency-Key` does the same. Without one, the content does. Kept for 48 hours.",
    )
    expires_at: Annotated[Moment | None, Optional] = Field(
        None,
        description="Not shown after that: ISO 8601 with zone.",
        examples=["2026-11-25T18:00:00+01:00"],
    )
    dry_run: bool = Field(False, description="Check only: nothing is sent and nothing is kept.")

    @model_validator(mode="after")
    def _somebody(self) -> PushIn:
        if not any(getattr(self, name) for name in IDENTIFIERS):
            raise ValueError(
                "needs at least one of customer_id, klaviyo_profile_id, email, phone_number that is not blank"
            )
        return self


@dataclass(frozen=True)
class PushOrder:
    """What is to be said to whom; `who` are the identifiers by their names, `key` is a hash of what makes a repeat."""

    who: dict[str, str]
    message: str
    title: str | None
    url: str | None
    expires_at: datetime | None
    dry_run: bool
    key: str
    digest: bytes
    source: PushSource = PushSource.API


def hear_push(
    document: dict[str, Any], header_key: str | None = None, *, source: PushSource = PushSource.API
) -> PushOrder:
    """Raises `InvalidError` that names the field and the remedy."""
    if header_key and not str(document.get("idempotency_key") or "").strip():
        document = {**document, "idempotency_key": header_key}
    try:
        told = PushIn.model_validate(document)
    except ValidationError as error:
        raise in_words(error, PUSH) from error
    said = told.model_dump(mode="json", exclude={"idempotency_key", "dry_run"}, exclude_none=True)
    digest = digest_of(said)
    return PushOrder(
        who={name: value for name in IDENTIFIERS if (value := getattr(told, name))},
        message=told.message,
        title=told.title,
        url=told.url,
        expires_at=told.expires_at,
        dry_run=told.dry_run,
        key=key_of(told.idempotency_key) if told.idempotency_key else key_of("", json.dumps(said, sort_keys=True)),
        digest=digest,
        source=source,
    )


def key_of(*parts: str) -> str:
    return hashlib.blake2b("\x00".join(parts).encode(), digest_size=32).hexdigest()
