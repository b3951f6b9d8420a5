"""How far an import is, and how long it will take: told from what was measured and from Klaviyo's limit."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from portal.db import db
from portal.klaviyo.bodies import BULK_EVENTS
from portal.klaviyo.limits import EVENT_BULK
from portal.models import Delivery, DeliveryState, HistoryImport, ImportState, in_state
from portal.services.importing import BACKFILL

# Events a second that Klaviyo takes from us, and that the portal records on two small cores as long as nothing was measured.
KLAVIYO_RATE = EVENT_BULK.per_second * BULK_EVENTS
USUAL_RATE = 1_500.0
# Fewer rows or seconds tell nothing.
ENOUGH_ROWS, ENOUGH_SECONDS = 2_000, 1.0
COUNT_UP_TO = 20_000


@dataclass(frozen=True)
class Progress:
    """`seconds` is the estimate until the last event is at Klaviyo; none where nothing is left to do."""

    work: HistoryImport
    waiting: int
    failed: int
    per_second: float
    seconds: float | None

    @property
    def delivered(self) -> int:
        return max(0, self.work.promised - self.waiting - self.failed)

    @property
    def new(self) -> int:
        """Rows that have been recorded, and were not known before."""
        return self.work.done - self.work.known

    @property
    def share(self) -> int:
        """In percent, of the rows."""
        return 100 * self.work.done // self.work.found if self.work.found else 0

    @property
    def checked_share(self) -> int:
        return 100 * self.work.pieces_read // self.work.pieces if self.work.pieces else 0

    @property
    def moves(self) -> bool:
        """Looking again in a moment will show something else."""
        return self.work.state in (ImportState.CHECKING, ImportState.RUNNING) or (
            self.waiting > 0 and self.work.state in (ImportState.FINISHED, ImportState.PAUSED)
        )


def progress_of(work: HistoryImport) -> Progress:
    waiting, failed = _undelivered(work)
    rate = _rate(work)
    left = work.left if work.state in (ImportState.READY, ImportState.RUNNING, ImportState.PAUSED) else 0
    seconds = left / rate + waiting / KLAVIYO_RATE
    return Progress(work, waiting, failed, rate, seconds or None)


def _rate(work: HistoryImport) -> float:
    """Rows a second: as this import has gone so far, or the merchant's last one, and never more than Klaviyo takes."""
    measured = work if _tells_something(work) else _last_measured(work.merchant_id)
    if measured is None:
        return min(USUAL_RATE, KLAVIYO_RATE)
    return min(measured.done / measured.busy_seconds, KLAVIYO_RATE)


def _tells_something(work: HistoryImport) -> bool:
    return work.done >= ENOUGH_ROWS and work.busy_seconds >= ENOUGH_SECONDS


def _last_measured(merchant_id: int) -> HistoryImport | None:
    query = (
        select(HistoryImport)
        .where(
            HistoryImport.merchant_id == merchant_id,
            HistoryImport.done >= ENOUGH_ROWS,
            HistoryImport.busy_seconds >= ENOUGH_SECONDS,
        )
        .order_by(HistoryImport.id.desc())
        .limit(1)
    )
    return db.session.scalar(query)


def _undelivered(work: HistoryImport) -> tuple[int, int]:
    """(waiting, failed) of what this import has promised; it lets little wait at a time."""
    if work.started_at is None or not work.promised:
        return 0, 0
    counts = []
    for state in (DeliveryState.PENDING, DeliveryState.DEAD):
        some = (
            select(Delivery.id)
            .where(Delivery.merchant_id == work.merchant_id, in_state(Delivery, state))
            .where(Delivery.created_at >= work.started_at, BACKFILL)
            .limit(COUNT_UP_TO)
        )
        counts.append(db.session.scalar(select(func.count()).select_from(some.subquery())) or 0)
    return counts[0], counts[1]
