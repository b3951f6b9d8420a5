"""What must hold whatever goes wrong: everything told arrives, once, and in each customer's order."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Any

from flask import Flask

from portal.db import utcnow
from portal.models import DeliveryState
from tests.factories import Shop, connection_of, deliveries_of, let_time_pass
from tests.klaviyo_account import NORDIC, Sandbox
from tests.waiting import eventually


def arrive(sandbox: Sandbox, told: list[dict[str, Any]], *, account: str = NORDIC, seconds: float = 30) -> None:
    """Wait until all of `told` is recorded at Klaviyo, then check that it is there once and in order."""
    wanted = {event["id"] for event in told}
    eventually(lambda: wanted <= set(sandbox.told_ids(account)) or None, seconds, every=0.2)
    recorded = sandbox.told(account)
    ids = [event["unique_id"] for event in recorded]
    assert sorted(ids) == sorted(wanted), "something arrived twice, or was never told"
    order: dict[str, list[str]] = defaultdict(list)
    for event in recorded:
        order[event["email"]].append(event["unique_id"])
    as_told: dict[str, list[str]] = defaultdict(list)
    for event in told:
        as_told[event["customer"]["email"]].append(event["id"])
    assert order == as_told, "a customer's events arrived out of order"


def all_settled(app: Flask, shop: Shop, seconds: float = 30) -> None:
    """Wait until the portal knows, too, that everything has been delivered."""

    def unsettled() -> list[str]:
        return [each.state for each in deliveries_of(app, shop) if each.state != DeliveryState.DELIVERED]

    eventually(lambda: not unsettled(), seconds)


def hours_pass_until_settled(app: Flask, shop: Shop, hours: int = 12) -> None:
    """Let hour after hour pass."""
    for _ in range(hours):
        if not any(each.state == DeliveryState.PENDING for each in deliveries_of(app, shop)):
            return
        hour_passes(app, shop)
    all_settled(app, shop)


def hour_passes(app: Flask, shop: Shop) -> None:
    """Until everything has been delivered, or waits for a later time."""
    let_time_pass(app, shop, 3600)
    eventually(lambda: not _moving(app, shop))


def _moving(app: Flask, shop: Shop) -> bool:
    """Whether something is due or under way."""
    soon = utcnow() + timedelta(seconds=1)
    pending = [each for each in deliveries_of(app, shop) if each.state == DeliveryState.PENDING]
    paused_until = connection_of(app, shop).paused_until
    resting = paused_until is not None and paused_until > soon
    # A customer's first event holds up those behind it.
    first = {each.customer_id: each for each in reversed(pending)}
    due = [each for each in first.values() if each.due_at <= soon and not resting]
    return bool(due or [each for each in pending if each.lease])
