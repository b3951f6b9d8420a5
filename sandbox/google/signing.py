"""Signs callbacks as Google does, `ECv2SigningOnly`: a root key vouches for a key of some weeks, which signs the message.

https://developers.google.com/pay/api/web/guides/resources/payment-data-cryptography#verify-signature
"""

import base64
import json
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PROTOCOL = "ECv2SigningOnly"
SENDER = "GooglePayPasses"
_KEY_SECONDS = 30 * 86_400
_ROOT_SECONDS = 3650 * 86_400


class Signer:
    """Uses this machine's clock, never the one that can be moved: whoever checks has no other."""

    def __init__(self, root: ec.EllipticCurvePrivateKey) -> None:
        self._root = root
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._signed_key = json.dumps({"keyValue": _public(self._key), "keyExpiration": _millis(_KEY_SECONDS)})
        self._vouched = _sign(root, SENDER, PROTOCOL, self._signed_key)

    def root_keys(self) -> dict[str, Any]:
        """What Google publishes, so that anybody can check a callback."""
        key = {"keyValue": _public(self._root), "protocolVersion": PROTOCOL, "keyExpiration": _millis(_ROOT_SECONDS)}
        return {"keys": [key]}

    def envelope(self, issuer: str, message: dict[str, Any], *, forged: bool = False) -> str:
        """The body of a callback; a forged one is signed by a key that the root never saw."""
        signed_message = json.dumps(message)
        key = ec.generate_private_key(ec.SECP256R1()) if forged else self._key
        return json.dumps(
            {
                "signature": _sign(key, SENDER, issuer, PROTOCOL, signed_message),
                "intermediateSigningKey": {"signedKey": self._signed_key, "signatures": [self._vouched]},
                "protocolVersion": PROTOCOL,
                "signedMessage": signed_message,
            }
        )


def _sign(key: ec.EllipticCurvePrivateKey, *parts: str) -> str:
    encoded = [part.encode() for part in parts]
    text = b"".join(len(each).to_bytes(4, "little") + each for each in encoded)
    return base64.b64encode(key.sign(text, ec.ECDSA(SHA256()))).decode()


def _public(key: ec.EllipticCurvePrivateKey) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def _millis(ahead: float) -> str:
    return str(int((time.time() + ahead) * 1000))
