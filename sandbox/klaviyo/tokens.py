"""Installs of the app and their tokens, and private keys: who is calling, and what may they do.

A token works until it expires or its install is revoked; each check is answered from memory where it can be.
"""

import base64
import json
import secrets
import sqlite3
from dataclasses import dataclass

from sandbox.config import Config
from sandbox.klaviyo.switches import Switches
from sandbox.store import Row, Store

REFRESH_IDLE_SECONDS = 90 * 86400


@dataclass(frozen=True)
class Caller:
    """Who sent a request. `quota` names the rate-limit bucket: one for an install, one for all keys of an account."""

    account: int
    account_id: str
    integration: str
    scopes: frozenset[str]
    quota: str
    expires: float | None = None


class Tokens:
    def __init__(self, config: Config, store: Store, switches: Switches) -> None:
        self._config = config
        self._store = store
        self._switches = switches
        self._known: dict[str, Caller] = {}

    def forget(self) -> None:
        """Drop what is remembered; after anything was revoked."""
        self._known = {}

    def caller(self, authorization: str) -> Caller | None:
        """The caller a header stands for, or None when it is not accepted (any more)."""
        known = self._known.get(authorization)
        if known is None:
            known = self._look_up(authorization)
            if known is None:
                return None
            self._known[authorization] = known
        if known.expires is not None and known.expires <= self._switches.now():
            return None
        return known

    def _look_up(self, authorization: str) -> Caller | None:
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return self._by_access_token(secret.strip())
        if scheme.lower() == "klaviyo-api-key":
            return self._by_private_key(secret.strip())
        return None

    def _by_access_token(self, secret: str) -> Caller | None:
        row = self._store.row(
            "SELECT t.*, a.id AS account_id FROM token t JOIN account a ON a.pk = t.account"
            " WHERE t.token = ? AND t.kind = 'access' AND t.revoked IS NULL",
            (secret,),
        )
        if row is None:
            return None
        scopes = frozenset(row["scopes"].split())
        return Caller(row["account"], row["account_id"], "app", scopes, f"install-{row['install']}", row["expires"])

    def _by_private_key(self, secret: str) -> Caller | None:
        row = self._store.row(
            "SELECT k.*, a.id AS account_id FROM private_key k JOIN account a ON a.pk = k.account WHERE k.key = ?",
            (secret,),
        )
        if row is None:
            return None
        scopes = frozenset(row["scopes"].split())
        return Caller(row["account"], row["account_id"], "api", scopes, f"keys-{row['account']}")

    def install(self, connection: sqlite3.Connection, account: int, scopes: str) -> int:
        """Record that the app is (again) installed in an account; returns the install's key."""
        now = self._switches.now()
        connection.execute(
            "INSERT INTO install (account, scopes, installed) VALUES (?, ?, ?) ON CONFLICT (account) DO UPDATE"
            " SET scopes = excluded.scopes, uninstalled = NULL,"
            " installed = CASE WHEN uninstalled IS NULL THEN installed ELSE excluded.installed END",
            (account, scopes, now),
        )
        return int(connection.execute("SELECT pk FROM install WHERE account = ?", (account,)).fetchone()[0])

    def issue(self, connection: sqlite3.Connection, kind: str, install: int, account: int, scopes: str) -> str:
        now = self._switches.now()
        expires = now + self._switches.access_ttl_seconds if kind == "access" else None
        token = _token_text(kind, install, self._config.client_id, int(now))
        connection.execute(
            "INSERT INTO token VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            (token, kind, install, account, scopes, now, now, expires),
        )
        return token

    def refresh_row(self, connection: sqlite3.Connection, token: str) -> Row | None:
        """A refresh token that still works: not revoked and used within the last ninety days."""
        row: Row | None = connection.execute(
            "SELECT * FROM token WHERE token = ? AND kind = 'refresh' AND revoked IS NULL", (token,)
        ).fetchone()
        if row is None or row["last_used"] + REFRESH_IDLE_SECONDS < self._switches.now():
            return None
        return row

    def uninstall(self, account: int) -> bool:
        """Revoke everything the app holds for an account; False when it was not installed."""
        now = self._switches.now()
        with self._store.writing() as connection:
            changed = connection.execute(
                "UPDATE install SET uninstalled = ? WHERE account = ? AND uninstalled IS NULL", (now, account)
            ).rowcount
            connection.execute("UPDATE token SET revoked = ? WHERE account = ? AND revoked IS NULL", (now, account))
        self.forget()
        return changed > 0

    def expire_access(self, account: int) -> int:
        with self._store.writing() as connection:
            changed = connection.execute(
                "UPDATE token SET expires = ? WHERE account = ? AND kind = 'access' AND revoked IS NULL"
                " AND expires > ?",
                (self._switches.now() - 1, account, self._switches.now()),
            ).rowcount
        self.forget()
        return changed


def _token_text(kind: str, install: int, client_id: str, now: int) -> str:
    """Long and dotted like Klaviyo's, so that nobody stores it in a short column; it is looked up, not verified."""
    parts = (
        json.dumps({"alg": "ES256", "typ": "JWT", "kid": secrets.token_hex(8)}),
        json.dumps({"iss": "klaviyo-sandbox", "use": kind, "install": install, "client": client_id, "iat": now}),
    )
    return ".".join([*(_base64(each.encode()) for each in parts), _base64(secrets.token_bytes(64))])


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
