"""One customer by whatever a person types: an exact identifier first, else how a name or an address begins."""

from __future__ import annotations

from collections.abc import Sequence

from portal.models import Customer
from portal.services import customers, directory

# More names than these say nothing; write more of one.
MOST_SHOWN = 5


def find(merchant_id: int, sought: str) -> tuple[Customer | None, Sequence[Customer]]:
    """The one, or those who may be meant."""
    if not sought:
        return None, ()
    found = customers.search(merchant_id, sought, limit=1) or directory.page(merchant_id, sought=sought).customers
    return (found[0], ()) if len(found) == 1 else (None, found[:MOST_SHOWN])
