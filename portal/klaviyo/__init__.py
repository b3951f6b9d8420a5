"""A small library for the part of Klaviyo's API that we use. Knows nothing of the portal: no settings, no rows, no Flask."""

from portal.exchange import Answer
from portal.klaviyo.client import Client
from portal.klaviyo.errors import (
    AnsweredError,
    ForbiddenError,
    KlaviyoError,
    NoAnswerError,
    RefusedError,
    ThrottledError,
    UnauthorizedError,
    UnavailableError,
    verdict,
)

__all__ = [
    "Answer",
    "AnsweredError",
    "Client",
    "ForbiddenError",
    "KlaviyoError",
    "NoAnswerError",
    "RefusedError",
    "ThrottledError",
    "UnauthorizedError",
    "UnavailableError",
    "verdict",
]
