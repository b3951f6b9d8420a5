"""An uploaded file on its way in: told what it is by its first bytes, and how its letters are written by all of them."""

from __future__ import annotations

import codecs
import re

from portal.errors import InvalidError, TooLargeError

PIECE_BYTES = 262_144
MOST_BYTES = 500_000_000
CSV, JSON_LINES = "csv", "jsonl"
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
_OWN_LETTERS, _NO_UTF8 = re.compile("[\x80-\ud7ff\ue000-\U0010ffff]"), re.compile("[\udc80-\udcff]")


class Intake:
    """One file's way in: `take` each piece in order, and then ask what it was. Raises `InvalidError` with the remedy."""

    def __init__(self, told_format: str = "") -> None:
        self.format = told_format
        self.size = 0
        self._utf16: codecs.IncrementalDecoder | None = None
        self._old_mac = False
        # Undecodable bytes become half pairs, so that both kinds can be counted.
        self._utf8 = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._letters = self._wrong = 0

    @property
    def encoding(self) -> str:
        """A few wrong bytes in a file of UTF-8 are mistakes; where all are wrong, it is the Western Windows encoding."""
        return "utf-8" if self._letters >= self._wrong else "cp1252"

    def take(self, piece: bytes) -> bytes:
        """The piece as it is to be kept: UTF-16 becomes UTF-8."""
        if not self.size:
            piece = self._look(piece)
        self.size += len(piece)
        if self.size > MOST_BYTES:
            raise TooLargeError(
                f"The file is larger than {MOST_BYTES // 1_000_000} MB. Split it, and import one part after the other.",
                field="file",
            )
        if self._utf16:
            piece = self._from_utf16(piece)
        if self._old_mac:
            piece = piece.replace(b"\r", b"\n")
        text = self._utf8.decode(piece)
        if not text.isascii():
            self._letters += len(_OWN_LETTERS.findall(text))
            self._wrong += len(_NO_UTF8.findall(text))
        return piece

    def _from_utf16(self, piece: bytes) -> bytes:
        assert self._utf16 is not None
        try:
            return self._utf16.decode(piece).encode("utf-8", "replace")
        except UnicodeDecodeError as error:
            raise InvalidError(
                "The file is damaged UTF-16. Save it as CSV UTF-8, and try again.", field="file"
            ) from error

    def _look(self, piece: bytes) -> bytes:
        """The first piece, without a byte order mark."""
        _refuse_what_is_no_text(piece)
        if piece.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self._utf16 = codecs.getincrementaldecoder("utf-16")()
        elif piece.count(b"\x00") * 5 > len(piece):
            raise InvalidError(
                "The file is no text, or UTF-16 without its mark. Save it as CSV UTF-8, and try again.", field="file"
            )
        else:
            piece = piece.removeprefix(codecs.BOM_UTF8)
            self._old_mac = b"\r" in piece and b"\n" not in piece
        if not self.format:
            self.format = _format_of(piece.decode("utf-16" if self._utf16 else "utf-8", "replace"))
        return piece


def _refuse_what_is_no_text(piece: bytes) -> None:
    if piece.startswith(_SPREADSHEETS):
        raise InvalidError(
            "This is an Excel workbook or a zip. In Excel, save the sheet as CSV UTF-8, and try again.", field="file"
        )
    if piece.startswith(_COMPRESSED):
        raise InvalidError("The file is compressed. Unpack it first.", field="file")
    if piece.startswith(b"%PDF"):
        raise InvalidError("This is a PDF. Export the events as CSV.", field="file")


def _format_of(beginning: str) -> str:
    beginning = beginning.removeprefix("\ufeff").lstrip()
    if beginning.startswith("["):
        raise InvalidError(
            "This is a JSON list. Write one event per line, without brackets and commas around them.", field="file"
        )
    return JSON_LINES if beginning.startswith("{") else CSV
