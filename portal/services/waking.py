"""Phones that are to be woken because a card of theirs has a new version: claim, push, settle.

Apple's "accepted" is no proof: a phone that has not fetched the card is woken again, and only fetching ends that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, exists, select, update

from portal.db import changed_rows, db, one_of
from portal.models import Card, Device, Registration, Wallet
from portal.services import card_versions, passkit, wallet_health
from portal.wallet import Outcome, Pushed

LEASE = timedelta(minutes=3)
RETRY_AFTER = tuple(timedelta(seconds=each) for each in (5, 30, 120, 600, 1800, 3600))
# After a push that Apple took, when the phone has not fetched the card since.
AGAIN_AFTER = (timedelta(minutes=15), timedelta(hours=6), timedelta(hours=24))
UNHEALTHY = (
    "Apple no longer accepts the certificate for Wallet cards ({reason}). Cards on iPhones keep what they show, and are not "
    "updated. Upload a new certificate for the same Pass Type ID."
)


@dataclass(frozen=True)
class Wake:
    """`attempt` guards the settling, and `token_at` against forgetting a phone that has registered again meanwhile."""

    device_id: int
    push_token: str
    attempt: int
    token_at: datetime


def merchants_due(now: datetime) -> Sequence[int]:
    return db.session.scalars(select(Device.merchant_id).where(Device.due_at <= now).distinct()).all()


def has_message(merchant_id: int, now: datetime) -> bool:
    """Is a phone to be woken for a message? It does not wait until everybody's cards are up to date."""
    query = select(Device.id).where(Device.merchant_id == merchant_id, Device.due_at <= now - card_versions.AHEAD)
    return db.session.scalar(query.limit(1)) is not None


def claim(merchant_id: int, pass_type_id: str, now: datetime, limit: int) -> list[Wake]:
    """Phones that are due, leased. Those that have fetched everything meanwhile are left in peace."""
    due = (Device.merchant_id == merchant_id) & (Device.due_at <= now)
    behind = exists().where(
        Registration.device_id == Device.id,
        Card.id == Registration.card_id,
        Registration.fetched_version < Card.version,
    )
    # A card of another certificate cannot be updated with this one.
    settled = update(Device).where(due, ~behind | (Device.pass_type_id != pass_type_id))
    _run(settled.values(due_at=None, wakes=0, attempts=0))
    query = select(Device).where(due).order_by(Device.due_at).limit(limit).with_for_update(skip_locked=True)
    wakes = []
    for device in db.session.scalars(query.execution_options(populate_existing=True)):
        device.due_at, device.attempts = now + LEASE, device.attempts + 1
        wakes.append(Wake(device.id, device.push_token, device.attempts, device.token_at))
    return wakes


def settle(merchant_id: int, wakes: Sequence[Wake], pushed: Sequence[Pushed], now: datetime) -> None:
    """Write down what became of each push."""
    gone: list[int] = []
    rows = {row.id: row for row in db.session.scalars(_locked(merchant_id, [wake.device_id for wake in wakes]))}
    for wake, result in zip(wakes, pushed, strict=True):
        device = rows.get(wake.device_id)
        if device is None:
            continue
        if result.outcome is not Outcome.NOT_TRIED:
            device.pushed_at, device.outcome, device.reason = now, result.outcome.value, result.reason[:80] or None
        if _is_gone(device, wake, result):
            gone.append(device.id)
        elif device.attempts == wake.attempt:
            _schedule(device, result, now)
    if gone:
        db.session.flush()
        passkit.drop_devices(merchant_id, sorted(gone))
    _note_health(merchant_id, pushed, now)


def _locked(merchant_id: int, device_ids: Sequence[int]) -> Select[Device]:
    query = select(Device).where(Device.merchant_id == merchant_id, one_of(Device.id, device_ids))
    return query.order_by(Device.id).with_for_update().execution_options(populate_existing=True)


def _is_gone(device: Device, wake: Wake, result: Pushed) -> bool:
    if result.outcome is Outcome.BAD_TOKEN:
        return device.push_token == wake.push_token
    if result.outcome is not Outcome.GONE:
        return False
    return device.token_at <= wake.token_at and (result.gone_since is None or device.token_at <= result.gone_since)


def _schedule(device: Device, result: Pushed, now: datetime) -> None:
    if result.outcome is Outcome.ACCEPTED:
        again = AGAIN_AFTER[device.wakes] if device.wakes < len(AGAIN_AFTER) else None
        device.due_at = now + again if again else None
        device.attempts, device.wakes = 0, device.wakes + 1
    elif result.outcome is Outcome.RETRY:
        wait = RETRY_AFTER[min(device.attempts, len(RETRY_AFTER)) - 1]
        device.due_at = now + max(wait, timedelta(seconds=min(result.retry_after or 0, 3600)))
    elif result.outcome in (Outcome.NOT_TRIED, Outcome.UNHEALTHY):
        device.due_at, device.attempts = now, max(0, device.attempts - 1)
    else:
        device.due_at = None


def _note_health(merchant_id: int, pushed: Sequence[Pushed], now: datetime) -> None:
    outcomes = {result.outcome for result in pushed}
    if Outcome.UNHEALTHY in outcomes:
        reason = next(result.reason for result in pushed if result.outcome is Outcome.UNHEALTHY)
        wallet_health.note_problem(merchant_id, Wallet.APPLE, UNHEALTHY.format(reason=reason or "no reason"), now)
    elif Outcome.NOT_TRIED in outcomes:
        wallet_health.note_trouble(merchant_id, Wallet.APPLE, now)
    elif outcomes & {Outcome.ACCEPTED, Outcome.GONE, Outcome.BAD_TOKEN}:
        wallet_health.note_well(merchant_id, Wallet.APPLE)


def _run(statement: object) -> int:
    return changed_rows(db.session.execute(statement, execution_options={"synchronize_session": False}))  # type: ignore[call-overload]
