"""Who enters which live flow: by an event of its metric, or by joining its segment.

A run is written in the transaction of what caused it; the runner finds it there. Backfilled events enter nothing.
"""

import json
import sqlite3
from collections.abc import Iterable
from typing import Any, NamedTuple

_UNIT_SECONDS = {"hour": 3600, "day": 86400, "week": 7 * 86400}
_EVER = 2**53


class Entrance(NamedTuple):
    flow: int
    # No second time within so many seconds of the first.
    again_after: float


class Entering:
    """The live flows of an account, for one transaction."""

    def __init__(self, connection: sqlite3.Connection, account: int, now: float) -> None:
        self._connection = connection
        self._account = account
        self._now = now
        self._by_metric: dict[int, list[Entrance]] = {}
        self._by_segment: dict[int, list[Entrance]] = {}
        for row in connection.execute(
            "SELECT f.pk, f.metric, f.segment, d.definition FROM flow f LEFT JOIN flow_definition d ON d.flow = f.pk"
            " WHERE f.account = ? AND f.status IN ('live', 'manual')",
            (account,),
        ):
            entrance = Entrance(row["pk"], _again_after(row))
            for known, trigger in ((self._by_metric, row["metric"]), (self._by_segment, row["segment"])):
                if trigger is not None:
                    known.setdefault(trigger, []).append(entrance)

    def by_events(self, events: Iterable[tuple[int, int, int, int]]) -> None:
        """`(event, profile, metric, backfill)` of events that may have been recorded; one that was not has no row."""
        if not self._by_metric:
            return
        for event, profile, metric, backfill in events:
            for entrance in self._by_metric.get(metric, ()) if not backfill else ():
                found = self._connection.execute("SELECT 1 FROM event WHERE pk = ?", (event,)).fetchone()
                if found is not None:
                    self._enter(entrance, profile, event)

    def watches(self, segment: int) -> bool:
        return segment in self._by_segment

    def by_joining(self, segment: int, profiles: Iterable[int]) -> None:
        for profile in profiles:
            for entrance in self._by_segment.get(segment, ()):
                self._enter(entrance, profile, None)

    def _enter(self, entrance: Entrance, profile: int, event: int | None) -> None:
        self._connection.execute(
            "INSERT OR IGNORE INTO flow_run (account, flow, profile, event, state, due, tries, entered)"
            " SELECT ?1, ?2, ?3, ?4, 'Waiting', ?5, 0, ?5 WHERE NOT EXISTS"
            " (SELECT 1 FROM flow_run WHERE profile = ?3 AND flow = ?2 AND entered > ?5 - ?6)",
            (self._account, entrance.flow, profile, event, self._now, entrance.again_after),
        )


def _again_after(row: sqlite3.Row) -> float:
    """Each event enters; a segment is entered once, unless the flow says otherwise."""
    criteria: dict[str, Any] = json.loads(row["definition"] or "{}").get("reentry_criteria") or {
        "duration": 0 if row["metric"] is not None else 1, "unit": "alltime",
    }  # fmt: skip
    if criteria["unit"] == "alltime":
        return _EVER if criteria["duration"] else 0
    return float(criteria["duration"] * _UNIT_SECONDS[criteria["unit"]])
