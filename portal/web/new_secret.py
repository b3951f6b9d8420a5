"""A key that was just made, on its way to the page that shows it once: sealed for its user, and forgotten when it has been shown."""

from __future__ import annotations

from flask import session
from flask_login import current_user

from portal import crypto

NEW_SECRET = "new_secret"


def keep(secret: str) -> None:
    session[NEW_SECRET] = crypto.keyring().seal(secret, bound_to=_bound_to())


def take() -> str | None:
    sealed = session.pop(NEW_SECRET, None)
    if sealed is None:
        return None
    try:
        return crypto.keyring().open(sealed, bound_to=_bound_to())
    except crypto.SealError:
        return None  # keys were rotated in between: the secret is lost, and the key can be replaced


def _bound_to() -> str:
    return f"session.{NEW_SECRET}:{current_user.id}"
