"""Everything this stand-in is made of, put together once for each application.

Clock, faults, limits on or off, and the list of requests are Klaviyo's: there is one of each in a sandbox.
"""

import math
import threading

from flask import current_app

from sandbox.config import Config
from sandbox.google import identity
from sandbox.google.callbacks import Poster
from sandbox.google.schema import DATA_TABLES, TABLES
from sandbox.google.signing import Signer
from sandbox.klaviyo.world import World
from sandbox.store import Row, Store

REQUESTS_PER_SECOND = 20


class Google:
    def __init__(self, config: Config, klaviyo: World) -> None:
        self.config = config
        self.switches, self.faults, self.recorder = klaviyo.switches, klaviyo.faults, klaviyo.recorder
        self.store = Store(config.google_dir / "google.sqlite3", TABLES)
        self.signer = Signer(identity.root_key(config))
        self._lock = threading.Lock()
        self._second: dict[str, tuple[int, int]] = {}
        self.poster = Poster(self.store)

    def service_account(self, email: object) -> Row | None:
        """One that may call Google; the portal's own is invited when first asked for, because making it takes a while."""
        with self._lock:
            if not self.store.count("SELECT COUNT(*) FROM service_account"):
                self.register(identity.service_account(self.config), [self.config.google_issuer_id])
        return self.store.row("SELECT * FROM service_account WHERE email = ? AND NOT disabled", (str(email),))

    def register(self, account: dict[str, str], issuers: list[str]) -> None:
        """Invite a service account as a developer of these issuers."""
        row = (account["client_email"], account["private_key_id"], identity.public_pem(account), " ".join(issuers))
        with self.store.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO service_account VALUES (?, ?, ?, ?, 0)", row)

    def within_limit(self, caller: str) -> bool:
        """Count a request; twenty may pass in each second of the clock."""
        second = math.floor(self.switches.now())
        with self._lock:
            at, used = self._second.get(caller, (second, 0))
            used = used if at == second else 0
            if self.switches.limits and used >= REQUESTS_PER_SECOND:
                return False
            self._second[caller] = (second, used + 1)
            return True

    def reset(self) -> None:
        self.store.empty(DATA_TABLES)
        self._second.clear()

    def close(self) -> None:
        self.poster.stop()
        self.store.close()


def google() -> Google:
    found: Google = current_app.extensions["google_stand_in"]
    return found
