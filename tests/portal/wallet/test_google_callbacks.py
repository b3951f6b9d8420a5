"""Callbacks are believed when Google signed them for this issuer and in time, and for nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import responses
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal.wallet.google import (
    CallbackError,
    ExpiredCallbackError,
    ForeignCallbackError,
    ForgedCallbackError,
    Happened,
    KeysUnavailableError,
    MalformedCallbackError,
    RootKeys,
    verify_callback,
)
from portal.wallet.google_callbacks import signed_text
from tests.portal.wallet.google_issuer import CLASS_ID, DAY, ISSUER, OBJECT_ID, Signer

URL = "https://pay.google.test/gp/m/issuer/keys"
GOOGLE = Signer()


@pytest.fixture
def fetches() -> Any:
    """Google's root keys are there to be fetched; counts how often they were."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as google:
        google.get(URL, json=GOOGLE.root_keys())
        yield google.calls


def _verify(body: bytes, keys: RootKeys | None = None, issuer: str = ISSUER) -> Any:
    return verify_callback(body, issuer, keys or RootKeys(URL))


def _with(body: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    told = json.loads(body)
    change(told)
    return json.dumps(told).encode()


@pytest.mark.usefixtures("fetches")
@pytest.mark.parametrize("kind", list(Happened))
def test_a_callback_of_googles_tells_what_happened_to_which_card(kind: Happened) -> None:
    callback = _verify(GOOGLE.callback(eventType=kind.value, nonce="n-1", count=3))
    assert (callback.happened, callback.class_id, callback.object_id) == (kind, CLASS_ID, OBJECT_ID)
    assert (callback.nonce, callback.count) == ("n-1", 3)
    assert callback.expires_at > datetime.now(UTC) + timedelta(hours=23)


@given(nonce=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_survives_the_framing_by_bytes(nonce: str) -> None:
    with responses.RequestsMock() as google:
        google.get(URL, json=GOOGLE.root_keys())
        assert _verify(GOOGLE.callback(nonce=nonce)).nonce == nonce


@given(first=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4), data=st.data())
def test_two_different_lists_of_parts_are_never_signed_alike(first: list[str], data: st.DataObject) -> None:
    text = "".join(first)
    cut = data.draw(st.integers(0, len(text)))
    second = data.draw(st.sampled_from([[text], [text[:cut], text[cut:]], [*first, ""]]))
    assert (signed_text(*first) == signed_text(*second)) == (first == second)


def test_the_length_of_a_part_is_counted_in_bytes() -> None:
    assert signed_text("é", "ab") == b"\x02\x00\x00\x00\xc3\xa9\x02\x00\x00\x00ab"


def _spoil_message(told: dict[str, Any]) -> None:
    told["signedMessage"] = told["signedMessage"].replace('"save"', '"del"')


def _spoil_key(told: dict[str, Any]) -> None:
    told["intermediateSigningKey"]["signedKey"] = json.loads(Signer().callback())["intermediateSigningKey"]["signedKey"]


def _spoil_vouching(told: dict[str, Any]) -> None:
    told["intermediateSigningKey"]["signatures"] = [told["signature"]]


@pytest.mark.usefixtures("fetches")
@pytest.mark.parametrize("spoil", [_spoil_message, _spoil_key, _spoil_vouching])
def test_a_callback_that_was_changed_on_the_way_is_forged(spoil: Callable[[dict[str, Any]], None]) -> None:
    with pytest.raises(ForgedCallbackError):
        _verify(_with(GOOGLE.callback(), spoil))


@pytest.mark.usefixtures("fetches")
@pytest.mark.parametrize(
    ("body", "error"),
    [
        (lambda: Signer().callback(), ForgedCallbackError),
        (lambda: GOOGLE.callback(sender="GooglePay"), ForgedCallbackError),
        (lambda: GOOGLE.callback(issuer="4400"), ForeignCallbackError),
        (lambda: GOOGLE.callback(objectId="4400.card"), ForeignCallbackError),
        # Ours by its ids, but signed for somebody else.
        (lambda: GOOGLE.callback("4400", classId=CLASS_ID, objectId=OBJECT_ID), ForgedCallbackError),
        (lambda: GOOGLE.callback(expTimeMillis=int((time.time() - 1) * 1000)), ExpiredCallbackError),
        (lambda: GOOGLE.callback(expTimeMillis=str(int((time.time() - 1) * 1000))), ExpiredCallbackError),
        (lambda: Signer(GOOGLE.root, key_ends_in=-1).callback(), ExpiredCallbackError),
    ],
)
def test_a_callback_of_another_or_past_its_time_is_refused(body: Callable[[], bytes], error: type[Exception]) -> None:
    with pytest.raises(error):
        _verify(body())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"[" * 10_000,
        b'{"a": "' + b"x" * 20_000 + b'"}',
        _with(GOOGLE.callback(), lambda told: told.update(protocolVersion="ECv1")),
        _with(GOOGLE.callback(), lambda told: told.update(signature="?")),
        _with(GOOGLE.callback(), lambda told: told.update(signature=None)),
        _with(GOOGLE.callback(), lambda told: told.update(intermediateSigningKey=[])),
        _with(GOOGLE.callback(), lambda told: told["intermediateSigningKey"].update(signatures="x")),
        _with(GOOGLE.callback(), lambda told: told["intermediateSigningKey"].update(signatures=[])),
        _with(GOOGLE.callback(), lambda told: told["intermediateSigningKey"].update(signatures=["YQ=="] * 99)),
        _with(GOOGLE.callback(), lambda told: told["intermediateSigningKey"].update(signedKey="{}")),
        _with(GOOGLE.callback(), lambda told: told["intermediateSigningKey"].update(signedKey=7)),
        _with(GOOGLE.callback(), lambda told: told.update(signedMessage='{"nonce": "\ud800"}')),
        GOOGLE.envelope("7"),
        GOOGLE.callback(eventType="saved"),
        GOOGLE.callback(eventType=["save"]),
        GOOGLE.callback(expTimeMillis="soon"),
        GOOGLE.callback(expTimeMillis=10**20),
        GOOGLE.callback(expTimeMillis=-1),
        GOOGLE.callback(nonce=""),
        GOOGLE.callback(nonce="a\x00b"),
        GOOGLE.callback(objectId=None),
    ],
)
def test_what_has_not_the_shape_of_a_callback_is_refused_without_asking_google(body: bytes) -> None:
    with responses.RequestsMock(), pytest.raises(MalformedCallbackError):
        _verify(body)


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_no_body_at_all_causes_another_error(body: bytes | str) -> None:
    with responses.RequestsMock(), pytest.raises(CallbackError):
        _verify(body if isinstance(body, bytes) else body.encode())


