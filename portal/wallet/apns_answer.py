"""What became of one push, by Apple's table of answers. A phone that is gone, a bad token and a bad certificate are three things.

https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    ACCEPTED = "accepted"  # by Apple; that the phone fetched the card is another thing
    GONE = "gone"  # forget the device, unless it registered again after `gone_since`
    BAD_TOKEN = "bad_token"  # never was Apple's, or not for this card: forget the device
    RETRY = "retry"  # after `retry_after` seconds, if Apple said when
    REFUSED = "refused"  # our request was wrong; a repeat will be refused as well
    UNHEALTHY = "unhealthy"  # the certificate is not taken: only the merchant can mend it
    NOT_TRIED = "not_tried"  # the batch was stopped before; `reason` says why


@dataclass(frozen=True)
class Pushed:
    """`reason` is Apple's own word where Apple answered, and ours where no answer came."""

    token: str
    outcome: Outcome
    status: int | None = None
    reason: str = ""
    apns_id: str = ""
    retry_after: int | None = None
    gone_since: datetime | None = None


_BAD_TOKEN = {"BadDeviceToken", "DeviceTokenNotForTopic"}
_BAD_CERTIFICATE = {"BadTopic", "MissingTopic", "TopicDisallowed"}


def outcome_of(status: int, reason: str) -> Outcome:
    if status == 200:
        return Outcome.ACCEPTED
    if status == 410:
        return Outcome.GONE
    if status in (408, 429) or status >= 500:
        return Outcome.RETRY
    if status == 403 or reason in _BAD_CERTIFICATE:
        return Outcome.UNHEALTHY
    return Outcome.BAD_TOKEN if reason in _BAD_TOKEN else Outcome.REFUSED


def judged(token: str, status: int, body: bytes, *, apns_id: str = "", retry_after: int | None = None) -> Pushed:
    said = _json(body)
    reason = str(said.get("reason", ""))[:80]
    return Pushed(
        token=token,
        outcome=outcome_of(status, reason),
        status=status,
        reason=reason,
        apns_id=apns_id[:80],
        retry_after=retry_after,
        gone_since=_moment(said.get("timestamp")) if status == 410 else None,
    )


def _json(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _moment(milliseconds: Any) -> datetime | None:
    """Since when Apple has known; None where it does not say."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
