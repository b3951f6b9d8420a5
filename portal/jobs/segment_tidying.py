"""Removes what is no longer needed of segments: a few rows in a transaction, as long as any are left."""

from __future__ import annotations

from datetime import timedelta
from threading import Event

from portal.db import transaction, utcnow
from portal.services import segment_tidying, upkeep

EVERY = timedelta(minutes=10)


def tidy_if_due(stopping: Event) -> None:
    """Only one process is told that it is due."""
    with transaction():
        due = upkeep.take_due("tidy segments", EVERY, utcnow())
    while due and not stopping.is_set():
        with transaction():
            due = segment_tidying.tidy_some(utcnow())
