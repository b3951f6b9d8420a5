"""Files of history that are uploaded: stored piece by piece, each in a transaction of its own, so that nobody waits for long.

Edges use it, outside of any transaction. A file that does not come in whole leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from portal.db import db, transaction
from portal.errors import InvalidError
from portal.models import HistoryImport
from portal.services import imports
from portal.services.history_files import PIECE_BYTES, Intake


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def receive(merchant_id: int, file: Readable, name: str, actor: str, file_format: str = "") -> HistoryImport:
    """Raises `InvalidError` or `TooLargeError` with the remedy."""
    with transaction():
        import_id = imports.begin(merchant_id, name.strip() or "history")
    intake, number = Intake(file_format), 0
    try:
        for number, piece in enumerate(_pieces(file), start=1):
            content = intake.take(piece)
            with transaction():
                imports.add_piece(import_id, number - 1, content)
            db.session.expunge_all()  # what is written need not be kept in mind
        if not number:
            raise InvalidError("The file is empty. Choose a file with at least one event.", field="file")
        with transaction():
            imports.hand_in(import_id, intake.format, intake.encoding, intake.size, number, actor)
    except BaseException:
        with transaction():
            imports.drop(import_id)
        raise
    return imports.find(merchant_id, import_id)


def _pieces(file: Readable) -> Iterator[bytes]:
    """Full ones but for the last, however the bytes come in."""
    held = b""
    while data := file.read(PIECE_BYTES):
        held += data
        while len(held) >= PIECE_BYTES:
            yield held[:PIECE_BYTES]
            held = held[PIECE_BYTES:]
    if held:
        yield held
