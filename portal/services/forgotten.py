"""Who was erased while a file of history waits: its rows about them are refused, for they would bring them back.

Kept are hashes of the identifiers by which they were known, only while such a file is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, exists, select

from portal.db import db, insert_or_update, one_of
from portal.models import ENDED, Customer, ErasedIdentifier, HistoryImport, ImportKind
from portal.services.customers import NAMES, Identifiers
from portal.services.events import id_hash

REASON = (
    "This customer was erased after the file was handed in, and is not brought back by it. Nothing needs to be done; "
    "where they have joined again, hand the row in once more in a new file."
)
_WAITS = (HistoryImport.kind == ImportKind.FILE, HistoryImport.state.not_in(ENDED))


def files_wait(merchant_id: int) -> bool:
    """Whether a file waits or is being worked on; locked before any customer is, as by whoever records its rows."""
    query = select(HistoryImport.id).where(HistoryImport.merchant_id == merchant_id, *_WAITS).order_by(HistoryImport.id)
    return bool(db.session.scalars(query.with_for_update()).all())


def remember(customer: Customer, now: datetime) -> None:
    who = Identifiers(customer.id, *(getattr(customer, name) for name in NAMES))
    rows = [
        {"merchant_id": customer.merchant_id, "id_hash": each, "erased_at": now}
        for each in sorted(_hashes(customer.merchant_id, who))
    ]
    kept = insert_or_update(ErasedIdentifier).values(rows)
    newer = {"erased_at": kept.excluded.erased_at}
    db.session.execute(kept.on_conflict_do_update(index_elements=["merchant_id", "id_hash"], set_=newer))


def among(merchant_id: int, told: Sequence[Identifiers], since: datetime) -> list[bool]:
    """Of each, whether it names somebody who was erased since then."""
    found = exists().where(ErasedIdentifier.merchant_id == merchant_id, ErasedIdentifier.erased_at >= since)
    if not told or not db.session.scalar(select(found)):
        return [False] * len(told)
    hashes = [_hashes(merchant_id, who) for who in told]
    query = select(ErasedIdentifier.id_hash).where(
        ErasedIdentifier.merchant_id == merchant_id,
        ErasedIdentifier.erased_at >= since,
        one_of(ErasedIdentifier.id_hash, set().union(*hashes)),
    )
    erased = set(db.session.scalars(query))
    return [not each.isdisjoint(erased) for each in hashes]


def _hashes(merchant_id: int, who: Identifiers) -> set[bytes]:
    named = {name: getattr(who, name) for name in ("id", *NAMES)}
    return {id_hash(merchant_id, f"{name}:{value}") for name, value in named.items() if value}


def let_go() -> None:
    """Without a file that waits there is nothing that could bring anybody back."""
    waits = exists().where(HistoryImport.merchant_id == ErasedIdentifier.merchant_id, *_WAITS)
    db.session.execute(delete(ErasedIdentifier).where(~waits).execution_options(synchronize_session=False))
