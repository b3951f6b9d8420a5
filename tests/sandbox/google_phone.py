"""A client of the stand-in for Google Wallet as a portal is one, written without the portal, and a server for its callbacks."""

from __future__ import annotations

import base64
import json
import threading
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_private_key

if TYPE_CHECKING:
    from tests.sandbox.conftest import Running

ISSUER = "3388000000099999999"
CLASS_ID, CARD_ID = f"{ISSUER}.coffee", f"{ISSUER}.card-1"
SCOPE = "https://www.googleapis.com/auth/wallet_object.issuer"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def _packed(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


@cache
def _key(pem: str) -> rsa.RSAPrivateKey:
    key = load_pem_private_key(pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def signed(account: dict[str, Any], claims: dict[str, Any], **header: Any) -> str:
    key = _key(account["private_key"])
    top = {"alg": "RS256", "typ": "JWT", "kid": account["private_key_id"], **header}
    text = ".".join(_packed(json.dumps(part).encode()) for part in (top, claims))
    return f"{text}.{_packed(key.sign(text.encode(), padding.PKCS1v15(), SHA256()))}"


def programme(**more: Any) -> dict[str, Any]:
    return {
        "id": CLASS_ID,
        "issuerName": "Nordic Coffee",
        "programName": "Coffee Club",
        "programLogo": {"sourceUri": {"uri": "https://shop.example/logo.png"}},
        "reviewStatus": "UNDER_REVIEW",
        **more,
    }


def card(**more: Any) -> dict[str, Any]:
    return {
        "id": CARD_ID,
        "classId": CLASS_ID,
        "state": "ACTIVE",
        "accountId": "NC-1",
        "loyaltyPoints": {"label": "Points", "balance": {"int": 120}},
        **more,
    }


class Portal:
    """Speaks to the stand-in with one service account."""

    def __init__(self, running: Running, account: dict[str, Any] | None = None) -> None:
        self.running = running
        self.account = account or running.control("GET", "/google/service-account")
        self._token = ""

    @classmethod
    def invited(cls, running: Running, account: dict[str, Any]) -> Portal:
        """With an account that was made before; the stand-in would make one of its own."""
        (running.config.google_dir / "service-account.json").write_text(json.dumps(account))
        return cls(running)

    def assertion(self, account: dict[str, Any] | None = None, **claims: Any) -> str:
        now = int(time.time())
        usual = {
            "iss": self.account["client_email"],
            "scope": SCOPE,
            "aud": self.account["token_uri"],
            "iat": now,
            "exp": now + 3600,
        }
        return signed(account or self.account, {**usual, **claims})

    def ask_for_token(self, assertion: str | None = None) -> requests.Response:
        form = {"grant_type": GRANT, "assertion": assertion or self.assertion()}
        return self.running.session.post(self.running.url + "/google/token", data=form, timeout=20)

    def api(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        self._token = self._token or self.ask_for_token().json()["access_token"]
        headers = {"Authorization": f"Bearer {self._token}"}
        url = f"{self.running.url}/walletobjects/v1/{path}"
        return self.running.session.request(method, url, json=body, headers=headers, timeout=20, **more)

    def insert(self, **class_members: Any) -> None:
        """The class and the card."""
        assert self.api("POST", "loyaltyClass", programme(**class_members)).ok
        assert self.api("POST", "loyaltyObject", card()).ok

    def message(self, path: str, message_id: str, kind: str = "TEXT_AND_NOTIFY") -> requests.Response:
        message = {"id": message_id, "header": "Nordic", "body": f"Hello {message_id}", "messageType": kind}
        return self.api("POST", f"{path}/addMessage", {"message": message})

    def save_token(self, account: dict[str, Any] | None = None, **claims: Any) -> str:
        usual = {
            "iss": self.account["client_email"],
            "aud": "google",
            "typ": "savetowallet",
            "iat": int(time.time()),
            "origins": [],
            "payload": {"loyaltyObjects": [{"id": CARD_ID, "classId": CLASS_ID}]},
        }
        return signed(account or self.account, {**usual, **claims})

    def card(self) -> dict[str, Any]:
        found: dict[str, Any] = self.running.control("GET", f"/google/cards/{CARD_ID}")
        return found


class Receiver(ThreadingHTTPServer):
    """Takes callbacks, and answers the first of them as it is told."""

    daemon_threads = True

    def __init__(self, *answers: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = list(answers)
        self.bodies: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/callbacks"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def events(self) -> list[str]:
        return [json.loads(body["signedMessage"])["eventType"] for body in self.bodies]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def is_googles(body: dict[str, Any], root_keys: dict[str, Any]) -> bool:
    """Whether Google signed a callback, by the book."""
    (root,) = root_keys["keys"]
    signed_key = body["intermediateSigningKey"]["signedKey"]
    (vouched,) = body["intermediateSigningKey"]["signatures"]
    issuer = json.loads(body["signedMessage"])["objectId"].partition(".")[0]
    try:
        _verify(root["keyValue"], vouched, "GooglePayPasses", "ECv2SigningOnly", signed_key)
        key = json.loads(signed_key)["keyValue"]
        _verify(key, body["signature"], "GooglePayPasses", issuer, "ECv2SigningOnly", body["signedMessage"])
    except InvalidSignature:
        return False
    return True


def _verify(key: str, signature: str, *parts: str) -> None:
    public = load_der_public_key(base64.b64decode(key))
    assert isinstance(public, ec.EllipticCurvePublicKey)
    text = b"".join(len(part.encode()).to_bytes(4, "little") + part.encode() for part in parts)
    public.verify(base64.b64decode(signature), text, ec.ECDSA(SHA256()))
