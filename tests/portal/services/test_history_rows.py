"""Reading a file of history: every good row comes out as an event, every bad one with its line and the reason."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.errors import InvalidError
from portal.services import history_columns
from portal.services.history_lines import LONGEST_ROW, MOST_LINES_IN_ROW, Refused, Row, cut
from portal.services.history_rows import DERIVED_ID, Reader, Ready

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
COPENHAGEN = ZoneInfo("Europe/Copenhagen")
HEADER = "id,type,email,occurred_at,change,reason"
GOOD = "o1,balance_changed,ada@example.com,2025-03-14 09:30,25,Purchase"


def _read_csv(text: str, *, header: str = HEADER, encoding: str = "utf-8") -> Ready | Refused:
    return Reader(history_columns.read_header(header), encoding, COPENHAGEN, NOW).read(Row(2, text.encode(encoding)))


def _read_json(content: bytes) -> Ready | Refused:
    return Reader(None, "utf-8", COPENHAGEN, NOW).read(Row(7, content))


def _document(row: Ready | Refused) -> dict[str, object]:
    assert isinstance(row, Ready), row
    document: dict[str, object] = json.loads(row.document)
    return document


def _lines(content: bytes, **options: str) -> list[tuple[int, bytes | str]]:
    rows = cut(content, 0, last=True, delimiter=options.get("delimiter")).rows
    return [(row.line, row.content if isinstance(row, Row) else row.reason) for row in rows]


# --- lines ---------------------------------------------------------------------------------------


def test_lines_are_counted_as_an_editor_counts_them_and_blank_ones_are_left_out() -> None:
    assert _lines(b"a\r\n\r\nb\n  \nc") == [(1, b"a"), (3, b"b"), (5, b"c")]


def test_a_quoted_cell_may_hold_line_breaks() -> None:
    assert _lines(b'a,"x\ny ""z""",1\nb,2', delimiter=",") == [(1, b'a,"x\ny ""z""",1'), (3, b"b,2")]


def test_a_quotation_mark_that_is_never_closed_costs_one_row_only() -> None:
    filling = b"\n".join(b"row" for _ in range(MOST_LINES_IN_ROW + 5))
    found = _lines(b'a,"open\n' + filling, delimiter=",")
    assert "not closed" in str(found[0][1])
    assert [line for line, _ in found] == list(range(1, MOST_LINES_IN_ROW + 7))


def test_a_quotation_mark_within_a_plain_cell_is_a_letter_like_any_other() -> None:
    assert _lines(b'a,5" pipe,1\nb,"ok",2', delimiter=",") == [(1, b'a,5" pipe,1'), (2, b'b,"ok",2')]


def test_a_row_that_is_too_long_or_holds_nul_is_refused_and_the_next_one_read() -> None:
    found = _lines(b"x" * (LONGEST_ROW + 5) + b"\na\x00b\nfine")
    assert "longer than 200 kB" in str(found[0][1])
    assert "NUL" in str(found[1][1])
    assert found[2] == (3, b"fine")


def test_a_row_without_an_end_is_not_kept_whole_while_more_of_it_comes() -> None:
    done = cut(b"x" * 10 * LONGEST_ROW, 0, last=False)
    assert (done.rows, len(done.rest)) == ([], LONGEST_ROW + 1)


@given(
    content=st.text(alphabet='ab,"\n\r', max_size=200).map(str.encode),
    at=st.lists(st.integers(0, 200), max_size=5),
    delimiter=st.sampled_from([None, ","]),
)
def test_where_a_file_is_cut_into_pieces_makes_no_difference(
    content: bytes, at: list[int], delimiter: str | None
) -> None:
    places = [0, *sorted(min(place, len(content)) for place in at), len(content)]
    rows: list[Row | Refused] = []
    lines, rest = 0, b""
    for number, (start, end) in enumerate(itertools.pairwise(places), start=1):
        done = cut(rest + content[start:end], lines, last=number == len(places) - 1, delimiter=delimiter)
        rows += done.rows
        lines, rest = done.lines_read, done.rest
    assert rows == cut(content, 0, last=True, delimiter=delimiter).rows
    assert rest == b""


# --- columns -------------------------------------------------------------------------------------


def test_a_row_becomes_the_event_that_the_api_would_take() -> None:
    assert _document(_read_csv(GOOD)) == {
        "id": "o1",
        "type": "balance_changed",
        "customer": {"email": "ada@example.com"},
        "occurred_at": "2025-03-14T09:30:00+01:00",
        "properties": {"change": 25, "reason": "Purchase"},
    }


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_are_recognised(delimiter: str) -> None:
    row = _read_csv(GOOD.replace(",", delimiter), header=HEADER.replace(",", delimiter))
    assert isinstance(row, Ready)


def test_columns_may_have_other_names_and_properties_of_ones_own() -> None:
    header = "Event ID,Event,Customer-ID,E-mail,Date,Points,properties.shop,colour"
    row = _read_csv("7,balance_changed,42,ada@example.com,2025-03-14,2.5,North,red", header=header)
    document = _document(row)
    assert document["customer"] == {"external_id": "42", "email": "ada@example.com"}
    assert document["properties"] == {"change": 2.5, "shop": "North"}
    assert history_columns.read_header(header).ignored == ("colour",)


