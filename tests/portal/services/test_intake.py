"""A file on its way in: what it is and how its letters are written is found out, or it is refused with the remedy."""

from __future__ import annotations

import codecs

import pytest

from portal.errors import InvalidError
from portal.services.history_files import Intake

TEXT = "id,type\nCafé,Nørrebro\nŁódź,Ærø\n"
LATIN = "id,type\nCafé,Nørrebro\n"


def _take(content: bytes, piece: int = 7, told_format: str = "") -> tuple[str, str, bytes]:
    intake = Intake(told_format)
    kept = [intake.take(content[at : at + piece]) for at in range(0, len(content), piece)]
    return intake.format, intake.encoding, b"".join(kept)


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_utf8_is_kept_as_it_is_without_its_mark(mark: bytes) -> None:
    assert _take(mark + TEXT.encode()) == ("csv", "utf-8", TEXT.encode())


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_becomes_utf8_wherever_it_is_cut(encoding: str) -> None:
    mark = codecs.BOM_UTF16_LE if encoding == "utf-16-le" else codecs.BOM_UTF16_BE
    for piece in (5, 8, 1000):
        assert _take(mark + TEXT.encode(encoding), piece) == ("csv", "utf-8", TEXT.encode())


def test_the_western_windows_encoding_is_told_by_its_letters() -> None:
    assert _take(LATIN.encode("cp1252")) == ("csv", "cp1252", LATIN.encode("cp1252"))


def test_a_few_wrong_bytes_do_not_make_a_file_another_encoding() -> None:
    assert _take(TEXT.encode() + b"\xe9\n")[1] == "utf-8"


def test_line_ends_of_old_are_lines_too() -> None:
    assert _take(b"id,type\ra,b\rc,d", piece=1000)[2] == b"id,type\na,b\nc,d"


def test_json_lines_are_told_by_their_first_letter_unless_it_was_said() -> None:
    assert _take(b'\n {"id": 1}')[0] == "jsonl"
    assert _take(b'{"id": 1}', told_format="csv")[0] == "csv"
    assert _take(codecs.BOM_UTF16_LE + '{"id": 1}'.encode("utf-16-le"), 1000)[0] == "jsonl"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04rest", "Excel"),
        (b"\x1f\x8brest", "compressed"),
        (b"%PDF-1.7", "PDF"),
        (TEXT.encode("utf-16-le"), "UTF-16"),
        (b'[{"id": 1}]', "JSON list"),
        (codecs.BOM_UTF16_LE + b"\x00\xd8a\x00", "damaged"),
    ],
)
def test_what_is_no_list_of_events_is_refused_with_the_remedy(content: bytes, said: str) -> None:
    with pytest.raises(InvalidError, match=said):
        _take(content, 1000)
