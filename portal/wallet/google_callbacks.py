"""Callbacks of Google Wallet: somebody saved or removed a card. Believed only when Google signed them for this issuer.

They come more than once and late: the caller remembers each `nonce`. `ECv2SigningOnly`, as in
https://developers.google.com/pay/api/web/guides/resources/payment-data-cryptography#verify-signature.
"""

from __future__ import annotations

import base64
import json
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from portal.wallet.google_keys import PROTOCOL, RootKeys, epoch_seconds, public_key

SENDER = "GooglePayPasses"
LARGEST_BODY = 16_384
MOST_SIGNATURES = 8


class CallbackError(Exception):
    """Not to be acted upon."""


class MalformedCallbackError(CallbackError):
    """It does not have the shape of a callback."""


class ForgedCallbackError(CallbackError):
    """Google did not sign it."""


class ExpiredCallbackError(CallbackError):
    """It, or the key that signed it, is past its time."""


class ForeignCallbackError(CallbackError):
    """It is about a card of another issuer."""


class Happened(StrEnum):
    SAVED = "save"
    REMOVED = "del"


@dataclass(frozen=True)
class Callback:
    """`nonce` is the same for each copy; `count` is Google's number of the event, where it gave one."""

    happened: Happened
    class_id: str
    object_id: str
    nonce: str
    count: int | None
    expires_at: datetime


@dataclass(frozen=True)
class _Envelope:
    """The parts of the body as they were signed: texts, not yet believed."""

    signature: bytes
    key: str
    key_signatures: tuple[bytes, ...]
    message: str


def verify_callback(body: bytes, issuer_id: str, keys: RootKeys) -> Callback:
    """What happened. May fetch Google's keys. Raises a `CallbackError`, or `KeysUnavailableError`: ask for a repeat."""
    envelope = _opened(body)
    callback = _message(envelope.message)
    if not all(each.startswith(f"{issuer_id}.") for each in (callback.class_id, callback.object_id)):
        raise ForeignCallbackError("the card belongs to another issuer")
    key, key_expires_at = _signing_key(envelope.key)
    now = time.time()
    if key_expires_at <= now or callback.expires_at.timestamp() <= now:
        raise ExpiredCallbackError("the callback is past its time")
    # Cheap and ours first; only what passed all this is worth Google's keys.
    if not _signed(key, [envelope.signature], signed_text(SENDER, issuer_id, PROTOCOL, envelope.message)):
        raise ForgedCallbackError("the message is not signed by the key that came with it")
    vouched = signed_text(SENDER, PROTOCOL, envelope.key)
    if not _vouched(keys.current(), envelope, vouched) and not (
        keys.fetched_again() and _vouched(keys.current(), envelope, vouched)
    ):
        raise ForgedCallbackError("none of Google's keys vouches for the key that came with it")
    return callback


def signed_text(*parts: str) -> bytes:
    """What is signed: each part after its length in bytes, four of them, lowest first."""
    encoded = [part.encode() for part in parts]
    return b"".join(struct.pack("<I", len(each)) + each for each in encoded)


def _vouched(roots: Iterable[EllipticCurvePublicKey], envelope: _Envelope, text: bytes) -> bool:
    return any(_signed(root, envelope.key_signatures, text) for root in roots)


def _signed(key: EllipticCurvePublicKey, signatures: Iterable[bytes], text: bytes) -> bool:
    for signature in signatures:
        try:
            key.verify(signature, text, ECDSA(SHA256()))
        except InvalidSignature:
            continue
        return True
    return False


def _opened(body: bytes) -> _Envelope:
    if len(body) > LARGEST_BODY:
        raise MalformedCallbackError("the body is too large")
    outer = _object(body, "the body")
    if outer.get("protocolVersion") != PROTOCOL:
        raise MalformedCallbackError(f"protocolVersion is not {PROTOCOL}")
    intermediate = outer.get("intermediateSigningKey")
    if not isinstance(intermediate, dict):
        raise MalformedCallbackError("intermediateSigningKey is missing")
    signatures = intermediate.get("signatures")
    if not isinstance(signatures, list) or not 0 < len(signatures) <= MOST_SIGNATURES:
        raise MalformedCallbackError("intermediateSigningKey.signatures is not a short list")
    return _Envelope(
        signature=_decoded(outer.get("signature")),
        key=_text(intermediate, "signedKey"),
        key_signatures=tuple(_decoded(each) for each in signatures),
        message=_text(outer, "signedMessage"),
    )


def _signing_key(text: str) -> tuple[EllipticCurvePublicKey, float]:
    told = _object(text, "signedKey")
    key, expires_at = public_key(told.get("keyValue")), epoch_seconds(told.get("keyExpiration"))
    if key is None or expires_at is None:
        raise MalformedCallbackError("signedKey has no P-256 key with an expiration")
    return key, expires_at


def _message(text: str) -> Callback:
    told = _object(text, "signedMessage")
    kind, expires_at, count = told.get("eventType"), epoch_seconds(told.get("expTimeMillis")), told.get("count")
    if kind not in list(Happened):
        raise MalformedCallbackError("eventType is neither save nor del")
    if expires_at is None:
        raise MalformedCallbackError("expTimeMillis is not a time")
    return Callback(
        happened=Happened(kind),
        class_id=_text(told, "classId"),
        object_id=_text(told, "objectId"),
        nonce=_text(told, "nonce"),
        count=count if isinstance(count, int) and 0 <= count < 2**53 else None,
        expires_at=datetime.fromtimestamp(expires_at, UTC),
    )


def _object(text: str | bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise MalformedCallbackError(f"{what} is not JSON") from None
    if not isinstance(found, dict):
        raise MalformedCallbackError(f"{what} is not an object")
    return found


def _text(told: dict[str, Any], name: str) -> str:
    """A member that is a text which can be stored: no NUL and no half of a surrogate pair."""
    value = told.get(name)
    if not isinstance(value, str) or not value or "\x00" in value:
        raise MalformedCallbackError(f"{name} is missing")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise MalformedCallbackError(f"{name} is not a text") from None
    return value


def _decoded(value: object) -> bytes:
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
    except ValueError:
        pass
    raise MalformedCallbackError("a signature is not base64")
