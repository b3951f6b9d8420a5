"""JSON Web Tokens signed RS256, taken apart and checked by hand: what the portal signs is judged by other code than its own."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key


class JwtError(Exception):
    """It cannot be read, or it is not signed by that key."""


@dataclass(frozen=True)
class Jwt:
    """A token that was read; nothing in it is to be believed before `check`."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes

    def check(self, public_pem: str) -> None:
        """Raises `JwtError` unless this key signed it."""
        key = load_pem_public_key(public_pem.encode())
        assert isinstance(key, rsa.RSAPublicKey)
        if self.header.get("alg") != "RS256":
            raise JwtError("Invalid JWT: the algorithm must be RS256.")
        try:
            key.verify(self.signature, self.signed, padding.PKCS1v15(), SHA256())
        except InvalidSignature:
            raise JwtError("Invalid JWT Signature.") from None


def read(text: str) -> Jwt:
    """Raises `JwtError`."""
    parts = text.split(".")
    if len(parts) != 3:
        raise JwtError("Invalid JWT: it must have three parts.")
    try:
        header, claims = (json.loads(_decoded(part)) for part in parts[:2])
        signature = _decoded(parts[2])
    except (ValueError, RecursionError):
        raise JwtError("Invalid JWT: it is not JSON in base64.") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise JwtError("Invalid JWT: header and claims must be objects.")
    return Jwt(header, claims, f"{parts[0]}.{parts[1]}".encode(), signature)


def _decoded(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
