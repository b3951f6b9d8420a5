"""Files of history made and handed in, and their imports worked on in this process until nothing moves."""

from __future__ import annotations

import io
import json
from typing import Any

from flask import Flask
from sqlalchemy import select

from portal import uploads
from portal.db import db, transaction
from portal.jobs import deliveries
from portal.jobs import imports as jobs
from portal.models import Customer, HistoryImport, ImportPiece, ImportProblem, ImportRow
from portal.services import imports
from tests import factories
from tests.factories import ACTOR, Shop

# Three good rows, one with a wrong address, one that repeats an id, and a column that nobody knows.
CSV = b"""id,type,email,occurred_at,change,colour
o1,balance_changed,ada@example.com,2025-03-14 09:30,25,red
o2,balance_changed,eve@example.com,2025-03-15 09:30,40,
o3,balance_changed,ada,2025-03-15 09:30,40,
o1,balance_changed,eve@example.com,2025-03-16 09:30,1,
o4,checked_in,ada@example.com,2025-01-01 10:00,,
"""


def purchase(number: int, who: int | str, day: str = "2025-03-14", **changes: Any) -> dict[str, Any]:
    """A row as the API would take it."""
    told = factories.event(f"h{number}", f"c{who}@example.com", occurred_at=f"{day}T09:30:00Z")
    return {**told, "properties": {"change": 10}, **changes}


def json_lines(rows: list[dict[str, Any]]) -> bytes:
    return b"\n".join(json.dumps(row).encode() for row in rows)


def hand_in(app: Flask, shop: Shop, content: bytes, file_format: str = "") -> int:
    with app.app_context():
        return uploads.receive(shop.id, io.BytesIO(content), "past.csv", ACTOR, file_format).id


def work_on(app: Flask, import_id: int, turns: int = 50) -> HistoryImport:
    """Turn after turn until there is nothing to do at once."""
    with app.app_context():
        for _ in range(turns):
            if not jobs.take_turn(import_id):
                break
    return look(app, import_id)


def look(app: Flask, import_id: int) -> HistoryImport:
    with app.app_context():
        return db.session.get_one(HistoryImport, import_id, populate_existing=True)


def start(app: Flask, shop: Shop, import_id: int) -> None:
    with app.app_context(), transaction():
        imports.start(shop.id, import_id, ACTOR)


def drain(app: Flask, shop: Shop) -> None:
    with app.app_context():
        for _ in range(30):
            if not deliveries.take_turn(shop.id):
                return


def run(app: Flask, shop: Shop, content: bytes, file_format: str = "") -> HistoryImport:
    """From the file to its end, with what it promised delivered."""
    import_id = hand_in(app, shop, content, file_format)
    assert work_on(app, import_id).state == "ready"
    start(app, shop, import_id)
    for _ in range(20):
        work = work_on(app, import_id, turns=3)
        drain(app, shop)
        if work.has_ended:
            return work
    raise AssertionError(work.state)


def left_of(app: Flask, import_id: int) -> tuple[int, int]:
    """Rows and pieces of its file that are still kept."""
    with app.app_context():
        rows = db.session.scalars(select(ImportRow.line).where(ImportRow.import_id == import_id)).all()
        pieces = db.session.scalars(select(ImportPiece.number).where(ImportPiece.import_id == import_id)).all()
        return len(rows), len(pieces)


def problems(app: Flask, import_id: int) -> list[tuple[int, str]]:
    with app.app_context():
        query = select(ImportProblem).where(ImportProblem.import_id == import_id).order_by(ImportProblem.line)
        return [(row.line, row.reason) for row in db.session.scalars(query)]


def customer(app: Flask, shop: Shop, email: str) -> Customer:
    with app.app_context():
        query = select(Customer).where(Customer.merchant_id == shop.id, Customer.email == email)
        return db.session.scalars(query.execution_options(populate_existing=True)).one()
