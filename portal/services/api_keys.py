"""Keys of a merchant's programs: shown once, kept as a hash, revoked at once.

`jc_live_<8 of id>_<32 random>_<6 of checksum>`: the id finds the row, the checksum tells a typing error without a look into the database.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
import time
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import bindparam, select, update

from portal.db import db, on_commit, run, utcnow
from portal.errors import InvalidError, NotFoundError, UnauthorizedError
from portal.models import ApiKey

ALPHABET = string.digits + string.ascii_letters
PREFIX = "jc_live"
USE_RECORDED_EVERY = timedelta(minutes=1)
# Looking a key up costs as much as writing an event, and a program shows the same one again and again.
LOOKED_UP_EVERY_SECONDS = 0.25
MOST_LIVE = 1_000


def create(merchant_id: int, name: str) -> tuple[ApiKey, str]:
    """The key and its secret, which is never seen again. Raises `InvalidError`."""
    if not 1 <= len(name.strip()) <= 60:
        raise InvalidError("Name the key after what uses it, in 1 to 60 characters.", field="name")
    prefix = f"{PREFIX}_{_draw(8)}"
    body = f"{prefix}_{_draw(32)}"
    secret = f"{body}_{_checksum(body)}"
    key = ApiKey(merchant_id=merchant_id, name=name.strip(), prefix=prefix, secret_hash=_hash(secret))
    db.session.add(key)
    db.session.flush()
    return key, secret


def list_keys(merchant_id: int) -> Sequence[ApiKey]:
    """Newest first, revoked ones at the end."""
    query = select(ApiKey).where(ApiKey.merchant_id == merchant_id)
    return db.session.scalars(query.order_by(ApiKey.revoked_at.is_not(None), ApiKey.id.desc())).all()


def revoke(merchant_id: int, key_id: int) -> ApiKey:
    """Raises `NotFoundError`."""
    key = db.session.scalar(select(ApiKey).where(ApiKey.merchant_id == merchant_id, ApiKey.id == key_id))
    if key is None:
        raise NotFoundError("There is no such key.")
    key.revoked_at = key.revoked_at or utcnow()
    on_commit(_live.clear)
    return key


class LiveKey(NamedTuple):
    """A key that was just shown, as far as a request needs it."""

    id: int
    merchant_id: int
    last_used_at: datetime | None


_KEYS = ApiKey.__table__
_FIND = select(_KEYS.c.id, _KEYS.c.merchant_id, _KEYS.c.last_used_at, _KEYS.c.secret_hash, _KEYS.c.revoked_at).where(
    _KEYS.c.prefix == bindparam("prefix")
)


# Hash of a secret to its key and until when it need not be looked up; a key that is revoked is forgotten at once in this
# process, and within a moment in the others.
_live: dict[str, tuple[LiveKey, float]] = {}


def authenticate(secret: str) -> LiveKey:
    """The live key of this secret. Raises `UnauthorizedError`, the same for every reason but a revoked key."""
    hashed = _hash(secret)
    key, until = _live.get(hashed, (None, 0.0))
    if key is not None and time.monotonic() < until:
        return key
    if len(_live) >= MOST_LIVE:
        _live.clear()
    key = _look_up(secret, hashed)
    _live[hashed] = (key, time.monotonic() + LOOKED_UP_EVERY_SECONDS)
    return key


def _look_up(secret: str, hashed: str) -> LiveKey:
    body, _, checksum = secret.rpartition("_")
    prefix = secret.rsplit("_", 2)[0]
    key = None
    if hmac.compare_digest(checksum.encode(), _checksum(body).encode()):
        key = run(_FIND, {"prefix": prefix}).first()
    if key is None or not hmac.compare_digest(key.secret_hash, hashed):
        raise UnauthorizedError("This API key is not known. Check that the whole key was copied, or create a new one.")
    if key.revoked_at is not None:
        raise UnauthorizedError("This API key was revoked. Create a new one under Settings > API keys.")
    return LiveKey(key.id, key.merchant_id, key.last_used_at)


def use_is_stale(key: LiveKey) -> bool:
    """`last_used_at` is worth a write."""
    return key.last_used_at is None or utcnow() - key.last_used_at > USE_RECORDED_EVERY


def note_use(key_id: int) -> None:
    """Nobody waits for it, who may hold what the other wants: a row that is taken is left to whoever has it."""
    free = select(ApiKey.id).where(ApiKey.id == key_id).with_for_update(skip_locked=True).scalar_subquery()
    db.session.execute(update(ApiKey).where(ApiKey.id == free).values(last_used_at=utcnow()))


def _draw(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, len(ALPHABET))
        digits += ALPHABET[digit]
    return digits


def _hash(secret: str) -> str:
    # 190 bits of randomness: a fast hash is enough (OWASP ASVS 5.0, 6.5.2).
    return hashlib.sha256(secret.encode()).hexdigest()


def name_of(key_id: int) -> str:
    """What the owner called a key, for the audit log."""
    return db.session.scalar(select(ApiKey.name).where(ApiKey.id == key_id)) or ""
