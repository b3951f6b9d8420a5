"""Counts by minute, and the quantiles that are read off their histogram."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import ceil, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from portal.db import db, transaction
from portal.models import DeliveryMinute
from portal.models.delivery import LAG_BUCKETS
from portal.services import counting
from portal.services.counting import COLUMNS, Counts, quantile

AT = datetime(2026, 11, 23, 12, 0, 42, tzinfo=UTC)


OPEN = len(LAG_BUCKETS)  # the bucket after the last


def _histogram(lags: list[float]) -> Counter[int]:
    counts = Counts()
    counts.deliver(lags)
    return counts.lags


def test_buckets_are_no_wider_than_half_of_what_they_tell() -> None:
    assert all(1 < upper / lower < 1.6 for lower, upper in pairwise(LAG_BUCKETS))


@pytest.mark.parametrize(
    ("lag", "bucket"), [(0, 0), (0.1, 0), (0.11, 1), (1.0, 6), (1.01, 7), (3600, OPEN - 1), (9e9, OPEN)]
)
def test_a_lag_is_counted_in_the_bucket_that_ends_at_or_above_it(lag: float, bucket: int) -> None:
    assert _histogram([lag]) == {bucket: 1}


def test_a_clock_that_runs_backwards_counts_as_no_lag() -> None:
    assert _histogram([-5.0]) == {0: 1}


def test_nothing_delivered_has_no_quantile() -> None:
    assert quantile({}, 0.5) is None


@pytest.mark.parametrize(
    ("histogram", "share", "seconds"),
    [
        ({0: 10}, 0.5, 0.05),
        ({0: 10}, 1.0, 0.1),
        ({6: 4}, 0.5, 0.85),
        ({0: 1, OPEN: 1}, 0.95, inf),
        ({0: 19, 9: 1}, 0.95, 0.1),
    ],
)
def test_a_quantile_lies_within_its_bucket(histogram: dict[int, int], share: float, seconds: float) -> None:
    assert quantile(histogram, share) == pytest.approx(seconds)


@given(st.lists(st.floats(0, 3600), min_size=1, max_size=60), st.floats(0.01, 1))
def test_a_quantile_is_in_the_bucket_of_the_true_one(lags: list[float], share: float) -> None:
    found = quantile(_histogram(lags), share)
    assert found is not None
    edges = (0.0, *LAG_BUCKETS)
    true = sorted(lags)[max(1, ceil(share * len(lags) - 1e-9)) - 1]
    bucket = next(place for place, upper in enumerate(LAG_BUCKETS) if true <= upper)
    assert edges[bucket] <= found <= edges[bucket + 1]


@given(st.dictionaries(st.integers(0, OPEN), st.integers(1, 50), min_size=1))
def test_quantiles_rise_with_their_share(histogram: dict[int, int]) -> None:
    found = [quantile(histogram, share / 20) for share in range(1, 21)]
    assert all(earlier <= later + 1e-9 for earlier, later in pairwise(found))  # type: ignore[operator]


def _add(merchant_id: int, at: datetime, counts: Counts) -> None:
    with transaction():
        counting.add(merchant_id, at, counts)


def _rows(merchant_id: int) -> list[dict[str, object]]:
    query = select(DeliveryMinute).where(DeliveryMinute.merchant_id == merchant_id).order_by(DeliveryMinute.minute)
    rows = db.session.scalars(query.execution_options(populate_existing=True))
    return [{column.name: getattr(row, column.name) for column in DeliveryMinute.__table__.columns} for row in rows]


def test_counts_of_one_minute_are_added_up_and_of_the_next_begun_anew(lone: int) -> None:
    _add(lone, AT, Counts(delivered=2, failed=1, lags=Counter({0: 1, 3: 1})))
    _add(lone, AT + timedelta(seconds=17), Counts(delivered=1, retried=4, lags=Counter({3: 1})))
    _add(lone, AT + timedelta(seconds=18), Counts(throttled=1))
    first, second = _rows(lone)
    zero = {**dict.fromkeys(COLUMNS, 0), "merchant_id": lone}
    minute = AT.replace(second=0)
    assert first == {**zero, "minute": minute, "delivered": 3, "failed": 1, "retried": 4}
    assert second == {**zero, "minute": minute + timedelta(minutes=1), "throttled": 1}
    assert counting.lags_since(lone, minute - timedelta(minutes=1)) == {0: 1, 3: 2}
    assert counting.lags_since(lone, minute) == {}, "a minute that has passed is left out"


def test_nothing_to_count_writes_nothing(lone: int) -> None:
    _add(lone, AT, Counts())
    assert _rows(lone) == []
