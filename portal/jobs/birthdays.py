"""Tell of birthdays whose morning has come, a bounded number at a time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from portal.db import transaction, utcnow
from portal.services import birthdays

# In one go; with more than that the others follow with the next.
BATCHES = 20


def tell_due() -> None:
    """Harmless when doubled: each birthday is told once a year."""
    begun = utcnow()
    told = [_tell_all(day, zones) for day, zones in birthdays.days_due(begun).items()]
    if all(told):
        with transaction():
            birthdays.note_told(begun)


def _tell_all(day: date, zones: Iterable[str]) -> bool:
    """Whether that was everybody."""
    for _ in range(BATCHES):
        with transaction():
            more = birthdays.tell(day, zones, utcnow())
        if not more:
            return True
    return False
