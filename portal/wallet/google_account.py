"""A Google service account: the JSON key file that Google's console hands out, and signing with the key in it.

The file's `token_uri` is not used: whoever uploads a file must not choose where we call.
Source: https://developers.google.com/wallet/retail/loyalty-cards/getting-started/auth/rest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.auth import jwt
from google.auth.crypt import RSASigner

from portal.wallet.errors import ServiceAccountError

TOKEN_URI = "https://oauth2.googleapis.com/token"
SMALLEST_KEY_BITS = 2048
LARGEST_FILE = 20_000

_NEW_KEY = "In the Google Cloud console, create a new key of type JSON for the service account, and upload that file unchanged."
_OTHER_FILES = {
    "authorized_user": "of a person's own login",
    "external_account": "of workload identity federation",
    "installed": "of an OAuth client",
    "web": "of an OAuth client",
}


@dataclass(frozen=True)
class ServiceAccount:
    """Who calls Google. Keep one for as long as it is used: reading its key takes a moment."""

    client_email: str
    private_key_id: str
    private_key: str = field(repr=False)
    token_uri: str = TOKEN_URI

    @cached_property
    def _signer(self) -> RSASigner:
        # The key was checked when it was uploaded; checking it again costs 50 ms in each new process.
        key = load_pem_private_key(self.private_key.encode(), None, unsafe_skip_rsa_key_validation=True)
        return RSASigner(key, key_id=self.private_key_id)  # type: ignore[no-untyped-call]

    def sign(self, claims: dict[str, Any]) -> str:
        """The claims as a JWT, signed RS256."""
        signed: bytes = jwt.encode(self._signer, claims)  # type: ignore[no-untyped-call]
        return signed.decode()


def check_service_account(text: str, token_uri: str = TOKEN_URI) -> ServiceAccount:
    """A file as it was uploaded, with its key looked at closely. Raises `ServiceAccountError`."""
    account = read_service_account(text, token_uri)
    _check_key(account.private_key)
    return account


def read_service_account(text: str, token_uri: str = TOKEN_URI) -> ServiceAccount:
    """A file that was checked before. Raises `ServiceAccountError` where it is no such file at all."""
    file = _json(text)
    _check_kind(file)
    email = _text(file, "client_email")
    if "@" not in email:
        raise _error("email", "The client_email in this file is not an email address.", "client_email")
    return ServiceAccount(email, _text(file, "private_key_id"), _text(file, "private_key"), token_uri)


def _error(code: str, happened: str, field: str | None = None) -> ServiceAccountError:
    return ServiceAccountError(
        code, f"{happened} The portal could not speak to Google with it. {_NEW_KEY}", field=field
    )


def _json(text: str) -> dict[str, Any]:
    if len(text) > LARGEST_FILE:
        raise _error("too_large", "This file is too large to be a service account's key.")
    try:
        file = json.loads(text)
    except (ValueError, RecursionError):
        raise _error("not_json", "This file is not JSON.") from None
    if not isinstance(file, dict):
        raise _error("other_file", "This file is not a service account's key.")
    return file


def _check_kind(file: dict[str, Any]) -> None:
    kind = file.get("type")
    if kind == "service_account":
        return
    names = [kind, *file] if isinstance(kind, str) else list(file)
    other = next((f" but the file {_OTHER_FILES[name]}" for name in names if name in _OTHER_FILES), "")
    raise _error("other_file", f"This file is not a service account's key{other and ','}{other}.", "type")


def _text(file: dict[str, Any], name: str) -> str:
    value = file.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _error("incomplete", f"This file has no {name}.", name)
    return value


def _check_key(pem: str) -> None:
    try:
        key = load_pem_private_key(pem.encode(errors="replace"), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _error(
            "key", "The private_key in this file cannot be read: it is damaged or encrypted.", "private_key"
        ) from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < SMALLEST_KEY_BITS:
        happened = f"The private_key in this file is not an RSA key of at least {SMALLEST_KEY_BITS} bits."
        raise _error("key", happened, "private_key")
