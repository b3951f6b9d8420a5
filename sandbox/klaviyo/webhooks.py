"""One delivery of a flow's webhook action: a POST with the merchant's headers and body, no signature, and what came of it.

Klaviyo repeats on 429, 500, 502 and 503, and when no answer comes; everything else but a 2xx is skipped for good.
"""

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

USER_AGENT = "KlaviyoStandIn-FlowWebhook/1.0"
RETRIES = 17
RETRY_SECONDS = 24 * 3600.0
_RETRIED = {429, 500, 502, 503}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_CONNECT_SECONDS, _ANSWER_SECONDS = 3.05, 10.0
_KEPT = 2048
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True)
class Answer:
    """What the receiver said; without a status, nothing came and `told` says why."""

    status: int | None
    told: str

    @property
    def sent(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def worth_a_retry(self) -> bool:
        return self.status is None or self.status in _RETRIED


def retry_after(tries: int) -> float:
    """Seconds to the next try after so many: exponential, and the seventeen of them make up 24 hours."""
    shares = [1.5**number for number in range(RETRIES)]
    return RETRY_SECONDS * shares[tries - 1] / sum(shares)


def complaints(message: dict[str, Any]) -> dict[str, str]:
    """What is wrong with a webhook's settings, by field."""
    found = {}
    if not _allowed(message["url"]):
        found["url"] = "The URL must be valid and start with https:// (http:// only to this machine)."
    for name, value in (message.get("headers") or {}).items():
        if not _HEADER_NAME.fullmatch(name) or not isinstance(value, str) or "\n" in value or "\r" in value:
            found["headers"] = f"'{name}' is not a header with a text on one line."
    return found


def _allowed(url: str) -> bool:
    try:
        address = urlsplit(url)
        plain_here = address.scheme == "http" and address.hostname in _LOOPBACK
        return bool(address.hostname) and (address.scheme == "https" or plain_here) and (address.port or 1) > 0
    except ValueError:
        return False


def post(message: dict[str, Any], body: str) -> Answer:
    """Deliver once. Redirects are not followed, and nothing is added but what a request cannot be without."""
    headers = {"User-Agent": USER_AGENT, "Content-Type": "application/json", **(message.get("headers") or {})}
    with requests.Session() as session:
        session.trust_env = False
        try:
            with session.post(
                message["url"], body.encode(), headers=headers, allow_redirects=False, stream=True,
                timeout=(_CONNECT_SECONDS, _ANSWER_SECONDS),
            ) as response:  # fmt: skip
                told = response.raw.read(_KEPT, decode_content=True)
                return Answer(response.status_code, told.decode("utf-8", "replace"))
        except requests.exceptions.InvalidHeader as error:
            return Answer(0, str(error))
        except (requests.RequestException, OSError) as error:
            return Answer(None, f"no answer ({type(error).__name__})")


def is_json(body: str) -> bool:
    """Whether a rendered body is what most receivers expect; Klaviyo sends it either way."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
