"""What a card says in `pass.json`, in Apple's vocabulary, and what contradicts itself and is refused."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.wallet import (
    Action,
    ActionType,
    Alignment,
    Barcode,
    BarcodeFormat,
    CardError,
    DateStyle,
    Detector,
    Field,
    Location,
    NumberStyle,
    WebService,
    link,
)
from portal.wallet.apple_pass import pass_json
from tests.portal.wallet.cards import MEMBER_SINCE, TOKEN, bare_card, full_card

TOP = {
    "formatVersion", "passTypeIdentifier", "teamIdentifier", "serialNumber", "organizationName", "description", "logoText",
    "storeCard", "barcodes", "backgroundColor", "foregroundColor", "labelColor", "webServiceURL", "authenticationToken",
    "locations", "maxDistance", "featuredActions", "expirationDate", "voided", "sharingProhibited",
}  # fmt: skip
FIELD = {
    "key", "label", "value", "attributedValue", "changeMessage", "textAlignment", "dateStyle", "timeStyle", "isRelative",
    "ignoresTimeZone", "numberStyle", "currencyCode", "dataDetectorTypes",
}  # fmt: skip
LISTS = {"headerFields", "primaryFields", "secondaryFields", "auxiliaryFields", "backFields"}


def document(card: Any) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(pass_json(card, pass_type_id="pass.com.nordic", team_id="TEAM"))
    return read


def _field_keys(read: dict[str, Any]) -> set[str]:
    return {key for fields in read["storeCard"].values() for field in fields for key in field}


def test_a_card_with_everything_is_written_in_apples_vocabulary() -> None:
    read = document(full_card())
    assert set(read) == TOP
    assert set(read["storeCard"]) == LISTS
    assert _field_keys(read) == FIELD - {"isRelative"}
    assert read["backgroundColor"] == "rgb(26, 43, 60)"
    assert read["barcodes"][0] == {
        "format": "PKBarcodeFormatQR", "message": "4711", "messageEncoding": "iso-8859-1", "altText": "4711",
    }  # fmt: skip
    fields = {field["key"]: field for fields in read["storeCard"].values() for field in fields}
    assert fields["next"]["value"] == 80.5
    assert fields["since"]["value"] == "2024-03-01T12:00:00+00:00"
    assert fields["shop"]["attributedValue"] == '<a href="https://shop.example/?a=1&amp;b=2">Visit the shop</a>'


def test_apples_own_list_of_keys_has_every_key_that_is_written() -> None:
    """`APPLE_PASS_KEYS` names the list, which is taken from Apple's pass builder and not part of this repository."""
    named = os.environ.get("APPLE_PASS_KEYS", "")
    if not Path(named).is_file():
        reason = "APPLE_PASS_KEYS does not name Apple's list of keys"
        if os.environ.get("PORTAL_TESTS_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    keys = json.loads(Path(named).read_text())
    assert set(keys["top"]) >= TOP
    assert set(keys["fields"]) >= LISTS
    assert set(keys["fieldContent"]) >= FIELD


def test_what_is_not_set_is_not_written() -> None:
    read = document(bare_card(header=(Field(key="balance", value=0),)))
    assert set(read) == {
        "formatVersion", "passTypeIdentifier", "teamIdentifier", "serialNumber", "organizationName", "description", "storeCard",
    }  # fmt: skip
    assert read["storeCard"] == {"headerFields": [{"key": "balance", "value": 0}]}


def test_the_same_card_is_the_same_bytes() -> None:
    once, again = (pass_json(full_card(), pass_type_id="p", team_id="t") for _ in range(2))
    assert once == again


def test_a_number_for_a_barcode_outside_latin_1_says_so() -> None:
    assert Barcode(message="Łódź").to_json()["messageEncoding"] == "utf-8"


@given(text=st.text(st.characters(codec=None), max_size=30))
def test_any_name_makes_a_card_and_only_what_cannot_be_shown_is_left_out(text: str) -> None:
    shown = document(bare_card(primary=(Field(key="name", value=text),)))["storeCard"]["primaryFields"][0]["value"]
    assert [each for each in text if each in shown] == list(shown)
    assert {unicodedata.category(each) for each in set(text) - set(shown)} <= {"Cc", "Cs"}


def _field(**parts: Any) -> Callable[[], Any]:
    return lambda: Field(**{"key": "k", "value": "v", **parts})


def _card(**parts: Any) -> Callable[[], Any]:
    return lambda: bare_card(**parts)


def _many(count: int) -> tuple[Field, ...]:
    return tuple(Field(key=str(number), value=number) for number in range(count))


def _actions(count: int) -> tuple[Action, ...]:
    return tuple(
        Action(identifier=str(number), type=ActionType.SHOP, url="https://a.example") for number in range(count)
    )


REFUSED: list[tuple[str, Callable[[], Any]]] = [
    ("field_without_key", _field(key="")),
    ("value_type", _field(value=True)),
    ("value_type", _field(value=None)),
    ("value_not_finite", _field(value=float("nan"))),
    ("value_not_finite", _field(value=Decimal("Infinity"))),
    ("value_without_zone", _field(value=datetime(2026, 1, 1), date_style=DateStyle.SHORT)),
    ("two_number_styles", _field(value=1, number_style=NumberStyle.PERCENT, currency_code="DKK")),
    ("two_styles", _field(value=1, number_style=NumberStyle.PERCENT, date_style=DateStyle.SHORT)),
    ("style_without_date", _field(date_style=DateStyle.SHORT)),
    ("style_without_date", _field(is_relative=True)),
    ("date_without_style", _field(value=MEMBER_SINCE)),
    ("style_without_number", _field(currency_code="DKK")),
    ("currency_unknown", _field(value=1, currency_code="kr")),
    ("change_message_without_value", _field(change_message="")),
    ("change_message_without_value", _field(change_message="Something changed")),
    ("attributed_value_tags", _field(attributed_value="<b>bold</b>")),
    ("attributed_value_tags", _field(attributed_value='<a href="x" onclick="y">z</a>')),
    ("attributed_value_tags", _field(attributed_value="a < b")),
    ("serial_number_missing", _card(serial_number="")),
    ("organization_name_missing", _card(organization_name=" ")),
    ("description_missing", _card(description="\x00")),
    ("key_twice", _card(header=(Field(key="a", value=1),), back=(Field(key="a", value=2),))),
    ("alignment_here", _card(primary=(Field(key="a", value=1, alignment=Alignment.LEFT),))),
    ("alignment_here", _card(back=(Field(key="a", value=1, alignment=Alignment.LEFT),))),
    ("detectors_here", _card(header=(Field(key="a", value=1, detectors=(Detector.LINK,)),))),
    ("header_too_many", _card(header=_many(4))),
    ("primary_too_many", _card(primary=_many(2))),
    ("secondary_too_many", _card(secondary=_many(2), auxiliary=tuple(Field(key=f"a{n}", value=n) for n in range(3)))),
    ("locations_too_many", _card(locations=(Location(latitude=1, longitude=1),) * 11)),
    ("actions_too_many", _card(actions=_actions(3))),
    ("max_distance", _card(max_distance=0)),
    ("expiry_without_zone", _card(expires_at=datetime(2030, 1, 1))),
    ("location_nowhere", lambda: Location(latitude=91, longitude=0)),
    ("location_nowhere", lambda: Location(latitude=float("nan"), longitude=0)),
    ("barcode_empty", lambda: Barcode(message="")),
    ("barcode_letters", lambda: Barcode(message="Ø", format=BarcodeFormat.CODE128)),
    ("web_service_url", lambda: WebService(url="http://portal.example", authentication_token=TOKEN)),
    ("web_service_url", lambda: WebService(url="portal.example", authentication_token=TOKEN)),
    ("token_short", lambda: WebService(url="https://portal.example", authentication_token="x" * 15)),
]


@pytest.mark.parametrize(("code", "make"), REFUSED)
def test_what_contradicts_itself_is_refused_when_it_is_made(code: str, make: Callable[[], Any]) -> None:
    with pytest.raises(CardError) as refused:
        make()
    assert refused.value.code == code
    assert refused.value.message.endswith(".")


def test_a_link_in_a_text_is_escaped_and_allowed_on_the_card() -> None:
    made = link('https://shop.example/?q="a"&<b>', "<Shop> & 'more'")
    assert Field(key="shop", value="Shop", attributed_value=made).to_json()["attributedValue"] == made


def test_this_machine_may_serve_updates_without_https() -> None:
    for url in ("http://127.0.0.1:9000/passkit", "http://localhost:9000"):
        read = document(bare_card(web_service=WebService(url=url, authentication_token=TOKEN)))
        assert read["webServiceURL"] == url
