"""How a call to Klaviyo can go wrong. Two questions decide: did an answer arrive, and is it worth trying again?

KlaviyoError
├── NoAnswerError          nothing usable came back (time-out, reset, HTML of a proxy, garbage): try again
└── AnsweredError          Klaviyo answered; `.status` and `.errors` say what
    ├── ThrottledError     429: try again after `.retry_after`, it does not count as a try
    ├── UnauthorizedError  401: the access token is not taken; refresh it once
    ├── ForbiddenError     403 in JSON: a scope is missing; only the merchant can mend it
    ├── RefusedError       any other 4xx: the same request will be refused for ever
    └── UnavailableError   5xx: try again
"""

from __future__ import annotations

from typing import Any

from portal.exchange import Answer


class KlaviyoError(Exception):
    """Base. `permanent` is true where a repeat cannot help."""

    permanent = False


class NoAnswerError(KlaviyoError):
    pass


class AnsweredError(KlaviyoError):
    def __init__(self, answer: Answer) -> None:
        self.status = answer.status or 0
        self.errors = _errors(answer.json())
        super().__init__(self.detail or f"HTTP {self.status}")

    @property
    def detail(self) -> str:
        """Klaviyo's own words, without repetition, and without what no database takes (NUL, half a surrogate pair)."""
        said = dict.fromkeys(str(error.get("detail") or error.get("title") or "") for error in self.errors)
        return " ".join(said).replace("\x00", "").encode(errors="replace").decode().strip()

    @property
    def pointers(self) -> list[str]:
        """JSON pointers to the parts at fault."""
        sources = (error.get("source") for error in self.errors)
        return [str(source["pointer"]) for source in sources if isinstance(source, dict) and source.get("pointer")]


class ThrottledError(AnsweredError):
    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.retry_after = answer.retry_after


class UnauthorizedError(AnsweredError):
    pass


class ForbiddenError(AnsweredError):
    permanent = True


class RefusedError(AnsweredError):
    permanent = True


class UnavailableError(AnsweredError):
    pass


# These say all there is to say by their number.
_CLEAR_WITHOUT_WORDS = (401, 429)
_BY_STATUS: dict[int, type[AnsweredError]] = {401: UnauthorizedError, 403: ForbiddenError, 429: ThrottledError}


def verdict(answer: Answer) -> KlaviyoError | None:
    """What is wrong with this answer; None where it is a success."""
    if answer.status is None:
        return NoAnswerError(answer.failure or "no answer")
    if answer.status < 300:
        # A 2xx of Klaviyo's is empty or whole JSON; a page in between (captive proxy, maintenance) is neither.
        whole = not answer.body or (answer.is_json and answer.json() is not None)
        return None if whole else NoAnswerError(f"HTTP {answer.status} without JSON")
    if answer.status < 400:
        return NoAnswerError(f"HTTP {answer.status}: an unexpected redirect")
    if answer.status >= 500:
        return UnavailableError(answer)
    if answer.status == 408:
        return NoAnswerError("HTTP 408")
    if not answer.is_json and answer.status not in _CLEAR_WITHOUT_WORDS:
        # Not Klaviyo's words but a proxy's, such as Cloudflare's challenge (klaviyo-api-python#84): not about what we sent.
        return NoAnswerError(f"HTTP {answer.status} without JSON")
    return _BY_STATUS.get(answer.status, RefusedError)(answer)


def _errors(body: Any) -> list[dict[str, Any]]:
    errors = body.get("errors") if isinstance(body, dict) else None
    return [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
