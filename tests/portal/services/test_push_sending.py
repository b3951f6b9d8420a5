"""When a push waits: quiet hours, in the merchant's zone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from portal.models import PushRules
from portal.services.push_sending import quiet_end

NIGHT = PushRules(quiet_from=21 * 60, quiet_until=8 * 60 + 30)
NOON = PushRules(quiet_from=12 * 60, quiet_until=13 * 60)


@pytest.mark.parametrize(
    ("rules", "now", "ends"),
    [
        (NIGHT, "2026-11-25T19:59Z", None),
        (NIGHT, "2026-11-25T20:00Z", "2026-11-26T07:30Z"),
        (NIGHT, "2026-11-26T02:00Z", "2026-11-26T07:30Z"),
        (NIGHT, "2026-11-26T07:30Z", None),
        (NOON, "2026-11-25T11:30Z", "2026-11-25T12:00Z"),
        (PushRules(), "2026-11-25T11:30Z", None),
    ],
)
def test_quiet_hours_end_by_the_merchants_clock(rules: PushRules, now: str, ends: str | None) -> None:
    found = quiet_end(rules, "Europe/Copenhagen", datetime.fromisoformat(now))
    assert (found and found.astimezone(UTC)) == (datetime.fromisoformat(ends) if ends else None)
