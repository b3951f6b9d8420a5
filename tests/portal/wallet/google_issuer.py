"""What Google would hold on its side: a service account's key, root keys, and callbacks signed with them.

Written from the description of ECv2SigningOnly, and apart from what it tests.
"""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

ISSUER = "3388000000012345678"
CLASS_ID, OBJECT_ID = f"{ISSUER}.coffee", f"{ISSUER}.card-1"
DAY = 86_400


@cache
def service_account_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def pem(key: Any, encryption: Any = None) -> str:
    made: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return made.decode()


@cache
def service_account_file() -> str:
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "cards",
            "private_key_id": "0a1b2c",
            "private_key": pem(service_account_key()),
            "client_email": "portal@cards.iam.gserviceaccount.com",
            "token_uri": "http://169.254.169.254/latest",
        }
    )


@dataclass
class Signer:
    """Google's root key and the key that it vouches for."""

    root: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    root_ends_in: float = DAY
    key_ends_in: float = DAY

    def root_keys(self) -> dict[str, Any]:
        """The answer of the address of Google's root keys."""
        return {
            "keys": [
                {"keyValue": "bm90IGEga2V5", "protocolVersion": "ECv1"},
                {
                    "keyValue": _public(self.root),
                    "protocolVersion": "ECv2SigningOnly",
                    "keyExpiration": _millis(self.root_ends_in),
                },
            ]
        }

    def callback(self, issuer: str = ISSUER, *, sender: str = "GooglePayPasses", **message: Any) -> bytes:
        """A callback as it is posted; `message` changes what it says."""
        told = {
            "classId": f"{issuer}.coffee",
            "objectId": f"{issuer}.card-1",
            "eventType": "save",
            "expTimeMillis": int((time.time() + DAY) * 1000),
            "count": 1,
            "nonce": "a-nonce",
            **message,
        }
        return self.envelope(json.dumps(told, ensure_ascii=False), issuer, sender)

    def envelope(self, signed_message: str, issuer: str = ISSUER, sender: str = "GooglePayPasses") -> bytes:
        signed_key = json.dumps({"keyValue": _public(self.key), "keyExpiration": _millis(self.key_ends_in)})
        vouched = _sign(self.root, sender, "ECv2SigningOnly", signed_key)
        body = {
            "signature": _sign(self.key, sender, issuer, "ECv2SigningOnly", signed_message),
            "intermediateSigningKey": {"signedKey": signed_key, "signatures": [vouched]},
            "protocolVersion": "ECv2SigningOnly",
            "signedMessage": signed_message,
        }
        return json.dumps(body).encode()


def _sign(key: ec.EllipticCurvePrivateKey, *parts: str) -> str:
    text = b""
    for part in parts:
        raw = part.encode("utf-8")
        text += len(raw).to_bytes(4, "little") + raw
    return base64.b64encode(key.sign(text, ec.ECDSA(SHA256()))).decode()


def _public(key: ec.EllipticCurvePrivateKey) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def _millis(seconds: float) -> str:
    return str(int((time.time() + seconds) * 1000))