def test_what_the_columns_mean_survives_being_written_down() -> None:
    columns = history_columns.read_header(HEADER)
    assert history_columns.from_text(columns.as_text()) == columns


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("id,email,occurred_at", "no column type"),
        ("id,type,email", "no column occurred_at"),
        ("id,type,occurred_at,change", "which customer"),
        ("type,email,E-mail,date", "Two columns mean customer.email"),
        (GOOD, "no column type"),
    ],
)
def test_a_first_line_that_does_not_do_says_what_is_missing(header: str, said: str) -> None:
    with pytest.raises(InvalidError, match=said):
        history_columns.read_header(header)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("o1,balance_changed,ada@example.com,2025-03-14", "4 cells"),
        ("o1,balance_changed,ada@example.com,,25,x", "occurred_at is missing"),
        ("o1,balance_changed,ada@example.com,14.03.2025,25,x", "occurred_at must be a time"),
        ("o1,balance_changed,ada@example.com,2026-12-24,25,x", "has not come yet"),
        ("o1,balance_changed,ada,2025-03-14,25,x", "not an email address"),
        ("o1,balance_changed,,2025-03-14,25,x", "customer"),
        ('o1,balance_changed,ada@example.com,2025-03-14,"1,5",x', "change must be a number"),
        ("o1,balance_change,ada@example.com,2025-03-14,25,x", "must be one of"),
        ("o1,balance_changed,ada@example.com,2025-03-14,,x", "change is missing"),
        ("o1,reward_redeemed_online,ada@example.com,2025-03-14,,", "cost is missing"),
        ('o1,"balance_changed"x,ada@example.com,2025-03-14,25,x', "quotation mark"),
    ],
)
def test_a_row_that_does_not_do_says_what_is_wrong(text: str, said: str) -> None:
    row = _read_csv(text)
    assert isinstance(row, Refused)
    assert said in row.reason
    assert row.line == 2
    assert row.reason.endswith((".", ")"))


def test_a_reward_that_is_said_to_cost_less_than_nothing_is_found_when_the_file_is_checked() -> None:
    header, row = "type,email,occurred_at,cost,reward_id", "reward_redeemed_in_store,ada@example.com,2025-03-14"
    refused = _read_csv(f"{row},-5,", header=header)
    assert isinstance(refused, Refused)
    assert refused.reason == "properties.cost must not be below 0."
    for known_when_recorded in (",coffee", "5,", "0,gone"):
        assert isinstance(_read_csv(f"{row},{known_when_recorded}", header=header), Ready)


def test_letters_are_read_as_the_file_writes_them() -> None:
    text = GOOD.replace("Purchase", "Café")
    assert _document(_read_csv(text, encoding="cp1252")) == _document(_read_csv(text))
    reader = Reader(history_columns.read_header(HEADER), "utf-8", COPENHAGEN, NOW)
    row = reader.read(Row(3, text.encode("cp1252")))
    assert isinstance(row, Refused)
    assert "UTF-8" in row.reason


# --- JSON lines and ids --------------------------------------------------------------------------


def test_a_line_of_json_is_read_as_strictly_as_the_api_reads_it() -> None:
    event = {"id": "a", "type": "checked_in", "customer": {"external_id": "1"}, "occurred_at": "2025-03-14T09:30:00Z"}
    assert _document(_read_json(json.dumps(event).encode())) == event
    for content, said in (
        (b"{", "not JSON"),
        (b"[]", "object"),
        (b'{"id": "a", "id": "b"}', "twice"),
        (b'{"id": "\\u0000"}', "NUL"),
        (json.dumps({**event, "occurred_at": "2025-03-14"}).encode(), "zone"),
        (json.dumps({**event, "more": 1}).encode(), "not known"),
    ):
        row = _read_json(content)
        assert isinstance(row, Refused), content
        assert said in row.reason, row.reason


def test_a_row_without_an_id_always_gets_the_same_one() -> None:
    row, again = _read_csv(GOOD.replace("o1", "")), _read_csv(GOOD.replace("o1", " "))
    other = _read_csv(GOOD.replace("o1", "").replace("25,", "26,"))
    assert isinstance(row, Ready)
    assert isinstance(again, Ready)
    assert isinstance(other, Ready)
    assert row.event_id == again.event_id != other.event_id
    assert row.event_id.startswith(DERIVED_ID)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_and_nothing_else(content: bytes) -> None:
    for reader in (
        Reader(history_columns.read_header(HEADER), "cp1252", COPENHAGEN, NOW),
        Reader(None, "utf-8", COPENHAGEN, NOW),
    ):
        for row in cut(content, 0, last=True, delimiter="," if reader.columns else None).rows:
            read = reader.read(row) if isinstance(row, Row) else row
            assert isinstance(read, Refused | Ready)
