"""Everything the stand-in is made of, put together once for each application.

Handlers get it from `world()`; nothing here is a module global, so that two sandboxes can live in one process.
"""

from typing import Protocol

from flask import current_app

from sandbox.config import Config
from sandbox.klaviyo import seeds
from sandbox.klaviyo.faults import Faults
from sandbox.klaviyo.flow_runner import FlowRunner
from sandbox.klaviyo.inbox import Inbox
from sandbox.klaviyo.limits import Limits
from sandbox.klaviyo.profile_imports import Importer
from sandbox.klaviyo.recorder import Recorder
from sandbox.klaviyo.schema import DATA_TABLES, EVENT_TABLES, TABLES
from sandbox.klaviyo.switches import Switches
from sandbox.klaviyo.tokens import Tokens
from sandbox.store import Row, Store


class Neighbour(Protocol):
    """Another stand-in of the same sandbox: set back and closed together with this one."""

    def reset(self) -> None: ...
    def close(self) -> None: ...


class World:
    def __init__(self, config: Config) -> None:
        self.config = config
        self.beside: list[Neighbour] = []
        self.store = Store(config.data_dir / "sandbox.sqlite3", TABLES)
        self.switches = Switches()
        self.switches.load(self.store)
        self._apply_start_settings()
        self.limits = Limits()
        self.faults = Faults()
        self.recorder = Recorder()
        self.tokens = Tokens(config, self.store, self.switches)
        seeds.plant(self.store, self.switches.now(), config)
        self.inbox = Inbox(self.store, self.switches, config.data_dir / "accepted")
        self.importer = Importer(self.store, self.switches)
        self.flows = FlowRunner(self.store, self.switches)

    def _apply_start_settings(self) -> None:
        if self.config.limits is not None:
            self.switches.limits = self.config.limits
        if self.config.visibility_seconds is not None:
            self.switches.visibility_seconds = self.config.visibility_seconds
            self.switches.import_step_seconds = min(self.switches.import_step_seconds, self.config.visibility_seconds)

    def account(self, account_id: str) -> Row | None:
        return self.store.row("SELECT * FROM account WHERE id = ?", (account_id,))

    def accounts(self) -> list[Row]:
        return self.store.rows("SELECT * FROM account ORDER BY pk")

    def reset(self, only_events: bool = False) -> None:
        """Back to the first start, or only without events."""
        with self.inbox.paused(), self.importer.paused(), self.flows.paused():
            self.store.empty(EVENT_TABLES if only_events else DATA_TABLES)
            self.inbox.forget()
            self.recorder.forget()
            self.limits.forget()
            self.flows.orders.forget()
            if only_events:
                return
            self.faults.clear()
            self.switches.restore_defaults()
            self._apply_start_settings()
            self.tokens.forget()
            seeds.plant(self.store, self.switches.now(), self.config)
        for each in self.beside:
            each.reset()

    def close(self) -> None:
        # Whoever came last may stand on those before.
        for each in reversed(self.beside):
            each.close()
        self.inbox.stop()
        self.importer.stop()
        self.flows.stop()
        self.store.close()


def world() -> World:
    found: World = current_app.extensions["klaviyo_stand_in"]
    return found
