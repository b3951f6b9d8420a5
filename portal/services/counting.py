"""Counts per merchant and minute, kept by addition, so that no page ever counts rows."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select

from portal.db import db, insert_or_update
from portal.models import DeliveryLag, DeliveryMinute
from portal.models.delivery import LAG_BUCKETS

COLUMNS = ("delivered", "failed", "retried", "throttled")


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


def add(merchant_id: int, now: datetime, counts: Counts) -> None:
    """Add to the merchant's rows of this minute."""
    minute = now.replace(second=0, microsecond=0)
    columns = {name: count for name in COLUMNS if (count := getattr(counts, name))}
    if columns:
        statement = insert_or_update(DeliveryMinute).values(
            merchant_id=merchant_id, minute=minute, **{**dict.fromkeys(COLUMNS, 0), **columns}
        )
        db.session.execute(
            statement.on_conflict_do_update(
                index_elements=["merchant_id", "minute"],
                set_={name: getattr(DeliveryMinute, name) + statement.excluded[name] for name in columns},
            )
        )
    if counts.lags:
        _add_lags(merchant_id, minute, counts.lags)


def _add_lags(merchant_id: int, minute: datetime, lags: Mapping[int, int]) -> None:
    # In one order everywhere: two lanes that add to the same buckets in different orders would wait for each other.
    statement = insert_or_update(DeliveryLag).values(
        [
            {"merchant_id": merchant_id, "minute": minute, "bucket": bucket, "deliveries": count}
            for bucket, count in sorted(lags.items())
        ]
    )
    db.session.execute(
        statement.on_conflict_do_update(
            index_elements=["merchant_id", "minute", "bucket"],
            set_={"deliveries": DeliveryLag.deliveries + statement.excluded.deliveries},
        )
    )


def lags_since(merchant_id: int, since: datetime) -> dict[int, int]:
    """The lag histogram of everything after a minute: deliveries by bucket."""
    query = (
        select(DeliveryLag.bucket, func.sum(DeliveryLag.deliveries))
        .where(DeliveryLag.merchant_id == merchant_id, DeliveryLag.minute > since)
        .group_by(DeliveryLag.bucket)
    )
    return {bucket: int(count) for bucket, count in db.session.execute(query)}


def quantile(histogram: Mapping[int, int], share: float) -> float | None:
    """Seconds within which this share of deliveries lies, interpolated within its bucket.

    None where there are none, and infinite where it lies beyond the last bucket: how far beyond was not counted.
    """
    total = sum(histogram.values())
    if not total:
        return None
    wanted = max(1, math.ceil(share * total - 1e-9))  # the first of them that is not below the share
    seen = 0
    for bucket, count in sorted(histogram.items()):
        if seen + count >= wanted:
            return _within(bucket, (wanted - seen) / count)
        seen += count
    return math.inf


def _within(bucket: int, part: float) -> float:
    if bucket >= len(LAG_BUCKETS):
        return math.inf
    lower = LAG_BUCKETS[bucket - 1] if bucket else 0.0
    return lower + (LAG_BUCKETS[bucket] - lower) * part
