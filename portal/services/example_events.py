"""An example profile and one example of each event, put into Klaviyo once, so that segments and flows can be built at once.

They are nobody's: the profile is no customer here, its address is of a domain that nobody has, and no flow is set off (`backfill`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import select, update

from portal import queue
from portal.db import changed_rows, db, on_commit, utcnow
from portal.klaviyo import Client, UnauthorizedError, bodies, profiles, verdict
from portal.models import Connection, ConnectionState, Examples
from portal.services import auditing, connecting
from portal.services.catalogue import RECORDED
from portal.services.outbox import RETRY_AFTER
from portal.services.recording import DERIVED

# Reserved by RFC 2606: no mail can ever reach anybody.
EMAIL = "jericommerce-example@example.com"
FIRST_NAME, LAST_NAME = "JeriCommerce", "example"
LEASE = timedelta(minutes=2)
PROPERTIES = {
    "jericommerce_download_wallet_pass_url": "https://example.com/example/download?token=example",
    "jericommerce_wallet_pass_status": "installed",
    "jericommerce_wallet_platforms": ["ios"],
    "jericommerce_balance": 145,
    "jericommerce_tier": "Gold",
    "jericommerce_tier_entered_at": "2026-09-14",
    "jericommerce_tier_expires_at": "2027-09-14",
    "jericommerce_next_tier": "Platinum",
    "jericommerce_points_to_next_tier": 355,
    "jericommerce_rewards_available": 2,
    "jericommerce_next_reward": "Bag of beans",
    "jericommerce_next_reward_cost": 200,
    "jericommerce_points_to_next_reward": 55,
    "jericommerce_last_pos_scan_at": "2026-11-20T16:05:00+00:00",
    "jericommerce_pos_scans": 7,
    "jericommerce_member_since": "2025-02-01",
}


def decide(merchant_id: int, wanted: bool, actor: str) -> None:
    """What the merchant chose for the connected account. The first decision counts: examples are sent once."""
    connection = connecting.connection_of(merchant_id)
    if connection is None or _row(merchant_id, connection.klaviyo_account_id) is not None:
        return
    row = Examples(merchant_id=merchant_id, klaviyo_account_id=connection.klaviyo_account_id, wanted=wanted)
    row.decided_at = utcnow()
    row.due_at = row.decided_at if wanted else None
    db.session.add(row)
    auditing.record(merchant_id, actor, f"example events {'wanted' if wanted else 'declined'}")
    if wanted:
        on_commit(partial(queue.enqueue, queue.UPKEEP, queue.EXAMPLES, merchant_id))


def due(now: datetime) -> Sequence[int]:
    """Merchants whose examples can be sent now."""
    query = (
        select(Examples.merchant_id)
        .join(Connection, Connection.merchant_id == Examples.merchant_id)
        .where(
            Examples.due_at <= now,
            Connection.state == ConnectionState.CONNECTED,
            Connection.klaviyo_account_id == Examples.klaviyo_account_id,
        )
    )
    return db.session.scalars(query).all()


def take(merchant_id: int, now: datetime) -> bool:
    """Lease them to the caller."""
    account = select(Connection.klaviyo_account_id).where(Connection.merchant_id == merchant_id).scalar_subquery()
    leased = (
        update(Examples)
        .where(Examples.merchant_id == merchant_id, Examples.klaviyo_account_id == account, Examples.due_at <= now)
        .values(due_at=now + LEASE, attempts=Examples.attempts + 1)
        .execution_options(synchronize_session=False)
    )
    return changed_rows(db.session.execute(leased)) == 1


def send(client: Client, now: datetime) -> bool:
    """Whether Klaviyo took all of them. HTTP. Sent again, they are the same events to Klaviyo. Raises `UnauthorizedError`."""
    about = {"email": EMAIL, "first_name": FIRST_NAME, "last_name": LAST_NAME, "properties": PROPERTIES}
    person = profiles.single(json.dumps({"type": "profile", "attributes": about}))
    profile = bodies.profile_of(klaviyo_profile_id=None, email=EMAIL, phone=None)
    events = [
        bodies.event_of(
            metric=entry.metric,
            unique_id=f"{DERIVED}example:{entry.type}",
            time=now,
            properties=json.dumps(entry.example, ensure_ascii=False),
            backfill=True,
        )
        # Also of the outcome of pushes, which a flow may wait for before the first push is sent.
        for entry in RECORDED.values()
    ]
    requests = [
        (profiles.PATH, person),
        *((bodies.EVENT_PATH, bodies.single(profile, event)) for event in events),
    ]
    for path, body in requests:
        error = verdict(client.send("POST", path, body=body))
        if isinstance(error, UnauthorizedError):
            raise error
        if error is not None:
            return False
    return True


def settle(merchant_id: int, taken: bool, now: datetime) -> None:
    connection = connecting.connection_of(merchant_id)
    row = _row(merchant_id, connection.klaviyo_account_id) if connection else None
    if row is None:
        return
    if taken:
        row.sent_at, row.due_at = now, None
        auditing.record(merchant_id, auditing.PORTAL, "example events sent to Klaviyo")
    elif row.attempts > len(RETRY_AFTER):
        row.due_at = None
    else:
        row.due_at = now + timedelta(seconds=RETRY_AFTER[row.attempts - 1])


def _row(merchant_id: int, account_id: str) -> Examples | None:
    query = select(Examples).where(Examples.merchant_id == merchant_id, Examples.klaviyo_account_id == account_id)
    return db.session.scalar(query.execution_options(populate_existing=True))
