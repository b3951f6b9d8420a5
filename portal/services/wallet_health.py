"""How Apple and Google take a merchant's calls: what only a person can mend, and when they are next called after trouble."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from portal.db import db
from portal.models import Wallet, WalletHealth

# After a refusal of the merchant's certificate or account; a new upload ends it at once.
REFUSED_FOR = timedelta(minutes=10)
_RESTS = (2, 10, 30, 120, 600)


def is_resting(merchant_id: int, wallet: Wallet, now: datetime) -> bool:
    health = db.session.get(WalletHealth, (merchant_id, wallet))
    return health is not None and health.paused_until is not None and health.paused_until > now


def note_well(merchant_id: int, wallet: Wallet) -> None:
    """They took a call: whatever was wrong is over."""
    db.session.execute(
        delete(WalletHealth).where(WalletHealth.merchant_id == merchant_id, WalletHealth.wallet == wallet)
    )


def note_trouble(merchant_id: int, wallet: Wallet, now: datetime, seconds: float | None = None) -> None:
    """No usable answer, or a request to slow down: a rest that grows, or of so many seconds."""
    health = _health(merchant_id, wallet)
    rest = seconds if seconds is not None else _RESTS[min(health.failures_in_a_row, len(_RESTS) - 1)]
    health.failures_in_a_row += 1
    health.paused_until = now + timedelta(seconds=rest)


def note_problem(merchant_id: int, wallet: Wallet, problem: str, now: datetime) -> None:
    """Only a person can mend it; it is tried again from time to time all the same."""
    health = _health(merchant_id, wallet)
    health.problem, health.since = problem, health.since or now
    health.paused_until = now + REFUSED_FOR


def problems(merchant_id: int) -> Sequence[WalletHealth]:
    """What needs a person."""
    query = select(WalletHealth).where(WalletHealth.merchant_id == merchant_id, WalletHealth.problem.is_not(None))
    return db.session.scalars(query.order_by(WalletHealth.wallet)).all()


def _health(merchant_id: int, wallet: Wallet) -> WalletHealth:
    health = db.session.get(WalletHealth, (merchant_id, wallet), with_for_update=True)
    if health is None:
        health = WalletHealth(merchant_id=merchant_id, wallet=wallet, failures_in_a_row=0)
        db.session.add(health)
    return health
