"""Turning a schema's complaint into an error that names the field and the remedy."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from portal.errors import InvalidError
from portal.services.catalogue import BY_TYPE
from portal.services.properties import PropertyError

_MESSAGES = {
    "missing": "is missing",
    "extra_forbidden": "is not known; check its spelling or leave it out",
    "string_type": "must be text in quotation marks",
    "string_too_short": "must not be empty",
    "string_too_long": "must not be longer than {max_length} characters",
    "bool_type": "must be true or false",
    "dict_type": "must be an object, such as {{}}",
    "model_type": "must be an object, such as {example}",
    "model_attributes_type": "must be an object",
    "timezone_aware": "needs a time zone, such as +01:00 or Z at its end",
    "literal_error": f"must be one of {', '.join(BY_TYPE)}",
}

EVENT, CUSTOMER, PUSH = "The event", "The customer", "The push"
_EXAMPLES = {
    "customer": '{"email": "ada@example.com"}',
    EVENT: '{"id": "order-1042", "type": "balance_changed", ...}',
    CUSTOMER: '{"email": "ada@example.com", "first_name": "Ada"}',
    PUSH: '{"customer_id": "10422", "message": "Your reward is ready!"}',
}


def in_words(error: ValidationError, whole: str = EVENT) -> InvalidError:
    """The first complaint, with the path to its field; `whole` is what there is to say where it is about no field."""
    complaint: dict[str, Any] = dict(error.errors(include_url=False, include_input=False)[0])
    field = ".".join(str(part) for part in complaint["loc"])
    context = {**complaint.get("ctx", {}), "example": _EXAMPLES.get(field, _EXAMPLES[whole])}
    cause = context.get("error")
    if isinstance(cause, PropertyError):
        field = ".".join(part for part in ("properties", cause.name) if part)
        message = str(cause)
    elif cause is not None:
        message = str(cause)
    else:
        message = _MESSAGES.get(complaint["type"], "is not valid").format(**context)
    return InvalidError(f"{field or whole} {message}.", field=field or None)
