"""Google's root keys, which vouch for the keys that sign callbacks. Fetched once and kept until they end.

A bad signature is no reason to fetch: else whoever posts rubbish makes us call Google. Once an hour it may be one.
"""

from __future__ import annotations

import base64
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from portal.exchange import USER_AGENT, exchange
from portal.wallet.google_reply import judge

ROOT_KEYS_URL = "https://pay.google.com/gp/m/issuer/keys"
PROTOCOL = "ECv2SigningOnly"
FETCH_AGAIN_SECONDS = 3600
AFTER_TROUBLE_SECONDS = 30
_NEVER = float("-inf")


class KeysUnavailableError(Exception):
    """Google's root keys cannot be had now: the callback was not judged, and should come again."""


@dataclass(frozen=True)
class RootKey:
    key: EllipticCurvePublicKey
    expires_at: float


class RootKeys:
    """One process's copy. Threads that need it at once wait for one fetch."""

    def __init__(self, url: str = ROOT_KEYS_URL) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._keys: tuple[RootKey, ...] = ()
        self._fetched_at = _NEVER
        self._failed_at = _NEVER

    def current(self) -> list[EllipticCurvePublicKey]:
        """The keys that hold now. May call Google. Raises `KeysUnavailableError`."""
        with self._lock:
            now = time.time()
            if not self._keys or any(each.expires_at <= now for each in self._keys):
                self._fetch(now)
            return [each.key for each in self._keys]

    def fetched_again(self) -> bool:
        """After a signature that no key vouches for: whether the keys are new since, which is tried once an hour."""
        with self._lock:
            now = time.time()
            if now < self._fetched_at + FETCH_AGAIN_SECONDS:
                return False
            self._fetch(now)
            return True

    def _fetch(self, now: float) -> None:
        if now < self._failed_at + AFTER_TROUBLE_SECONDS:
            raise KeysUnavailableError("Google's keys could not be fetched a moment ago")
        reply = judge(exchange("GET", self._url, "", headers={"User-Agent": USER_AGENT}))
        keys = tuple(each for each in _root_keys(reply.document.get("keys")) if each.expires_at > now)
        if not keys:
            self._failed_at = now
            raise KeysUnavailableError(reply.said or "the answer has no key that holds")
        self._keys, self._fetched_at, self._failed_at = keys, now, _NEVER


@lru_cache(maxsize=8)
def root_keys(url: str = ROOT_KEYS_URL) -> RootKeys:
    """This process's copy of the keys at this address."""
    return RootKeys(url)


def public_key(text: object) -> EllipticCurvePublicKey | None:
    """A P-256 key from base64 of its DER form; None where it is not one."""
    try:
        key = load_der_public_key(base64.b64decode(str(text), validate=True))
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1) else None


def epoch_seconds(milliseconds: object) -> float | None:
    """A time in milliseconds, which Google writes as a text or a number; None where it is neither."""
    text = str(milliseconds)
    return int(text) / 1000 if text.isascii() and text.isdigit() and len(text) < 15 else None


def _root_keys(listed: Any) -> list[RootKey]:
    found = []
    for each in listed if isinstance(listed, list) else []:
        if not isinstance(each, dict) or each.get("protocolVersion") != PROTOCOL:
            continue
        key, expires_at = public_key(each.get("keyValue")), epoch_seconds(each.get("keyExpiration"))
        if key is not None and expires_at is not None:
            found.append(RootKey(key, expires_at))
    return found
