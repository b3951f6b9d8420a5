"""The library against the sandbox's Google Wallet, over a real socket: what either gets wrong, the other refuses."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from portal.wallet.google import (
    Barcode,
    ForgedCallbackError,
    GoogleWallet,
    Happened,
    Link,
    LoyaltyClass,
    LoyaltyObject,
    Message,
    Outcome,
    Points,
    State,
    TextModule,
    check_service_account,
    has_message,
    message_id,
    messages_of,
    resource_id,
    root_keys,
    save_link,
    verify_callback,
)
from tests.klaviyo_account import Sandbox
from tests.portal.wallet.callback_receiver import Receiver
from tests.waiting import eventually


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.stop()


@pytest.fixture
def issuer(google_settings: dict[str, str]) -> str:
    return google_settings["google_issuer_id"]


@pytest.fixture
def wallet(sandbox: Sandbox, google_settings: dict[str, str]) -> GoogleWallet:
    sandbox.set(limits=False)  # pacing is the caller's
    account = check_service_account(google_settings["google_service_account"], google_settings["google_token_url"])
    return GoogleWallet(account, google_settings["google_api_url"])


@pytest.fixture
def programme(issuer: str, receiver: Receiver) -> LoyaltyClass:
    return LoyaltyClass(
        id=resource_id(issuer, f"club-{uuid.uuid4()}"),
        issuer_name="Nordic Coffee Roasters of Oslo",
        program_name="Coffee Club",
        logo_url="https://shop.example/logo.png",
        hero_image_url="https://shop.example/strip.png",
        color="#1A2B3C",
        callback_url=receiver.url,
        homepage_url="https://shop.example",
        country_code="NO",
        account_name_label="Member",
        account_id_label="Number",
        locations=((59.91, 10.75),),
        text_modules=(TextModule("about", "About", "Fika ☕"),),
        links=(Link("shop", "Our shop", "https://shop.example"),),
    )


@pytest.fixture
def card(issuer: str, programme: LoyaltyClass) -> LoyaltyObject:
    return LoyaltyObject(
        id=resource_id(issuer, f"card-{uuid.uuid4()}"),
        class_id=programme.id,
        account_id="NC-000123",
        account_name="Åse Lindström",
        points=Points("Points", 120.5),
        secondary_points=Points("To go", "79.5"),
        barcode=Barcode("4711"),
        text_modules=(TextModule("tier", "Tier", "Gold"),),
        links=(Link("card", "Your card", "https://portal.example/card"),),
        messages=(Message("welcome", "Nordic", "Welcome", notify=False),),
    )


def test_a_programme_and_a_card_are_kept_in_step(
    wallet: GoogleWallet, programme: LoyaltyClass, card: LoyaltyObject
) -> None:
    assert wallet.put(card).outcome is Outcome.MISSING
    assert [wallet.put(each).outcome for each in (programme, card, programme, card)] == [Outcome.OK] * 4
    found = wallet.get_object(card.id).document
    assert found["loyaltyPoints"]["balance"] == {"double": 120.5}
    assert found["classReference"]["reviewStatus"] == "APPROVED"
    assert has_message(found, "welcome")
    plain = LoyaltyObject(id=card.id, class_id=programme.id, account_id="NC-000123", state=State.INACTIVE)
    assert wallet.patch(plain).ok
    emptied = wallet.get_object(card.id).document
    assert emptied["state"] == "INACTIVE"
    assert not {"loyaltyPoints", "barcode", "textModulesData", "linksModuleData", "accountName"} & set(emptied)
    assert has_message(emptied, "welcome")


def test_a_fourth_message_of_a_day_is_over_the_quota_and_goes_silently(
    wallet: GoogleWallet, programme: LoyaltyClass, card: LoyaltyObject
) -> None:
    for each in (programme, card):
        wallet.put(each)
    loud = [wallet.message_object(card.id, Message(f"m{number}", "N", "Hello")).outcome for number in range(4)]
    assert loud == [Outcome.OK, Outcome.OK, Outcome.OK, Outcome.QUOTA]
    assert wallet.message_object(card.id, Message("m3", "N", "Hello", notify=False)).ok
    assert wallet.message_class(programme.id, Message("all", "N", "Hello everyone")).ok


def test_a_full_card_gets_room_for_one_more_message(
    wallet: GoogleWallet, programme: LoyaltyClass, card: LoyaltyObject
) -> None:
    for each in (programme, card):
        wallet.put(each)
    for target in (wallet.message_object, wallet.message_class):
        resource_of = card.id if target == wallet.message_object else programme.id
        sent = [target(resource_of, Message(f"m{n}", "N", "Hello", notify=False)).outcome for n in range(11)]
        assert sent[-1] is Outcome.REFUSED
    for document in (wallet.get_object(card.id).document, wallet.get_class(programme.id).document):
        assert wallet.make_room(document).ok
    assert wallet.message_object(card.id, Message("last", "N", "Hello", notify=False)).ok
    kept = messages_of(wallet.get_object(card.id).document)
    assert (len(kept), kept[-1]["id"]) == (10, "last")
    assert len(messages_of(wallet.get_class(programme.id).document)) == 9


def test_after_a_lost_answer_the_message_is_found_by_its_id(
    wallet: GoogleWallet, programme: LoyaltyClass, card: LoyaltyObject, sandbox: Sandbox
) -> None:
    for each in (programme, card):
        wallet.put(each)
    wanted = message_id("push-1", card.id)
    for accepted in (False, True):
        sandbox.order("reset", "/walletobjects/", accept=accepted)
        assert wallet.message_object(card.id, Message(wanted, "N", "Hello")).outcome is Outcome.TROUBLE
        assert has_message(wallet.get_object(card.id).document, wanted) is accepted


def test_what_the_phone_does_with_a_link_is_reported_and_found_by_listing(
    wallet: GoogleWallet,
    programme: LoyaltyClass,
    card: LoyaltyObject,
    issuer: str,
    sandbox: Sandbox,
    receiver: Receiver,
    google_settings: dict[str, str],
) -> None:
    for each in (programme, card):
        wallet.put(each)
    account = check_service_account(google_settings["google_service_account"])
    link = save_link(account, card.id, card.class_id, save_url=google_settings["google_save_url"])
    sandbox.order("duplicate", "/google/callbacks")
    sandbox.google("POST", "save", {"jwt": link.rpartition("/")[2]})
    assert [each.has_users for each in wallet.list_objects(programme.id).holdings] == [True]
    sandbox.order("forge", "/google/callbacks")
    sandbox.google("POST", "remove", {"object_id": card.id})
    assert [each.has_users for each in wallet.list_objects(programme.id).holdings] == [False]
    eventually(lambda: len(receiver.bodies) == 3)
    keys = root_keys(google_settings["google_keys_url"])
    first, second = (verify_callback(body, issuer, keys) for body in receiver.bodies[:2])
    assert first == second
    assert (first.happened, first.object_id, first.class_id) == (Happened.SAVED, card.id, programme.id)
    with pytest.raises(ForgedCallbackError):
        verify_callback(receiver.bodies[2], issuer, keys)
