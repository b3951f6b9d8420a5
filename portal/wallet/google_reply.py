"""What Google's answers mean. One place decides; nothing is raised for what the network or Google did.

Source of the errors: https://developers.google.com/wallet/reference/rest/errors, and answers that people reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from portal.exchange import Answer

# Google's other APIs say 403 with these where others say 429.
_TOO_FAST = {"rateLimitExceeded", "userRateLimitExceeded"}


class Outcome(StrEnum):
    OK = "ok"
    CONFLICT = "conflict"  # it is there already
    MISSING = "missing"  # it, or the class it belongs to, is not there
    QUOTA = "quota"  # this card was notified three times within 24 hours
    FORBIDDEN = "forbidden"  # the service account may not act for this issuer
    KEY_REFUSED = "key_refused"  # the service account's key is not taken: deleted, disabled, or the clock is wrong
    REFUSED = "refused"  # the same request will be refused for ever
    THROTTLED = "throttled"  # too fast; not about this request
    TROUBLE = "trouble"  # no usable answer: it may have been carried out or not


_BY_STATUS = {
    401: Outcome.KEY_REFUSED,
    403: Outcome.FORBIDDEN,
    404: Outcome.MISSING,
    409: Outcome.CONFLICT,
    429: Outcome.THROTTLED,
}


@dataclass(frozen=True)
class Reply:
    """An answer and its meaning. `reason` is Google's code, `said` are its words."""

    outcome: Outcome
    answer: Answer
    reason: str = ""
    said: str = ""

    @property
    def ok(self) -> bool:
        return self.outcome is Outcome.OK

    @property
    def document(self) -> dict[str, Any]:
        """What was answered; empty where that is not an object."""
        body = self.answer.json()
        return body if isinstance(body, dict) else {}


def judge(answer: Answer) -> Reply:
    if answer.status is None:
        return Reply(Outcome.TROUBLE, answer, said=answer.failure or "no answer")
    if answer.status < 300 and isinstance(answer.json(), dict):
        return Reply(Outcome.OK, answer)
    # Google answers in JSON; a page in between (captive proxy, maintenance) says nothing about what we sent.
    told = answer.status >= 400 and (answer.is_json or answer.status == 429)
    if not told or answer.status >= 500 or answer.status == 408:
        return Reply(Outcome.TROUBLE, answer, said=f"HTTP {answer.status} without a usable answer")
    reason, said = _error(answer.json())
    return Reply(_refusal(answer.status, reason), answer, reason, said or f"HTTP {answer.status}")


def _refusal(status: int, reason: str) -> Outcome:
    if status == 403 and reason == "quotaExceeded":
        return Outcome.QUOTA
    if status == 403 and reason in _TOO_FAST:
        return Outcome.THROTTLED
    return _BY_STATUS.get(status, Outcome.REFUSED)


def _error(body: Any) -> tuple[str, str]:
    """(reason, message), without what no database takes (NUL, half a surrogate pair)."""
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, str):  # the token endpoint's shape, RFC 6749
        return _clean(error), _clean(body.get("error_description") or error)
    if not isinstance(error, dict):
        return "", ""
    details = error.get("errors")
    first = details[0] if isinstance(details, list) and details and isinstance(details[0], dict) else {}
    return _clean(first.get("reason") or error.get("status") or ""), _clean(error.get("message") or "")


def _clean(value: object) -> str:
    return str(value).replace("\x00", "").encode(errors="replace").decode().strip()[:500]
