"""Apple Wallet on a phone: install, keep up to date, show a notification, remove. Each step leaves a line in the phone's log.

`run_errand` is what the threads call; the rest is called while a person, or a test, waits.
"""

from __future__ import annotations

import time

from sandbox.apple import package
from sandbox.apple.notices import notice
from sandbox.apple.package import Package, RefusedError
from sandbox.phones import passkit
from sandbox.phones.calls import Reply
from sandbox.phones.carried import Phones
from sandbox.phones.errands import LOOK, REGISTER, UNREGISTER, Errand
from sandbox.phones.passkit import ServiceError
from sandbox.store import Row

_TASKS = {REGISTER: "Register", UNREGISTER: "Unregister", LOOK: "Get serial #s"}
_LASTING = ("passTypeIdentifier", "serialNumber", "authenticationToken")
_IGNORED = (
    "Server ignored the 'if-modified-since' header ({since}) and returned the full unchanged pass data for serial"
    " number '{serial}'."
)
_SAME_TAG = (
    "Response to 'What changed?' request included {count} serial numbers but the lastUpdated tag remained the same."
)


def cards(here: Phones, phone: Row) -> list[Row]:
    return here.store.rows("SELECT * FROM card WHERE phone = ? ORDER BY pk", (phone["pk"],))


def card_with(here: Phones, pk: int) -> Row | None:
    return here.store.row("SELECT * FROM card WHERE pk = ?", (pk,))


def install(here: Phones, phone: Row, reply: Reply) -> Row:
    """Add a card that was downloaded, or replace it. Raises `RefusedError` when the phone does not take it."""
    found = package.checked(reply.body, here.root())
    content, now = found.card, time.time()
    service = str(content.get("webServiceURL", "")).rstrip("/")
    row = (
        phone["pk"], content["passTypeIdentifier"], content["serialNumber"], service,
        content.get("authenticationToken", ""), reply.body, reply.headers.get("Last-Modified"), now, now,
    )  # fmt: skip
    with here.store.writing() as connection:
        connection.execute(
            "INSERT INTO card (phone, pass_type, serial, web_service, authentication_token, pkpass, last_modified,"
            " installed, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET pkpass = excluded.pkpass,"
            " web_service = excluded.web_service, authentication_token = excluded.authentication_token,"
            " last_modified = excluded.last_modified, updated = excluded.updated",
            row,
        )
        card: Row = connection.execute(
            "SELECT * FROM card WHERE phone = ? AND pass_type = ? AND serial = ?", row[:3]
        ).fetchone()
        if service and card["automatic"]:
            here.errands.ask(connection, REGISTER, card)
    here.note(phone["pk"], f"Added the card {content['serialNumber']} of {content['organizationName']}.")
    here.errands.ring()
    return card


def remove(here: Phones, card: Row) -> None:
    with here.store.writing() as connection:
        connection.execute("DELETE FROM card WHERE pk = ?", (card["pk"],))
        connection.execute("DELETE FROM notice WHERE card = ?", (card["pk"],))
        if card["web_service"]:
            connection.execute(
                "DELETE FROM errand WHERE phone = ? AND kind = ? AND serial = ?",
                (card["phone"], REGISTER, card["serial"]),
            )
            here.errands.ask(connection, UNREGISTER, card)
    here.note(card["phone"], f"Removed the card {card['serial']}.")
    here.errands.ring()


def switch(here: Phones, card: Row, *, automatic: bool | None = None, notify: bool | None = None) -> None:
    """The two switches on the back of a card. Without automatic updates it is not registered any longer."""
    automatic = bool(card["automatic"]) if automatic is None else automatic
    notify = bool(card["notify"]) if notify is None else notify
    with here.store.writing() as connection:
        connection.execute("UPDATE card SET automatic = ?, notify = ? WHERE pk = ?", (automatic, notify, card["pk"]))
        if card["web_service"] and automatic != bool(card["automatic"]):
            here.errands.ask(connection, REGISTER if automatic else UNREGISTER, card)
            if automatic:
                here.errands.ask(connection, LOOK, card)
    here.errands.ring()


def refresh(here: Phones, card: Row) -> None:
    """Pull the card down: fetched at once, whatever the list says. Raises `ServiceError`, after it was complained of."""
    if card["web_service"]:
        _fetch(here, card)


# --- in the background -----------------------------------------------------------------------------


