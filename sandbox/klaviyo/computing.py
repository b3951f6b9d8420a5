"""Segments whose membership follows from the properties of profiles: looked at whenever a profile changes.

An inactive one is frozen. Whoever joins enters the live flows of the segment, in the same transaction.
"""

import json
import sqlite3
from collections.abc import Collection
from typing import Any

from sandbox.klaviyo import conditions
from sandbox.klaviyo.conditions import Subject
from sandbox.klaviyo.entering import Entering
from sandbox.klaviyo.flow_subjects import person_of
from sandbox.store import Store

_AT_ONCE = 10_000


def is_computed(store: Store, segment: int) -> bool:
    return store.row("SELECT 1 FROM computed_segment WHERE segment = ?", (segment,)) is not None


def follow(connection: sqlite3.Connection, account: int, profiles: Collection[int], now: float) -> None:
    """Have changed profiles join and leave."""
    segments = _computed(connection, account) if profiles else {}
    if not segments:
        return
    keys = json.dumps(list(profiles))
    belonging: dict[int, set[int]] = {segment: set() for segment in segments}
    for row in connection.execute("SELECT * FROM profile WHERE pk IN (SELECT value FROM json_each(?))", (keys,)):
        somebody = Subject(person_of(row), {}, now)
        for segment, definition in segments.items():
            if conditions.holds(definition, somebody):
                belonging[segment].add(row["pk"])
    entering = Entering(connection, account, now)
    for segment, wanted in belonging.items():
        _move(connection, entering, segment, keys, wanted, now)


def _computed(connection: sqlite3.Connection, account: int) -> dict[int, dict[str, Any]]:
    rows = connection.execute(
        "SELECT s.pk, s.definition FROM computed_segment c JOIN segment s ON s.pk = c.segment"
        " WHERE s.account = ? AND s.is_active",
        (account,),
    )
    return {row["pk"]: json.loads(row["definition"]) for row in rows}


def _move(
    connection: sqlite3.Connection, entering: Entering, segment: int, keys: str, wanted: set[int], now: float
) -> None:  # fmt: skip
    """Of the profiles looked at, have exactly the wanted ones be members."""
    asked = "SELECT profile FROM segment_member WHERE segment = ? AND profile IN (SELECT value FROM json_each(?))"
    present = {row["profile"] for row in connection.execute(asked, (segment, keys))}
    joining, leaving = sorted(wanted - present), sorted(present - wanted)
    if not joining and not leaving:
        return
    connection.executemany("INSERT INTO segment_member VALUES (?, ?, ?)", [(segment, each, now) for each in joining])
    connection.executemany(
        "DELETE FROM segment_member WHERE segment = ? AND profile = ?", [(segment, each) for each in leaving]
    )
    connection.execute("UPDATE segment SET updated = ? WHERE pk = ?", (now, segment))
    entering.by_joining(segment, joining)


def recompute(store: Store, account: int, now: float) -> None:
    """Look at everybody, as after a segment was made or is active again."""
    if not _computed(store.reader(), account):
        return
    last = 0
    while keys := [
        row["pk"]
        for row in store.rows(
            "SELECT pk FROM profile WHERE account = ? AND pk > ? ORDER BY pk LIMIT ?", (account, last, _AT_ONCE)
        )
    ]:
        with store.writing() as connection:
            follow(connection, account, keys, now)
        last = keys[-1]
