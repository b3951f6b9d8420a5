"""The real purchase history through the API, the workers and the wire: every event is in Klaviyo once, each customer's in order."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from examples import replay
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.servers import Processes
from tests.waiting import eventually

ROWS = 6_000


def test_every_purchase_is_found_at_klaviyo_once_and_in_its_customers_order(
    live_portal: str, connected: Shop, sandbox: Sandbox, processes: Processes
) -> None:
    processes.worker()
    processes.worker()
    counts = replay.replay(replay.EXTRACT, live_portal, connected.api_key, rows=None, batch=500, now=False)
    assert counts == {"accepted": ROWS}
    eventually(lambda: len(sandbox.told_ids()) >= ROWS, 60)

    expected = list(replay.events(replay.EXTRACT, now=False))
    found = sandbox.told()
    assert sorted(event["unique_id"] for event in found) == sorted(event["id"] for event in expected)
    balances = defaultdict(list)
    for event in found:
        balances[event["email"]].append(event["properties"]["balance"])
    told = defaultdict(list)
    for event in expected:
        told[event["customer"]["email"]].append(event["properties"]["balance"])
    assert balances == told


def test_a_second_replay_changes_nothing(live_portal: str, connected: Shop) -> None:
    first = replay.replay(replay.EXTRACT, live_portal, connected.api_key, rows=300, batch=100, now=False)
    second = replay.replay(replay.EXTRACT, live_portal, connected.api_key, rows=300, batch=100, now=False)
    assert (first, second) == ({"accepted": 300}, {"duplicate": 300})


def test_a_line_that_is_no_purchase_is_named(tmp_path: Path) -> None:
    file = tmp_path / "history.txt"
    file.write_text("00001 19970101 1 11.77\n00002 1997 two\n")
    with pytest.raises(replay.ReplayError, match="Line 2 is not a purchase"):
        list(replay.events(file, now=False))
