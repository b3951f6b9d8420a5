"""Past events through real processes: uploaded and watched in a browser, and imported while workers are killed."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from examples.history import past
from examples.replay import EXTRACT
from tests.factories import Shop
from tests.journeys import shop_owner
from tests.klaviyo_account import Sandbox
from tests.portal.jobs import history
from tests.servers import Processes
from tests.waiting import eventually

ROWS = 3_000


@pytest.mark.browser
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("scripts", ["browser_page", "page_without_scripts"])
def test_a_shop_owner_brings_in_a_file_and_watches_it_arrive(
    request: pytest.FixtureRequest,
    scripts: str,
    connected: Shop,
    sandbox: Sandbox,
    processes: Processes,
    tmp_path: Path,
) -> None:
    page: Page = request.getfixturevalue(scripts)
    processes.worker()
    processes.worker()
    file = tmp_path / "orders.csv"
    file.write_bytes(history.CSV)
    shop_owner.log_in(page, connected)
    page.goto(shop_owner.KLAVIYO)
    page.get_by_role("link", name="History import").click()
    page.get_by_label("File with past events").set_input_files(file)
    page.get_by_role("button", name="Check this file").click()
    _await(page, "Ready to start")
    expect(page.locator("main")).to_contain_text("2 rows: download the list")
    page.get_by_role("button", name="Start the import").click()
    _await(page, "Finished")
    eventually(lambda: sorted(sandbox.event_ids()) == ["o1", "o2", "o4"])
    page.get_by_role("link", name="Back to imports").click()
    expect(page.get_by_role("row", name=re.compile("orders.csv.*Finished"))).to_be_visible()


def _await(page: Page, state: str) -> None:
    """The page asks again by itself; without scripts somebody presses Refresh."""
    badge = page.locator("#history-progress").get_by_text(state, exact=True)
    deadline = time.monotonic() + 20
    while not badge.count() and time.monotonic() < deadline:
        refresh = page.get_by_role("link", name="Refresh")
        if refresh.is_visible():
            refresh.click()
        page.wait_for_timeout(300)
    expect(badge).to_be_visible()


@pytest.mark.settings(lease_seconds=2)
def test_real_purchases_are_imported_once_while_workers_are_killed(
    app: Flask, connected: Shop, sandbox: Sandbox, processes: Processes
) -> None:
    rows = [row for _, row in zip(range(ROWS), past(EXTRACT), strict=False)]
    processes.ticker()
    victims = [processes.worker(), processes.worker()]
    import_id = history.hand_in(app, connected, history.json_lines(rows))
    started = False
    for _ in range(6):
        time.sleep(0.7)
        processes.kill(victims.pop(0))
        victims.append(processes.worker())
        if not started and history.look(app, import_id).state == "ready":
            history.start(app, connected, import_id)
            started = True
    if not started:
        eventually(lambda: history.look(app, import_id).state == "ready", 30)
        history.start(app, connected, import_id)
    eventually(lambda: history.look(app, import_id).state == "finished", 60)
    eventually(lambda: len(sandbox.event_ids()) >= ROWS, 60)
    assert Counter(sandbox.event_ids()) == Counter(str(row["id"]) for row in rows)
    points: Counter[str] = Counter()
    for row in rows:
        points[row["customer"]["email"]] += row["properties"]["change"]
    who, most = points.most_common(1)[0]
    assert history.customer(app, connected, who).balance == most * 100
