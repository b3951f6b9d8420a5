"""Counts per merchant and minute, kept by addition, so that no page ever counts rows."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from portal.db import db, insert_or_update
from portal.models import DeliveryMinute
from portal.models.delivery import LAG_BUCKETS

LAG_COLUMNS = tuple(f"lag_{bucket}" for bucket in range(len(LAG_BUCKETS) + 1))


@dataclass
class Counts:
    """What one call changed."""

    delivered: int = 0
    failed: int = 0
    retried: int = 0
    throttled: int = 0
    lags: Counter[int] = field(default_factory=Counter)

    def deliver(self, lags_seconds: Sequence[float]) -> None:
        self.delivered += len(lags_seconds)
        self.lags.update(bisect_left(LAG_BUCKETS, seconds) for seconds in lags_seconds)

    def columns(self) -> dict[str, int]:
        plain = {
            "delivered": self.delivered,
            "failed": self.failed,
            "retried": self.retried,
            "throttled": self.throttled,
        }
        return {**plain, **{LAG_COLUMNS[bucket]: count for bucket, count in self.lags.items()}}


def add(merchant_id: int, now: datetime, counts: Counts) -> None:
    """Add to the merchant's row of this minute."""
    columns = {name: count for name, count in counts.columns().items() if count}
    if not columns:
        return
    row = dict.fromkeys(("delivered", "failed", "retried", "throttled", *LAG_COLUMNS), 0)
    statement = insert_or_update(DeliveryMinute).values(
        merchant_id=merchant_id, minute=now.replace(second=0, microsecond=0), **{**row, **columns}
    )
    db.session.execute(
        statement.on_conflict_do_update(
            index_elements=["merchant_id", "minute"],
            set_={name: getattr(DeliveryMinute, name) + statement.excluded[name] for name in columns},
        )
    )


def quantile(histogram: Sequence[int], share: float) -> float | None:
    """Seconds below which this share of deliveries lies, interpolated within its bucket; None where there are none."""
    total = sum(histogram)
    if not total:
        return None
    wanted, seen, lower = share * total, 0, 0.0
    for count, upper in zip(histogram, (*LAG_BUCKETS, LAG_BUCKETS[-1] * 2), strict=True):
        if count and seen + count >= wanted:
            return lower + (upper - lower) * (wanted - seen) / count
        seen, lower = seen + count, upper
    return lower
