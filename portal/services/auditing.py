"""Writing and reading the audit log. Never a secret or a customer's address in it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from portal.db import LARGEST_ID, db
from portal.models import AuditEntry

PORTAL = "portal"


def record(merchant_id: int, actor: str, action: str, detail: str = "") -> None:
    """Add an entry; `actor` is a user's address, or `PORTAL` for what the portal did by itself."""
    db.session.add(AuditEntry(merchant_id=merchant_id, actor=actor, action=action, detail=detail[:500]))


def knows(merchant_id: int, action: str, detail: str) -> bool:
    """Whether there is such an entry."""
    query = select(AuditEntry.id).where(
        AuditEntry.merchant_id == merchant_id, AuditEntry.action == action, AuditEntry.detail == detail
    )
    return db.session.scalar(query.limit(1)) is not None


def entries(merchant_id: int, before: int | None = None, limit: int = 50) -> Sequence[AuditEntry]:
    """Newest first; `before` is the id of the last entry already seen."""
    query = select(AuditEntry).where(AuditEntry.merchant_id == merchant_id).order_by(AuditEntry.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEntry.id < min(before, LARGEST_ID))
    return db.session.scalars(query).all()
