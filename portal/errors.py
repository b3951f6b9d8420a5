"""What can go wrong, in our words.

Every error carries a code for programs, a sentence for people, an HTTP status and, where one is at fault, a field.
"""

from __future__ import annotations


class PortalError(Exception):
    """Base of what we say ourselves. `message` may be shown to anybody as it is."""

    status = 400
    code = "bad_request"

    def __init__(self, message: str, *, field: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.code = code or type(self).code


class InvalidError(PortalError):
    """The input is understood and refused; `field` names the part at fault."""

    status = 422
    code = "invalid"


class NotFoundError(PortalError):
    status = 404
    code = "not_found"


class ConflictError(PortalError):
    status = 409
    code = "conflict"


class UnauthorizedError(PortalError):
    status = 401
    code = "unauthorized"


class ForbiddenError(PortalError):
    status = 403
    code = "forbidden"


class TooLargeError(PortalError):
    status = 413
    code = "too_large"


class UnsupportedMediaError(PortalError):
    status = 415
    code = "unsupported_media_type"


class TooManyError(PortalError):
    """Slow down; `retry_after` in seconds."""

    status = 429
    code = "rate_limited"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnavailableError(PortalError):
    """Trouble of ours that passes; trying again helps."""

    status = 503
    code = "unavailable"

    def __init__(self, message: str, *, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ConnectingError(PortalError):
    """Connecting to Klaviyo did not work; the message says what to do next."""

    status = 409
    code = "not_connected"
