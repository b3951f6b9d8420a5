"""Google Wallet on an Android phone, as plain functions for the sandbox's phones: save, remove, look at a card, read.

They need an application context, and raise `SaveError` in the words the phone would show. Callbacks go out by themselves.
"""

import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from sandbox.google import jwts, keeping
from sandbox.google.errors import ApiError
from sandbox.google.jwts import JwtError
from sandbox.google.reporting import report
from sandbox.google.validating import CLASS, OBJECT
from sandbox.google.world import Google, google

# The sandbox's first Android phone, unless somebody else is named.
PHONE = "android"
_SKEW_SECONDS = 300
_TYPES = ("savetowallet", "savetoandroidpay")


class SaveError(Exception):
    """The card cannot be saved."""


def preview(token: str) -> list[dict[str, Any]]:
    """The cards that a save link names, without saving them."""
    return [card(str(each.get("id"))) or dict(each) for each in _checked(google(), token)]


def save(token: str, holder: str = PHONE) -> list[str]:
    """Put the cards of a save link's JWT into somebody's wallet; the ids of the cards. Again does no harm."""
    here = google()
    ids = [_wanted_card(here, each) for each in _checked(here, token)]
    with here.store.writing() as connection:
        for object_id in ids:
            _hold(connection, here, object_id, holder)
    here.poster.ring()
    return ids


def remove(object_id: str, holder: str = PHONE) -> bool:
    """Take a card out of a wallet; whether it was there. The card itself stays at Google."""
    here = google()
    with here.store.writing() as connection:
        gone = connection.execute("DELETE FROM holder WHERE object = ? AND holder = ?", (object_id, holder)).rowcount
        if gone:
            report(connection, here, object_id, "del")
    here.poster.ring()
    return bool(gone)


def held(holder: str = PHONE) -> list[str]:
    """The cards in a wallet, as ids, oldest first."""
    rows = google().store.rows("SELECT object FROM holder WHERE holder = ? ORDER BY at, object", (holder,))
    return [row["object"] for row in rows]


def card(object_id: str) -> dict[str, Any] | None:
    """A card as Google has it now, its class in `classReference`; None where there is none."""
    here = google()
    found = keeping.find(here, OBJECT, object_id)
    return None if found is None else keeping.shown(here, OBJECT, found)


def messages(object_id: str) -> list[dict[str, Any]]:
    """What a tap on the card shows, newest last of the card's own, after those of its class: id, header, body, messageType."""
    found = card(object_id)
    if found is None:
        return []
    both = [*found["classReference"].get("messages", []), *found.get("messages", [])]
    return [{name: each.get(name, "") for name in ("id", "header", "body", "messageType")} for each in both]


def notifications(object_id: str, after: int = 0) -> list[dict[str, Any]]:
    """What the phone showed on its lock screen for this card since number `after`: number, title, text, message, at."""
    rows = google().store.rows(
        "SELECT pk AS number, title, text, message, at FROM notification WHERE resource = ? AND pk > ? ORDER BY pk",
        (object_id, after),
    )
    return [dict(row) for row in rows]


def _checked(here: Google, token: str) -> list[Mapping[str, Any]]:
    """The cards that a JWT names, once all is well with it. Raises `SaveError`."""
    try:
        jwt = jwts.read(token)
        row = here.service_account(jwt.claims.get("iss"))
        if row is None:
            raise SaveError("The link was not signed by a service account that is known here.")
        jwt.check(row["public_key"])
    except JwtError as error:
        raise SaveError(str(error)) from None
    cards = _named(jwt.claims)
    strangers = [each for each in cards if str(each.get("id")).partition(".")[0] not in row["issuers"].split()]
    if strangers:
        raise SaveError("The link names a card of another issuer than the one that signed it.")
    return cards


def _named(claims: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    payload, issued = claims.get("payload"), claims.get("iat")
    cards = payload.get("loyaltyObjects") if isinstance(payload, dict) else None
    faults = (
        (claims.get("aud") == "google", "its aud is not google"),
        (claims.get("typ") in _TYPES, "its typ is not savetowallet"),
        (isinstance(claims.get("origins"), list), "its origins are not a list"),
        (isinstance(issued, int) and issued <= time.time() + _SKEW_SECONDS, "its iat is not a time that has been"),
        (isinstance(cards, list) and cards and all(isinstance(each, dict) for each in cards), "it names no card"),
    )
    wrong = next((told for good, told in faults if not good), None)
    if wrong or not isinstance(cards, list):
        raise SaveError(f"The link is not right: {wrong}.")
    return cards


def _wanted_card(here: Google, named: Mapping[str, Any]) -> str:
    """The card's id; a card that is described in full and not there yet is made. Raises `SaveError`."""
    object_id = str(named.get("id"))
    if keeping.find(here, OBJECT, object_id) is None:
        try:
            keeping.insert(here, OBJECT, keeping.checked_new(here, OBJECT, named))
        except ApiError as error:
            raise SaveError(f"The card is not there, and cannot be made: {error.message}") from None
    found = keeping.get(here, OBJECT, object_id)
    if found["state"] != "ACTIVE":
        raise SaveError(f"The card is {found['state'].lower()}.")
    return object_id


def _hold(connection: sqlite3.Connection, here: Google, object_id: str, holder: str) -> None:
    others = connection.execute("SELECT holder FROM holder WHERE object = ?", (object_id,)).fetchall()
    if any(row["holder"] == holder for row in others):
        return
    programme = keeping.get(here, CLASS, keeping.locked(connection, OBJECT, object_id)["classId"])
    if others and programme.get("multipleDevicesAndHoldersAllowedStatus") != "MULTIPLE_HOLDERS":
        raise SaveError("Somebody else has saved this card already.")
    connection.execute("INSERT INTO holder VALUES (?, ?, ?)", (object_id, holder, here.switches.now()))
    report(connection, here, object_id, "save")
