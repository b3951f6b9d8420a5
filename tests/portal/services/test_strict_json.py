"""The strict reader: whatever it takes it reads as everybody else does, and what others would read differently it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.services.strict_json import MalformedError, parse

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)


def test_a_byte_order_mark_is_called_what_it_is() -> None:
    with pytest.raises(MalformedError, match=r"byte order mark. Send UTF-8 without one\."):
        parse(b"\xef\xbb\xbf{}")


@given(value=values, ascii_only=st.booleans(), indent=st.sampled_from([None, 2]))
def test_what_is_valid_is_read_as_it_was_written(value: Any, ascii_only: bool, indent: int | None) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert parse(body) == value
    assert json.dumps(parse(body)) == json.dumps(value), "numbers keep their kind"


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_and_nothing_else(body: bytes) -> None:
    try:
        read = parse(body)
    except MalformedError:
        return
    assert read == json.loads(body.decode())


@given(st.text(alphabet='{}[]":,\\u0123dDeE+-. \n"tfn', max_size=60))
def test_anything_like_json_is_read_or_refused_and_nothing_else(text: str) -> None:
    try:
        read = parse(text.encode())
    except MalformedError:
        return
    assert repr(read) == repr(json.loads(text))


@given(st.text(alphabet='\\u0d8"/x', max_size=12))
def test_a_text_is_refused_for_what_it_says_and_not_for_how_it_looks(text: str) -> None:
    """A text that spells an escape out is no NUL and no half of a pair."""
    assert parse(json.dumps({"a": text}).encode()) == {"a": text}


@given(before=texts, after=texts, bad=st.sampled_from(["\x00", "\ud800", "\udbff", "\udc00", "\udfff"]))
def test_what_no_database_takes_is_refused_wherever_it_stands(before: str, after: str, bad: str) -> None:
    text = before + bad + after
    for value in ({"a": text}, {text: 1}, [[text]]):
        with pytest.raises(MalformedError):
            parse(json.dumps(value).encode())


@given(st.dictionaries(texts, values, min_size=1, max_size=3))
def test_a_name_that_comes_twice_is_refused(value: dict[str, Any]) -> None:
    inner = json.dumps(value)[1:-1]
    with pytest.raises(MalformedError, match="twice"):
        parse(f'{{"x": [{{{inner}, {inner}}}]}}'.encode())


@pytest.mark.parametrize("depth", [1, 10, 100, 500, 900, 980, 985, 990, 995, 1000, 2000, 50_000])
@pytest.mark.parametrize("inside", [b"1", b'"\\u0041"', b'"\\u0000"'])
def test_however_deep_a_body_is_nested_it_is_read_or_refused(depth: int, inside: bytes) -> None:
    try:
        read = parse(b"[" * depth + inside + b"]" * depth)
    except MalformedError:
        assert depth > 900 or inside == b'"\\u0000"'
        return
    for _ in range(depth):
        [read] = read
    assert read in (1, "A")


def test_an_error_says_where() -> None:
    with pytest.raises(MalformedError, match=r"line 2, column 9"):
        parse(b'{"a": 1,\n  "b":  }')
    with pytest.raises(MalformedError, match=r"byte 3"):
        parse(b'{"\xff": 1}')
