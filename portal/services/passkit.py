"""Apple's web service for passes: which devices have which card, what changed since, and what devices complain of.

A card without a device is not installed, and one with ten is installed once. Whoever does not know a card's token learns nothing.
https://developer.apple.com/documentation/walletpasses/adding-a-web-service-to-update-passes
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, Update, delete, exists, func, select, update

from portal.db import changed_rows, db, new_id, one_of
from portal.errors import UnauthorizedError
from portal.models import Card, Device, DeviceComplaint, Registration
from portal.services import card_events, ledger, wallet_accounts

# A card that is handed around: the oldest device makes room.
MOST_DEVICES = 50
MOST_COMPLAINTS, MOST_LINES, LONGEST_LINE = 1_000, 20, 1_000
LONGEST_ID, LONGEST_PUSH_TOKEN = 200, 200
_NO_TOKEN = "0" * 32
_SERIAL = re.compile(r"\b[0-9a-f]{20}\b")


def authenticate(pass_type_id: str, serial: str, token: str) -> Card:
    """The card, to whoever knows its token. Raises `UnauthorizedError`, the same for every reason."""
    known = serial.isprintable() and pass_type_id.isprintable()  # PostgreSQL takes no NUL
    card: Card | None = db.session.scalar(select(Card).where(Card.serial == serial)) if known else None
    expected = (card.token if card else None) or _NO_TOKEN
    knows = hmac.compare_digest(expected.encode(), token.encode(errors="replace"))
    if card is None or not knows or not _is_ours(card.merchant_id, pass_type_id):
        raise UnauthorizedError("There is no such card, or its token is another one.")
    return card


def _is_ours(merchant_id: int, pass_type_id: str) -> bool:
    certificate = wallet_accounts.apple_certificate(merchant_id)
    return certificate is not None and certificate.pass_type_id == pass_type_id


# --- registrations -------------------------------------------------------------------------------


def register(card: Card, pass_type_id: str, library_id: str, push_token: str, now: datetime) -> bool:
    """A device has the card and wants to be woken. False where that was known; its push token may be new all the same."""
    card = _locked(card)
    device = _device(card.merchant_id, pass_type_id, library_id, push_token, now)
    on = _count_devices(card.id)
    if db.session.get(Registration, (device.id, card.id)) is not None:
        return False
    if on >= MOST_DEVICES:
        _drop_oldest(card.id)
    db.session.add(
        Registration(
            device_id=device.id,
            card_id=card.id,
            merchant_id=card.merchant_id,
            registered_at=now,
            # What it was handed by the download link, as far as we know.
            fetched_version=card.issued_version,
        )
    )
    if card.issued_version < card.version:
        device.due_at = now
    db.session.flush()
    if not on:
        card.installs += 1
        _tell(card, "card_installed")
    return True


def unregister(card: Card, pass_type_id: str, library_id: str) -> None:
    """The card has left a device. Once more does no harm."""
    card = _locked(card)
    device: Device | None = db.session.scalar(_devices(pass_type_id, library_id, card.merchant_id))
    if device is not None:
        _leave(card, [device.id])


def drop_devices(merchant_id: int, device_ids: Sequence[int]) -> None:
    """They are gone, as Apple says: their cards are on one phone less each."""
    query = select(Registration.card_id).where(
        Registration.merchant_id == merchant_id, one_of(Registration.device_id, device_ids)
    )
    for card_id in sorted(set(db.session.scalars(query))):
        _leave(_locked(db.session.get_one(Card, card_id)), device_ids)
    db.session.execute(delete(Device).where(Device.merchant_id == merchant_id, one_of(Device.id, device_ids)))


def _locked(card: Card) -> Card:
    """The customer first: recording an event locks it before it marks the card."""
    ledger.lock([card.customer_id])
    query = select(Card).where(Card.id == card.id).with_for_update().execution_options(populate_existing=True)
    return db.session.scalars(query).one()


def _device(merchant_id: int, pass_type_id: str, library_id: str, push_token: str, now: datetime) -> Device:
    """With its push token of now: the last one is no good any more."""
    device: Device | None = db.session.scalar(_devices(pass_type_id, library_id, merchant_id).with_for_update())
    if device is None:
        device = Device(
            id=new_id(), merchant_id=merchant_id, library_id=library_id, pass_type_id=pass_type_id, registered_at=now
        )
        db.session.add(device)
    device.push_token, device.token_at, device.attempts = push_token, now, 0
    db.session.flush()
    return device


def _devices(pass_type_id: str, library_id: str, merchant_id: int) -> Select[Device]:
    return select(Device).where(
        Device.library_id == library_id, Device.pass_type_id == pass_type_id, Device.merchant_id == merchant_id
    )


def _count_devices(card_id: int) -> int:
    return db.session.scalar(select(func.count()).where(Registration.card_id == card_id)) or 0


def _drop_oldest(card_id: int) -> None:
    oldest = select(Registration.device_id).where(Registration.card_id == card_id)
    first = db.session.scalar(oldest.order_by(Registration.registered_at, Registration.device_id).limit(1))
    db.session.execute(delete(Registration).where(Registration.card_id == card_id, Registration.device_id == first))
    _forget_idle_devices([first or 0])


def _leave(card: Card, device_ids: Sequence[int]) -> None:
    left = delete(Registration).where(Registration.card_id == card.id, one_of(Registration.device_id, device_ids))
    if not changed_rows(db.session.execute(left)):
        return
    _forget_idle_devices(device_ids)
    if not _count_devices(card.id):
        _tell(card, "card_uninstalled")


def _forget_idle_devices(device_ids: Sequence[int]) -> None:
    idle = ~exists().where(Registration.device_id == Device.id)
    db.session.execute(delete(Device).where(one_of(Device.id, device_ids), idle))


def _tell(card: Card, event_type: str) -> None:
    about = f"{card.id}:{card_events.IOS}:{card.installs}"
    card_events.tell(card.merchant_id, card.customer_id, event_type, about, platform=card_events.IOS)


# --- what changed --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Changed:
    """Cards of a device that are newer than what it has, and the tag with which it asks the next time: a text, by Apple's rule."""

    serials: list[str]
    tag: str


