"""What a person does with a card on a phone, whichever wallet it is in."""

from __future__ import annotations

from typing import Any

from sandbox.google import wallet as google_wallet
from sandbox.phones import passkit, wallet
from sandbox.phones.carried import IOS, Phones
from sandbox.phones.passkit import ServiceError
from sandbox.store import Row


def apple_row(here: Phones, phone: Row, card: dict[str, Any]) -> Row | None:
    """The card as it is kept, where it is Apple's."""
    return wallet.card_with(here, int(card["key"])) if phone["kind"] == IOS else None


def remove(here: Phones, phone: Row, card: dict[str, Any]) -> None:
    row = apple_row(here, phone, card)
    if row is not None:
        wallet.remove(here, row)
    elif phone["kind"] != IOS:
        google_wallet.remove(card["key"], phone["id"])
        here.note(phone["pk"], f"Removed the card {card['serial']} from Google Wallet.")


def switch(
    here: Phones, phone: Row, card: dict[str, Any], automatic: bool | None = None, notify: bool | None = None
) -> bool:
    """Whether the card has switches."""
    row = apple_row(here, phone, card)
    if row is not None:
        wallet.switch(here, row, automatic=automatic, notify=notify)
    return row is not None


def refresh(here: Phones, phone: Row, card: dict[str, Any]) -> None:
    """Look for news now; a Google card always is as Google has it. Raises `ServiceError`, after it was complained of."""
    row = apple_row(here, phone, card)
    if row is None:
        return
    try:
        wallet.refresh(here, row)
    except ServiceError as error:
        here.note(phone["pk"], passkit.complain(row, "Get pass", str(error)))
        raise
