"""Puts profiles into the sandbox, many at once, for tests and benchmarks.

Works below the API: no limits, no checks of addresses. What it makes is indistinguishable from what the API made.
"""

import json
from typing import Any

from sandbox.klaviyo import computing
from sandbox.klaviyo.people import new_profile_id, new_profile_ids
from sandbox.klaviyo.world import World

_MOST_PROFILES = 2_000_000
_AT_ONCE = 20_000
_INSERT = (
    "INSERT OR IGNORE INTO profile (pk, account, id, email, phone_number, external_id, attributes, properties, created,"
    " updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class ControlError(Exception):
    """An order that cannot be carried out, in words for whoever sent it."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def profiles(here: World, account: int, wanted: dict[str, Any]) -> dict[str, Any]:
    given = wanted.get("profiles")
    if given is not None:
        return _given_profiles(here, account, given)
    count = wanted.get("count")
    prefix = wanted.get("prefix", "customer")
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= _MOST_PROFILES:
        raise ControlError(f"count must be from 1 to {_MOST_PROFILES}")
    if not isinstance(prefix, str):
        raise ControlError("prefix must be a text")
    before = here.store.count("SELECT COUNT(*) FROM profile WHERE account = ?", (account,))
    for start in range(0, count, _AT_ONCE):
        _made_up(here, account, prefix, start, min(count, start + _AT_ONCE))
    after = here.store.count("SELECT COUNT(*) FROM profile WHERE account = ?", (account,))
    return {"created": after - before, "profiles": after}


def _made_up(here: World, account: int, prefix: str, start: int, end: int) -> None:
    now = here.switches.now()
    with here.store.writing() as connection:
        first = here.store.take_keys("profile", end - start)
        ids = new_profile_ids(now, end - start)
        connection.executemany(
            _INSERT,
            (
                (first + place - start, account, ids[place - start], f"{prefix}{place}@shop.example.com", None, None,
                 "{}", "{}", now, now)
                for place in range(start, end)
            ),
        )  # fmt: skip
        computing.follow(connection, account, range(first, first + end - start), now)


def _given_profiles(here: World, account: int, given: Any) -> dict[str, Any]:
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise ControlError("profiles must be a list of objects")
    now = here.switches.now()
    ids = []
    with here.store.writing() as connection:
        first = here.store.take_keys("profile", len(given))
        for place, each in enumerate(given):
            named = {name: value for name, value in each.items() if name in _NAMED}
            connection.execute(
                _INSERT,
                (first + place, account, each.get("id") or new_profile_id(now), each.get("email"),
                 each.get("phone_number"), each.get("external_id"), json.dumps(named),
                 json.dumps({name: value for name, value in each.get("properties", {}).items() if value is not None}), now, now),
            )  # fmt: skip
            row = connection.execute("SELECT id FROM profile WHERE pk = ?", (first + place,)).fetchone()
            ids.append(row["id"] if row else None)
        computing.follow(connection, account, range(first, first + len(given)), now)
    return {"created": sum(each is not None for each in ids), "ids": ids}


_NAMED = ("first_name", "last_name", "locale", "location", "organization", "title", "image")
