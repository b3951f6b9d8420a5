"""What Apple's push service answers to one request, by Apple's own table of reasons. Decides; sends nothing.

https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.klaviyo.faults import Fault

PATH = "/3/device/"
_TOKEN = re.compile(r"(?:[0-9a-fA-F]{2}){32,100}")
_LARGEST_PAYLOAD = 4096
_PUSH_TYPES = ("alert", "background", "location", "voip", "complication", "fileprovider", "mdm", "liveactivity")

# What a status that was ordered says where no reason was ordered with it.
REASONS = {
    400: "BadDeviceToken",
    403: "BadCertificate",
    404: "BadPath",
    405: "MethodNotAllowed",
    410: "Unregistered",
    413: "PayloadTooLarge",
    429: "TooManyRequests",
    500: "InternalServerError",
    503: "ServiceUnavailable",
}


@dataclass(frozen=True)
class Push:
    """One request as it came in, and the pass type of the certificate it came with."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    certified_topic: str

    @property
    def token(self) -> str:
        return self.path.removeprefix(PATH).lower()

    @property
    def topic(self) -> str:
        return self.headers.get("apns-topic", "")


@dataclass(frozen=True)
class Answer:
    status: int = 200
    reason: str = ""
    # Since when the token has been known to be dead, in milliseconds; with 410 only.
    timestamp: int | None = None

    @property
    def body(self) -> bytes:
        if self.status == 200:
            return b""
        told: dict[str, Any] = {"reason": self.reason}
        if self.timestamp is not None:
            told["timestamp"] = self.timestamp
        return json.dumps(told, separators=(",", ":")).encode()


def refusal(push: Push) -> Answer | None:
    """What is wrong with a request, whoever its device may be."""
    if push.method != "POST":
        return Answer(405, "MethodNotAllowed")
    if not push.path.startswith(PATH):
        return Answer(404, "BadPath")
    if not push.token:
        return Answer(400, "MissingDeviceToken")
    if "authorization" in push.headers:
        return Answer(403, "InvalidProviderToken")
    wrong = _wrong_header(push)
    if wrong:
        return Answer(400, wrong)
    if len(push.body) > _LARGEST_PAYLOAD:
        return Answer(413, "PayloadTooLarge")
    if not _is_object(push.body):
        return Answer(400, "PayloadEmpty")
    return None


def _wrong_header(push: Push) -> str | None:
    headers = push.headers
    checks = (
        (_TOKEN.fullmatch(push.token) is not None, "BadDeviceToken"),
        (bool(push.topic), "MissingTopic"),
        (push.topic == push.certified_topic, "BadTopic"),
        (headers.get("apns-priority", "10") in ("1", "5", "10"), "BadPriority"),
        (headers.get("apns-expiration", "0").isdigit(), "BadExpirationDate"),
        (headers.get("apns-push-type", "alert") in _PUSH_TYPES, "InvalidPushType"),
        ("apns-id" not in headers or _is_uuid(headers["apns-id"]), "BadMessageId"),
        (len(headers.get("apns-collapse-id", "").encode()) <= 64, "BadCollapseId"),
    )
    return next((reason for good, reason in checks if not good), None)


def ordered(fault: Fault, now: float) -> Answer:
    """The answer that an ordered status gives."""
    reason = fault.reason or REASONS.get(fault.status, "InternalServerError")
    timestamp = (fault.timestamp or int(now * 1000)) if fault.status == 410 else None
    return Answer(fault.status, reason, timestamp)


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _is_object(body: bytes) -> bool:
    if body == b"{}":
        return True
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False
