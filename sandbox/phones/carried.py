"""The phones of one sandbox: who is there, what they carry and have done. Whatever goes over the network is an errand."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from cryptography import x509
from flask import current_app

from sandbox.apple.pushes import Answer
from sandbox.config import Config
from sandbox.phones.errands import LOOK, REGISTER, Errand, Errands
from sandbox.phones.schema import ALL_TABLES, TABLES
from sandbox.store import Row, Store

IOS, ANDROID = "ios", "android"
NAMES = {IOS: "iPhone", ANDROID: "Android phone"}
# Of each phone; the pages show fewer.
_HAPPENINGS_KEPT = 200


class Phones:
    """`root` gives the authority that cards must come from, when it is first needed."""

    def __init__(
        self, config: Config, root: Callable[[], x509.Certificate], run: Callable[[Phones, Errand], bool]
    ) -> None:
        self.config, self.root = config, root
        self.store = Store(config.data_dir / "phones.sqlite3", TABLES)
        self.errands = Errands(self.store, lambda errand: run(self, errand))
        # Of phones that are or were here: a benchmark pushes to a hundred thousand others.
        self._tokens: frozenset[str] = frozenset()
        self._plant()
        self.errands.ring()

    def _plant(self) -> None:
        if not self.store.count("SELECT COUNT(*) FROM phone"):
            self.make(IOS, "iphone")
            self.make(ANDROID, "android")
        self._remember_tokens()

    def _remember_tokens(self) -> None:
        rows = self.store.rows("SELECT token FROM phone UNION SELECT token FROM dead_token")
        self._tokens = frozenset(row["token"] for row in rows)

    def all(self) -> list[Row]:
        return self.store.rows("SELECT * FROM phone ORDER BY pk")

    def find(self, phone_id: str) -> Row | None:
        return self.store.row("SELECT * FROM phone WHERE id = ?", (phone_id,))

    def with_pk(self, pk: int) -> Row | None:
        return self.store.row("SELECT * FROM phone WHERE pk = ?", (pk,))

    def make(self, kind: str, phone_id: str | None = None, name: str | None = None) -> str:
        """A new phone that carries nothing; its id."""
        number = self.store.count("SELECT COUNT(*) FROM phone WHERE kind = ?", (kind,)) + 1
        phone_id = phone_id or f"{kind}-{secrets.token_hex(4)}"
        name = name or NAMES[kind] + (f" {number}" if number > 1 else "")
        row = (phone_id, kind, name, secrets.token_hex(16), secrets.token_hex(32), time.time())
        with self.store.writing() as connection:
            connection.execute("INSERT INTO phone (id, kind, name, device, token, made) VALUES (?, ?, ?, ?, ?, ?)", row)
        self._remember_tokens()
        return phone_id

    def lose(self, phone: Row) -> None:
        """It is gone without a word; Apple finds out by itself."""
        with self.store.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO dead_token VALUES (?, ?)", (phone["token"], time.time()))
            for table in ("card", "seen", "notice", "happening", "errand"):
                connection.execute(f"DELETE FROM {table} WHERE phone = ?", (phone["pk"],))  # noqa: S608
            connection.execute("DELETE FROM phone WHERE pk = ?", (phone["pk"],))

    def clear_notices(self, phone: Row) -> None:
        """Wipe the lock screen. What came before is not shown again, on whichever kind of phone."""
        with self.store.writing() as connection:
            connection.execute("UPDATE phone SET cleared = ? WHERE pk = ?", (time.time(), phone["pk"]))

    def set_offline(self, phone: Row, offline: bool) -> None:
        with self.store.writing() as connection:
            connection.execute("UPDATE phone SET offline = ? WHERE pk = ?", (offline, phone["pk"]))
        self.errands.ring()

    def change_token(self, phone: Row) -> None:
        """As a phone's push token changes now and then: every card is registered again under the new one."""
        with self.store.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO dead_token VALUES (?, ?)", (phone["token"], time.time()))
            token = secrets.token_hex(32)
            connection.execute("UPDATE phone SET token = ? WHERE pk = ?", (token, phone["pk"]))
            for card in connection.execute("SELECT * FROM card WHERE phone = ?", (phone["pk"],)).fetchall():
                if card["automatic"] and card["web_service"]:
                    self.errands.ask(connection, REGISTER, card)
        self._remember_tokens()
        self.errands.ring()

    def note(self, phone: int, text: str) -> None:
        """One line of what a phone did."""
        with self.store.writing() as connection:
            connection.execute("INSERT INTO happening (phone, at, text) VALUES (?, ?, ?)", (phone, time.time(), text))
            connection.execute(
                "DELETE FROM happening WHERE phone = ?1 AND pk <="
                " (SELECT pk FROM happening WHERE phone = ?1 ORDER BY pk DESC LIMIT 1 OFFSET ?2)",
                (phone, _HAPPENINGS_KEPT),
            )

    def deliver(self, token: str, topic: str) -> Answer:
        """A push for one of the phones here; any other token leads nowhere, and nobody is told."""
        if token not in self._tokens:
            return Answer()
        phone = self.store.row("SELECT * FROM phone WHERE token = ?", (token,))
        if phone is None:
            dead = self.store.row("SELECT at FROM dead_token WHERE token = ?", (token,))
            return Answer(410, "Unregistered", int(dead["at"] * 1000)) if dead else Answer()
        cards = self.store.rows("SELECT * FROM card WHERE phone = ? AND pass_type = ?", (phone["pk"], topic))
        awake = {card["web_service"]: card for card in cards if card["automatic"] and card["web_service"]}
        with self.store.writing() as connection:
            for card in awake.values():
                self.errands.ask(connection, LOOK, card)
        self.errands.ring()
        return Answer()

    def reset(self) -> None:
        with self.errands.paused():
            self.store.empty(ALL_TABLES)
            self._plant()

    def close(self) -> None:
        self.errands.stop()
        self.store.close()


def phones() -> Phones:
    found: Phones = current_app.extensions["phones"]
    return found