# --- Google's keys ---------------------------------------------------------------------------------


def test_googles_keys_are_fetched_once_and_rubbish_does_not_fetch_them_again(fetches: Any) -> None:
    keys = RootKeys(URL)
    for _ in range(3):
        _verify(GOOGLE.callback(), keys)
        with pytest.raises(ForgedCallbackError):
            _verify(Signer().callback(), keys)
    assert len(fetches) == 1


def test_keys_that_ended_are_fetched_anew() -> None:
    old, new = Signer(root_ends_in=DAY), Signer(root_ends_in=3 * DAY)
    keys = RootKeys(URL)
    with responses.RequestsMock() as google, time_machine.travel(datetime.now(UTC), tick=False) as clock:
        google.get(URL, json=old.root_keys())
        _verify(old.callback(), keys)
        google.replace("GET", URL, json=new.root_keys())
        clock.shift(DAY + 1)
        fresh = Signer(new.root)
        assert _verify(fresh.callback(), keys).object_id == OBJECT_ID
        assert len(google.calls) == 2


def test_a_key_that_google_added_before_the_old_one_ended_is_found_within_the_hour() -> None:
    new = Signer()
    keys = RootKeys(URL)
    with responses.RequestsMock() as google, time_machine.travel(datetime.now(UTC), tick=False) as clock:
        google.get(URL, json=GOOGLE.root_keys())
        _verify(GOOGLE.callback(), keys)
        google.replace("GET", URL, json=new.root_keys())
        with pytest.raises(ForgedCallbackError):
            _verify(new.callback(), keys)
        clock.shift(3601)
        assert _verify(new.callback(), keys).object_id == OBJECT_ID


@pytest.mark.parametrize("answer", [{"status": 503}, {"json": {"keys": []}}, {"json": []}, {"body": "<html>"}])
def test_without_googles_keys_nothing_is_judged_and_google_is_not_asked_each_time(answer: dict[str, Any]) -> None:
    keys = RootKeys(URL)
    with responses.RequestsMock() as google, time_machine.travel(datetime.now(UTC), tick=False) as clock:
        google.get(URL, **answer)
        for _ in range(3):
            with pytest.raises(KeysUnavailableError):
                _verify(GOOGLE.callback(), keys)
        assert len(google.calls) == 1
        google.replace("GET", URL, json=GOOGLE.root_keys())
        clock.shift(31)
        assert _verify(GOOGLE.callback(), keys).happened is Happened.SAVED
