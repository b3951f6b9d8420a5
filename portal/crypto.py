"""Secrets at rest: AES-256-GCM, bound to the row they belong to.

A ciphertext that is moved to another merchant or another column does not decrypt. Keys carry an id, so that they can be rotated.
"""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any, Protocol, overload

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Sequence

NONCE_BYTES = 12
VERSION = "v1"


class SealError(Exception):
    """A sealed value cannot be opened: its key is gone, it was cut, or it belongs to another row."""


class Keyring:
    """Encryption keys by id; the first seals, all open."""

    def __init__(self, pairs: Sequence[str]) -> None:
        self._keys = {kid: AESGCM(base64.b64decode(key)) for kid, _, key in (pair.partition(":") for pair in pairs)}
        self._newest = pairs[0].partition(":")[0]

    def seal(self, text: str, *, bound_to: str) -> str:
        """`v1:key id:base64(nonce + ciphertext)`."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._keys[self._newest].encrypt(nonce, text.encode(), bound_to.encode())
        return f"{VERSION}:{self._newest}:{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, *, bound_to: str) -> str:
        """The text again. Raises `SealError`, which never contains the secret."""
        try:
            version, kid, encoded = sealed.split(":")
            raw = base64.b64decode(encoded, validate=True)
            if version != VERSION:
                raise SealError(f"unknown format {version[:8]!r}")
            return self._keys[kid].decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], bound_to.encode()).decode()
        except (ValueError, KeyError, InvalidTag) as error:
            raise SealError(f"cannot be opened ({type(error).__name__})") from error

    def is_newest(self, sealed: str) -> bool:
        return sealed.startswith(f"{VERSION}:{self._newest}:")


class _HasMerchant(Protocol):
    merchant_id: Any


_ring: Keyring | None = None


def use_keys(pairs: Sequence[str]) -> None:
    """Install the keyring of this process (called once, by `create_app`)."""
    global _ring
    _ring = Keyring(pairs)


def keyring() -> Keyring:
    if _ring is None:
        raise RuntimeError("crypto.use_keys() has not been called")
    return _ring


class EncryptedText:
    """Descriptor over a mapped text column: reads and writes the plain text, stores it sealed to table, column and merchant."""

    def __init__(self, column: str) -> None:
        self.column = column

    def _bound_to(self, row: Any) -> str:
        return f"{row.__tablename__}.{self.column}:{row.merchant_id}"

    @overload
    def __get__(self, row: None, owner: type) -> EncryptedText: ...
    @overload
    def __get__(self, row: _HasMerchant, owner: type) -> str | None: ...
    def __get__(self, row: Any, owner: type) -> EncryptedText | str | None:
        if row is None:
            return self
        sealed = getattr(row, self.column)
        return None if sealed is None else keyring().open(sealed, bound_to=self._bound_to(row))

    def __set__(self, row: Any, text: str | None) -> None:
        setattr(row, self.column, None if text is None else keyring().seal(text, bound_to=self._bound_to(row)))

    def reseal(self, row: Any) -> bool:
        """Seal again with the newest key; false where that was not needed."""
        sealed = getattr(row, self.column)
        if sealed is None or keyring().is_newest(sealed):
            return False
        self.__set__(row, self.__get__(row, type(row)))
        return True