def run_errand(here: Phones, errand: Errand) -> bool:
    """Do what a phone has to do; whether it is done, or not worth another try."""
    phone = here.with_pk(errand["phone"])
    if phone is None:
        return True
    try:
        _ERRANDS[errand["kind"]](here, phone, errand)
    except ServiceError as error:
        here.note(phone["pk"], passkit.complain(errand, _TASKS[errand["kind"]], str(error)))
        return not error.again
    return True


def _register(here: Phones, phone: Row, errand: Errand) -> None:
    status = passkit.register(phone, errand)
    _set_registered(here, errand, True)
    words = "Registered" if status == 201 else "Was registered already"
    here.note(phone["pk"], f"{words} for updates of {errand['serial']} ({status}).")


def _unregister(here: Phones, phone: Row, errand: Errand) -> None:
    passkit.unregister(phone, errand)
    _set_registered(here, errand, False)
    here.note(phone["pk"], f"Unregistered from updates of {errand['serial']}.")


def _set_registered(here: Phones, errand: Errand, registered: bool) -> None:
    with here.store.writing() as connection:
        connection.execute(
            "UPDATE card SET registered = ? WHERE phone = ? AND pass_type = ? AND serial = ?",
            (registered, errand["phone"], errand["pass_type"], errand["serial"]),
        )


def _look(here: Phones, phone: Row, errand: Errand) -> None:
    place = (errand["phone"], errand["pass_type"], errand["web_service"])
    seen = here.store.row("SELECT tag FROM seen WHERE phone = ? AND pass_type = ? AND web_service = ?", place)
    tag = seen["tag"] if seen else None
    found = passkit.changes(phone, errand, tag)
    if found is None:
        here.note(phone["pk"], "Was woken, asked what changed: nothing.")
        return
    here.note(phone["pk"], f"Was woken, asked what changed: {', '.join(found.serials) or 'nothing'}.")
    if found.serials and found.tag == tag:
        _complain(here, errand, LOOK, _SAME_TAG.format(count=len(found.serials)))
    for serial in found.serials:
        card = here.store.row(
            "SELECT * FROM card WHERE phone = ? AND pass_type = ? AND web_service = ? AND serial = ?", (*place, serial)
        )
        if card is None:
            _complain(here, errand, LOOK, f"Update requested for unregistered serial number '{serial}'.")
        elif card["automatic"]:
            _fetch(here, card)
    with here.store.writing() as connection:
        connection.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", (*place, found.tag))


_ERRANDS = {REGISTER: _register, UNREGISTER: _unregister, LOOK: _look}


def _fetch(here: Phones, card: Row) -> None:
    """Bring a card up to date, and show what a phone would. Raises `ServiceError`."""
    reply = passkit.fetch(card)
    if reply.status == 304:
        here.note(card["phone"], f"Fetched {card['serial']}: unchanged (304).")
        return
    before = package.opened(card["pkpass"])
    try:
        after = package.checked(reply.body, here.root())
        _require_same(before, after)
    except RefusedError as error:
        _complain(here, card, "", f"Invalid pass data: {error}")
        return
    same = before.files["manifest.json"] == after.files["manifest.json"]
    if same and card["last_modified"] and reply.headers.get("Last-Modified") == card["last_modified"]:
        told = _IGNORED.format(since=card["last_modified"], serial=card["serial"])
        _complain(here, card, "", told)
    _keep(here, card, reply, before, after)


def _require_same(before: Package, after: Package) -> None:
    changed = [name for name in _LASTING if before.card.get(name) != after.card.get(name)]
    if changed:
        raise RefusedError([f"{name} is not the one of the installed card" for name in changed])


def _keep(here: Phones, card: Row, reply: Reply, before: Package, after: Package) -> None:
    text, now = notice(before, after), time.time()
    with here.store.writing() as connection:
        connection.execute(
            "UPDATE card SET pkpass = ?, last_modified = ?, updated = ? WHERE pk = ?",
            (reply.body, reply.headers.get("Last-Modified"), now, card["pk"]),
        )
        if text is not None and card["notify"]:
            connection.execute(
                "INSERT INTO notice (phone, card, at, title, text) VALUES (?, ?, ?, ?, ?)",
                (card["phone"], card["pk"], now, after.card["organizationName"], text),
            )
    told = "no notification" if text is None else f"notification “{text}”"
    if text is not None and not card["notify"]:
        told = "its notification is not shown, because notifications are off"
    here.note(card["phone"], f"Fetched {card['serial']}: {told}.")


def _complain(here: Phones, of: Row, kind: str, message: str) -> None:
    here.note(of["phone"], passkit.complain(of, _TASKS.get(kind, "Get pass"), message))
