"""Classes, cards and messages are described in the vendor's words, and never longer than fits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.wallet.google import (
    Barcode,
    Link,
    LoyaltyClass,
    LoyaltyObject,
    Message,
    Points,
    State,
    TextModule,
    has_message,
    message_id,
    resource_id,
)
from portal.wallet.google_loyalty import shortened
from tests.portal.wallet.google_issuer import CLASS_ID, ISSUER, OBJECT_ID

LOGO = "https://shop.example/logo.png"


def _programme(**more: Any) -> LoyaltyClass:
    return LoyaltyClass(id=CLASS_ID, issuer_name="Nordic", program_name="Club", logo_url=LOGO, **more)


def _card(**more: Any) -> LoyaltyObject:
    return LoyaltyObject(id=OBJECT_ID, class_id=CLASS_ID, account_id="NC-000123", **more)


def test_a_new_class_has_what_google_requires_and_nothing_empty() -> None:
    assert _programme().for_insert() == {
        "id": CLASS_ID,
        "issuerName": "Nordic",
        "programName": "Club",
        "programLogo": {"sourceUri": {"uri": LOGO}},
        "reviewStatus": "UNDER_REVIEW",
        "multipleDevicesAndHoldersAllowedStatus": "ONE_USER_ALL_DEVICES",
    }


def test_a_class_says_all_that_the_designer_chose() -> None:
    programme = _programme(
        color="#1A2B3C",
        hero_image_url="https://shop.example/strip.png",
        callback_url="https://portal.example/google",
        locations=((59.9, 10.7),),
        text_modules=(TextModule("tier", "Tier", "Gold"),),
        links=(Link("site", "Our shop", "https://shop.example"),),
        account_id_label="Number of the member",
    )
    members = programme.for_insert()
    assert members["hexBackgroundColor"] == "#1A2B3C"
    assert members["callbackOptions"] == {"url": "https://portal.example/google"}
    assert members["merchantLocations"] == [{"latitude": 59.9, "longitude": 10.7}]
    assert members["textModulesData"] == [{"id": "tier", "header": "Tier", "body": "Gold"}]
    assert members["linksModuleData"]["uris"][0]["description"] == "Our shop"
    assert members["accountIdLabel"] == "Number of the…"


def test_a_patch_takes_away_what_is_empty_now_but_leaves_messages_alone() -> None:
    patch = _card().for_patch()
    assert patch["loyaltyPoints"] is patch["barcode"] is patch["textModulesData"] is None
    assert "messages" not in patch
    assert "notifyPreference" not in patch
    assert _card().for_patch(notify=True)["notifyPreference"] == "NOTIFY_ON_UPDATE"
    assert _programme().for_patch()["heroImage"] is None


def test_a_card_shows_points_barcode_and_state() -> None:
    message = Message("m-1", "Nordic", "Welcome", notify=False)
    card = _card(
        account_name="Ada Lovelace",
        state=State.INACTIVE,
        points=Points("Points", 120),
        secondary_points=Points("To next reward", 7.5),
        barcode=Barcode("123"),
        messages=(message,),
    )
    assert card.for_insert() == {
        "id": OBJECT_ID,
        "classId": CLASS_ID,
        "state": "INACTIVE",
        "accountId": "NC-000123",
        "accountName": "Ada Lovelace",
        "loyaltyPoints": {"label": "Points", "balance": {"int": 120}},
        "secondaryLoyaltyPoints": {"label": "To next…", "balance": {"double": 7.5}},
        "barcode": {"type": "QR_CODE", "value": "123", "alternateText": "123"},
        "messages": [{"id": "m-1", "header": "Nordic", "body": "Welcome", "messageType": "TEXT"}],
    }


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text())
def test_a_balance_is_exactly_one_kind_and_fits_it(balance: int | float | str) -> None:
    ((kind, value),) = Points("Points", balance).member()["balance"].items()
    assert kind in ("int", "double", "string")
    assert kind != "int" or -(2**31) < value < 2**31
    assert float(value) == float(balance) if not isinstance(balance, str) else value == balance


@given(st.text(), st.integers(2, 40))
def test_a_name_is_cut_to_what_fits(text: str, longest: int) -> None:
    cut = shortened(text, longest)
    assert len(cut) <= longest
    assert cut == " ".join(text.split()) or cut.endswith("…")


@pytest.mark.parametrize("name", ["", "a b", "ä", "a/b", "a\n"])
def test_an_id_that_google_would_refuse_is_not_made(name: str) -> None:
    assert resource_id(ISSUER, "a.B-1_") == f"{ISSUER}.a.B-1_"
    with pytest.raises(ValueError, match="not an issuer's number"):
        resource_id(ISSUER, name)


@pytest.mark.parametrize(
    "wrong",
    [
        {"color": "red"},
        {"color": "#12345"},
        {"locations": ((0.0, 0.0),) * 11},
        {"text_modules": (TextModule("a", "b", "c"),) * 11},
        {"id": "coffee"},
    ],
)
def test_a_class_that_google_would_refuse_is_not_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"color|at most|id of a class"):
        LoyaltyClass(**{"id": CLASS_ID, "issuer_name": "N", "program_name": "C", "logo_url": LOGO, **wrong})


def test_a_message_keeps_its_id_and_can_be_found_again() -> None:
    push = message_id("push-7", OBJECT_ID)
    assert push == message_id("push-7", OBJECT_ID)
    assert len({push, message_id("push-8", OBJECT_ID), message_id("push-7", CLASS_ID), message_id("push-", "7")}) == 4
    added = Message(push, "Nordic", "Hello").for_adding()
    assert added["message"]["messageType"] == "TEXT_AND_NOTIFY"
    assert has_message({"messages": ["odd", added["message"]]}, push)
    assert not has_message({"messages": [{"id": "x"}]}, push)
    assert not has_message({}, push)
