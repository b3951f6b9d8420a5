"""The keys of the stand-in, made once into its data folder: a service account for the portal, and Google's root key.

The service account's file is there before anything else starts, so that `make run` can hand it to the portal.
"""

import json
import os
import secrets
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from sandbox.config import Config

TOKEN_PATH = "/google/token"
_PROJECT = "sandbox-cards"


def service_account(config: Config) -> dict[str, Any]:
    """The portal's, as it lies in the data folder; made where it is missing."""
    path = config.google_dir / "service-account.json"
    if not path.exists():
        _write(path, json.dumps(make_account(config.url, "portal"), indent=2))
    account: dict[str, Any] = json.loads(path.read_text())
    return account


def root_key(config: Config) -> ec.EllipticCurvePrivateKey:
    """Google's own, likewise."""
    path = config.google_dir / "root.pem"
    if not path.exists():
        _write(path, _pem(ec.generate_private_key(ec.SECP256R1())))
    key = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def make_account(url: str, name: str) -> dict[str, Any]:
    """A service account's key file, as Google's console hands it out."""
    key = rsa.generate_private_key(65537, 2048)
    email = f"{name}@{_PROJECT}.iam.gserviceaccount.com"
    return {
        "type": "service_account",
        "project_id": _PROJECT,
        "private_key_id": secrets.token_hex(20),
        "private_key": _pem(key),
        "client_email": email,
        "client_id": str(secrets.randbelow(10**21)),
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": f"{url}{TOKEN_PATH}",
        "universe_domain": "googleapis.com",
    }


def public_pem(account: dict[str, Any]) -> str:
    key = load_pem_private_key(account["private_key"].encode(), None)
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _write(path: Path, text: str) -> None:
    """Whole or not at all, and for nobody else to read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".part")
    half.touch(mode=0o600)
    half.write_text(text)
    os.replace(half, path)