def changed_since(pass_type_id: str, library_id: str, tag: str, now: datetime) -> Changed | None:
    """None where nothing is new, and for a device that is not known: the id is all that it shows."""
    since = int(tag) if tag.isascii() and tag.isdigit() and len(tag) < 19 else 0
    rows = db.session.execute(
        select(
            Device.id, Device.due_at, Card.id.label("card_id"), Card.serial, Card.version, Registration.fetched_version
        )
        .join(Registration, Registration.device_id == Device.id)
        .join(Card, Card.id == Registration.card_id)
        .where(Device.library_id == library_id, Device.pass_type_id == pass_type_id)
    ).all()
    if not rows:
        return None
    for row in rows:
        if row.fetched_version < row.version <= since:  # it would not ask from there if it had not fetched that
            _note(row.id, row.card_id, row.version, now)
    news, newest = [row.serial for row in rows if row.version > since], max(row.version for row in rows)
    ours = one_of(Device.id, sorted({row.id for row in rows}))
    _run(update(Device).where(ours).values(listed_at=now, offered=newest))
    if news:
        return Changed(news, str(newest))
    for row in rows:
        _let_rest(row.id, row.due_at)
    return None


def note_fetched(card: Card, now: datetime) -> None:
    """The card was fetched: by its only device, or one of those that were told of this version. What waited for that is due."""
    rows = db.session.execute(
        select(Device.id, Device.offered, Device.due_at, Registration.fetched_version)
        .join(Registration, Registration.device_id == Device.id)
        .where(Registration.card_id == card.id)
    ).all()
    for row in rows:
        if row.fetched_version < card.version and (len(rows) == 1 or row.offered >= card.version):
            _note(row.id, card.id, card.version, now)
    for row in rows:
        _let_rest(row.id, row.due_at)
    _run(update(Card).where(Card.id == card.id, Card.due_at > now).values(due_at=now))


def _note(device_id: int, card_id: int, version: int, now: datetime) -> None:
    """The device has this version at least."""
    one = (Registration.device_id == device_id, Registration.card_id == card_id, Registration.fetched_version < version)
    _run(update(Registration).where(*one).values(fetched_version=version, fetched_at=now))


def _let_rest(device_id: int, due_at: datetime | None) -> None:
    """Wake it no more if it has all of its cards as they are, unless it became due anew meanwhile."""
    if due_at is None:
        return
    behind = exists().where(
        Registration.device_id == Device.id,
        Registration.card_id == Card.id,
        Registration.fetched_version < Card.version,
    )
    same = (Device.id == device_id, Device.due_at == due_at)
    _run(update(Device).where(*same, ~behind).values(due_at=None, wakes=0))


def _run(statement: Update) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})


# --- complaints ----------------------------------------------------------------------------------


def keep_complaints(lines: Sequence[str]) -> None:
    """Of whose card each line speaks, its serial number says. Only the newest are kept."""
    told = [line[:LONGEST_LINE] for line in lines[:MOST_LINES]]
    serials = {found[0] for line in told if (found := _SERIAL.search(line))}
    cards = {card.serial: card for card in db.session.scalars(select(Card).where(one_of(Card.serial, serials)))}
    for line in told:
        found = _SERIAL.search(line)
        card = cards.get(found[0]) if found else None
        db.session.add(
            DeviceComplaint(id=new_id(), merchant_id=card and card.merchant_id, card_id=card and card.id, text=line)
        )
    db.session.flush()
    last = select(DeviceComplaint.id).order_by(DeviceComplaint.id.desc()).offset(MOST_COMPLAINTS).limit(1)
    db.session.execute(delete(DeviceComplaint).where(DeviceComplaint.id <= last.scalar_subquery()))


def complaints(merchant_id: int, limit: int = 50) -> Sequence[DeviceComplaint]:
    """Of the merchant's cards, newest first."""
    query = select(DeviceComplaint).where(DeviceComplaint.merchant_id == merchant_id)
    return db.session.scalars(query.order_by(DeviceComplaint.id.desc()).limit(limit)).all()
