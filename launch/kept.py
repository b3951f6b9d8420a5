"""What is made up once and kept in the data folder, readable by its owner only: secrets, keys, the demo's password.

A second start finds the same values, so that logins, stored tokens and programs go on working.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

EMAIL = "owner@nordic-coffee.example"


@dataclass(frozen=True)
class Kept:
    secret_key: str
    encryption_key: str
    redis_password: str
    email: str
    password: str
    client_id: str
    client_secret: str
    klaviyo_private_key: str


def load(data_dir: Path) -> Kept:
    """What was kept by an earlier start; what is missing is made and written."""
    path = data_dir / "secrets.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    kept = Kept(**{**asdict(_fresh()), **known})
    if asdict(kept) != known:
        write_private(path, json.dumps(asdict(kept), indent=2) + "\n")
    return kept


def _fresh() -> Kept:
    return Kept(
        secret_key=secrets.token_urlsafe(48),
        encryption_key="first:" + base64.b64encode(os.urandom(32)).decode(),
        redis_password=secrets.token_urlsafe(24),
        email=EMAIL,
        password=_password(),
        client_id="jericommerce-" + secrets.token_hex(8),
        client_secret=secrets.token_urlsafe(36),
        klaviyo_private_key="pk_" + secrets.token_hex(17),
    )


def _password() -> str:
    """Four made-up words that can be read out and typed: 50 bits, for a server on this machine."""
    words = ("".join(secrets.choice("bdfgklmnprstvwz") + secrets.choice("aeiou") for _ in range(2)) for _ in range(4))
    return "-".join(words)


def write_private(path: Path, text: str) -> None:
    """Write as a whole or not at all, and never readable by others, not even for a moment."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
