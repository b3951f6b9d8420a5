"""Secrets at rest open only where they were sealed, with a key that is still there."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal import crypto
from portal.crypto import EncryptedText, Keyring, SealError


def make_key(kid: str) -> str:
    return f"{kid}:{base64.b64encode(os.urandom(32)).decode()}"


OLD, NEW = make_key("old"), make_key("new")


@given(text=st.text(), bound_to=st.text())
def test_what_is_sealed_opens_again_where_it_belongs(text: str, bound_to: str) -> None:
    ring = Keyring([OLD])
    assert ring.open(ring.seal(text, bound_to=bound_to), bound_to=bound_to) == text


def test_the_same_text_is_never_sealed_the_same_way() -> None:
    ring = Keyring([OLD])
    assert len({ring.seal("token", bound_to="here") for _ in range(50)}) == 50


def test_a_sealed_text_does_not_open_elsewhere() -> None:
    ring = Keyring([OLD])
    with pytest.raises(SealError):
        ring.open(ring.seal("token", bound_to="connections:1"), bound_to="connections:2")


def test_a_key_that_is_gone_opens_nothing_and_the_secret_is_not_in_the_error() -> None:
    sealed = Keyring([OLD]).seal("very-secret", bound_to="here")
    with pytest.raises(SealError) as raised:
        Keyring([NEW]).open(sealed, bound_to="here")
    assert "very-secret" not in str(raised.value)


@pytest.mark.parametrize(
    "wrong", ["", "text", "v1:old", "v1:old:!!!", "v2:old:AAAA", "v1:old:AAAA", "v1:old:" + "A" * 64]
)
def test_rubbish_is_refused_and_not_opened(wrong: str) -> None:
    with pytest.raises(SealError):
        Keyring([OLD]).open(wrong, bound_to="here")


@given(place=st.integers(min_value=0), bit=st.integers(min_value=0, max_value=7))
def test_a_single_changed_bit_is_noticed(place: int, bit: int) -> None:
    ring = Keyring([OLD])
    head, _, encoded = ring.seal("token", bound_to="here").rpartition(":")
    raw = bytearray(base64.b64decode(encoded))
    raw[place % len(raw)] ^= 1 << bit
    with pytest.raises(SealError):
        ring.open(f"{head}:{base64.b64encode(raw).decode()}", bound_to="here")


def test_keys_are_rotated_without_losing_anything() -> None:
    sealed = Keyring([OLD]).seal("token", bound_to="here")
    both = Keyring([NEW, OLD])
    assert both.open(sealed, bound_to="here") == "token"
    assert not both.is_newest(sealed)
    assert both.is_newest(both.seal("token", bound_to="here"))


@dataclass
class Row:
    __tablename__ = "rows"
    merchant_id: int
    sealed: str | None = None
    other_sealed: str | None = None

    secret = EncryptedText("sealed")
    other = EncryptedText("other_sealed")


@pytest.fixture(autouse=True)
def ring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypto, "_ring", Keyring([OLD]))


def test_a_column_reads_what_was_written_and_stores_something_else() -> None:
    row = Row(1)
    row.secret = "token"
    assert row.secret == "token"
    assert row.sealed is not None
    assert "token" not in row.sealed
    row.secret = None
    assert row.sealed is None
    assert row.secret is None


def test_a_column_moved_to_another_row_or_column_does_not_open() -> None:
    row, thief = Row(1), Row(2)
    row.secret = "token"
    thief.sealed = row.other_sealed = row.sealed
    with pytest.raises(SealError):
        _ = thief.secret
    with pytest.raises(SealError):
        _ = row.other


def test_a_column_is_sealed_anew_only_where_that_is_needed() -> None:
    row = Row(1)
    row.secret = "token"
    assert not Row.secret.reseal(row)
    crypto.use_keys([NEW, OLD])
    assert Row.secret.reseal(row)
    assert row.secret == "token"
    assert crypto.keyring().is_newest(row.sealed or "")
    assert not Row.secret.reseal(Row(2))
