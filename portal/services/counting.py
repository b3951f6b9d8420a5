"""Counts per merchant and minute, kept by addition, so that no page ever counts rows."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import cast

from sqlalchemy import Executable, Table, func, select

from portal.db import Model, db, insert_or_update, run
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
    row = {"merchant_id": merchant_id, "minute": now.replace(second=0, microsecond=0)}
    happened = {name: getattr(counts, name) for name in COLUMNS}
    dialect = db.engine.dialect.name
    if any(happened.values()):
        run(_adding(dialect, DeliveryMinute, COLUMNS), row | happened)
    if counts.lags:
        # In one order everywhere: two lanes that add to the same buckets in different orders would wait for each other.
        lags = [row | {"bucket": bucket, "deliveries": count} for bucket, count in sorted(counts.lags.items())]
        run(_adding(dialect, DeliveryLag, ("deliveries",)), lags)


@cache
def _adding(_dialect: str, model: type[Model], columns: tuple[str, ...]) -> Executable:
    adding, table = insert_or_update(model), cast("Table", model.__table__)
    sums = {name: table.c[name] + adding.excluded[name] for name in columns}
    return adding.on_conflict_do_update(index_elements=list(table.primary_key), set_=sums)


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
