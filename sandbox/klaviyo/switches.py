"""What can be changed while the sandbox runs (`PUT /_sandbox/settings`), kept in the database.

`now()` is the sandbox's only clock: it can be moved, so that tests need not wait ninety days.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from sandbox.store import Store


@dataclass
class Switches:
    limits: bool = True
    visibility_seconds: float = 1.0
    import_step_seconds: float = 1.0
    rotate_refresh_tokens: bool = False
    access_ttl_seconds: int = 3600
    strict_bulk_dedupe: bool = True
    apply_segment_flag_filters: bool = False
    merged_ids_resolve_seconds: float = 3600.0
    # How long an hour of waiting inside a flow lasts: of a delay, or of the 24 hours in which a webhook is retried.
    flow_hour_seconds: float = 5.0
    clock_offset_seconds: float = 0.0
    # Good phone numbers that begin so are of a region the accounts do not support.
    unsupported_phone_prefixes: list[str] = field(default_factory=list)
    latency_ms: dict[str, float] = field(default_factory=dict)

    def now(self) -> float:
        """Whole microseconds, so that a time that was answered and comes back in a filter is equal to itself."""
        return round(time.time() + self.clock_offset_seconds, 6)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def change(self, wanted: Mapping[str, Any], store: Store) -> list[str]:
        """Apply what is valid as a whole, or nothing; returns what was wrong."""
        wrong = [message for name, value in wanted.items() if (message := self._complaint(name, value))]
        if wrong:
            return wrong
        with store.writing() as connection:
            for name, value in wanted.items():
                setattr(self, name, value)
                connection.execute("INSERT OR REPLACE INTO switch VALUES (?, ?)", (name, json.dumps(value)))
        return []

    def load(self, store: Store) -> None:
        for row in store.rows("SELECT name, value FROM switch"):
            if row["name"] in _DEFAULTS:
                setattr(self, row["name"], json.loads(row["value"]))

    def restore_defaults(self) -> None:
        for name, value in asdict(Switches()).items():
            setattr(self, name, value)

    def _complaint(self, name: str, value: Any) -> str | None:
        if name not in _DEFAULTS:
            return f"there is no setting {name!r}"
        default = _DEFAULTS[name]
        if isinstance(default, bool):
            return None if isinstance(value, bool) else f"{name} must be true or false"
        if isinstance(default, dict):
            good = isinstance(value, dict) and all(_is_number(each) and each >= 0 for each in value.values())
            return None if good else f"{name} must map a path prefix to milliseconds"
        if isinstance(default, list):
            good = isinstance(value, list) and all(isinstance(each, str) and each for each in value)
            return None if good else f"{name} must be a list of texts"
        if not _is_number(value):
            return f"{name} must be a number"
        return f"{name} must not be negative" if value < 0 and name != "clock_offset_seconds" else None


_DEFAULTS: dict[str, Any] = {each.name: getattr(Switches(), each.name) for each in fields(Switches)}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def iso(seconds: float | None) -> str | None:
    """A time as Klaviyo writes it: UTC with an explicit offset."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
