"""The two modules and the choice of events: what is sent is the merchant's decision."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select

from portal.db import changed_rows, db, utcnow
from portal.errors import ConnectingError, InvalidError
from portal.models import Connection, EventChoice, Module, ModuleSwitch
from portal.services import auditing
from portal.services.catalogue import BY_TYPE

EFFECTS = {
    (Module.EVENTS, True): "From now on, wallet events are sent to the customers' profiles in Klaviyo within seconds. "
    "All customers' points, tier, rewards and card link go there at once, and whenever they change; "
    "a customer who is not in Klaviyo yet becomes a profile there.",
    (Module.EVENTS, False): "New events are recorded here but no longer sent, and profiles in Klaviyo stay as they "
    "are. Events that wait already are still delivered.",
    (Module.SEGMENTS, True): "Your Klaviyo segments are listed here, so that you can choose which to import.",
    (Module.SEGMENTS, False): "Segments are no longer brought up to date. Your choice of segments is kept.",
}


def effects(module: Module, on: bool) -> str:
    """What switching will do, in one sentence."""
    return EFFECTS[module, on]


def switches(merchant_id: int) -> dict[Module, datetime | None]:
    """On since when, per module."""
    query = select(ModuleSwitch).where(ModuleSwitch.merchant_id == merchant_id)
    since = {Module(row.module): row.on_since for row in db.session.scalars(query)}
    return {module: since.get(module) for module in Module}


def switch(merchant_id: int, module: Module, on: bool, actor: str) -> None:
    """Raises `ConnectingError` when Klaviyo is not connected."""
    row = db.session.get(ModuleSwitch, (merchant_id, module))
    if (row is not None) == on:
        return
    if row is not None:
        db.session.delete(row)
    elif not _is_connected(merchant_id):
        raise ConnectingError("Connect Klaviyo first, then switch this on.")
    else:
        db.session.add(ModuleSwitch(merchant_id=merchant_id, module=module, on_since=utcnow()))
    auditing.record(merchant_id, actor, f"{module} switched {'on' if on else 'off'}")


def _is_connected(merchant_id: int) -> bool:
    connection = db.session.scalar(select(Connection).where(Connection.merchant_id == merchant_id))
    return connection is not None and connection.is_connected


def choices(merchant_id: int) -> dict[str, bool]:
    """Whether each event type is sent."""
    query = select(EventChoice.event_type).where(EventChoice.merchant_id == merchant_id)
    off = set(db.session.scalars(query))
    return {event_type: event_type not in off for event_type in BY_TYPE}


def is_sent(merchant_id: int, event_type: str) -> bool:
    """Whether an event of this type would be sent now. Raises `InvalidError` for a type that does not exist."""
    if event_type not in BY_TYPE:
        raise InvalidError("There is no such event.", field="event_type")
    return (
        db.session.get(EventChoice, (merchant_id, event_type)) is None
        and db.session.get(ModuleSwitch, (merchant_id, Module.EVENTS)) is not None
    )


def choose(merchant_id: int, event_type: str, sent: bool, actor: str) -> None:
    """Raises `InvalidError` for a type that does not exist."""
    if event_type not in BY_TYPE:
        raise InvalidError("There is no such event.", field="event_type")
    if sent:
        query = delete(EventChoice).where(EventChoice.merchant_id == merchant_id, EventChoice.event_type == event_type)
        changed = changed_rows(db.session.execute(query)) > 0
    else:
        changed = db.session.get(EventChoice, (merchant_id, event_type)) is None
        if changed:
            db.session.add(EventChoice(merchant_id=merchant_id, event_type=event_type, off_since=utcnow()))
    if changed:
        auditing.record(merchant_id, actor, f"event switched {'on' if sent else 'off'}", BY_TYPE[event_type].metric)
