"""Tell of today's birthdays, a bounded number at a time."""

from __future__ import annotations

from portal.db import transaction, utcnow
from portal.services import birthdays

# In one go; with more than that the others follow with the next.
BATCHES = 20


def tell_due() -> None:
    """Harmless when doubled: each birthday is told once a year."""
    for day, zones in birthdays.days_now(utcnow()).items():
        for _ in range(BATCHES):
            with transaction():
                more = birthdays.tell(day, zones, utcnow())
            if not more:
                break
