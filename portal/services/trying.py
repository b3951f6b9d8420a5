"""A test event: told of a profile that the merchant chooses, with example values, over the road of every event.

It moves no points and changes no tier: it is recorded, sent, and read back from Klaviyo, since an accepted event is not yet a recorded one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.db import db, new_id, utcnow
from portal.errors import InvalidError, PortalError
from portal.klaviyo import Client, metrics, profiles
from portal.models import Call, Delivery, DeliveryState, Event, Trial
from portal.services import activity, events
from portal.services.catalogue import BY_TYPE
from portal.services.customers import Identifiers
from portal.services.recording import DERIVED, Told
from portal.services.values import email_address

SHOWN_FOR = timedelta(hours=1)
# Klaviyo needs seconds; after that long a person looks again by hand.
LOOKED_FOR = timedelta(minutes=2)
MARK = "test_id"


@dataclass(frozen=True)
class Step:
    """`state` is done, running, waiting or failed; `seconds` since the start."""

    name: str
    state: str
    text: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class Sought:
    """What to look for at Klaviyo."""

    row_id: int
    event_id: str
    metric: str
    klaviyo_profile_id: str | None
    email: str


@dataclass(frozen=True)
class Progress:
    """How far the newest test event is. `running`: it is worth looking again by oneself."""

    trial: Trial
    metric: str
    steps: tuple[Step, ...]
    running: bool
    # Where Klaviyo has taken it, and it has not been read back.
    sought: Sought | None


def begin(merchant_id: int, event_type: str, email: str) -> None:
    """Raises `InvalidError` that names the field."""
    entry = BY_TYPE.get(event_type)
    if entry is None:
        raise InvalidError("Choose one of the events.", field="event_type")
    try:
        address = email_address(email)
    except ValueError as error:
        raise InvalidError("Enter an email address, such as your own.", field="email") from error
    event_id, now = f"{DERIVED}test:{new_id()}", utcnow()
    properties = {**{prop.name: prop.example for prop in entry.properties}, "test": True, MARK: event_id}
    told = Told(
        event_id,
        event_type,
        Identifiers(email=address),
        now,
        properties,
        events.digest_of({"id": event_id}),
        "test",
        trial=True,
    )
    (outcome,) = events.record(merchant_id, [told])
    if isinstance(outcome, PortalError):
        raise outcome
    event, _ = events.find(merchant_id, event_id)
    db.session.add(Trial(event_id=event.id, merchant_id=merchant_id, started_at=now))


def latest(merchant_id: int, now: datetime) -> Progress | None:
    """The newest test event of the last hour, as it stands."""
    query = (
        select(Trial)
        .where(Trial.merchant_id == merchant_id, Trial.started_at > now - SHOWN_FOR)
        .order_by(Trial.event_id.desc())
        .limit(1)
        .options(joinedload(Trial.event).joinedload(Event.customer))
    )
    trial = db.session.scalar(query)
    if trial is None:
        return None
    delivery = db.session.get(Delivery, trial.event_id, populate_existing=True)
    steps = _steps(trial, delivery, now)
    young = now - trial.started_at < LOOKED_FOR
    taken = trial.seen_at is None and delivery is not None and delivery.state == DeliveryState.DELIVERED
    running = young and any(step.state == "running" for step in steps)
    metric, customer = BY_TYPE[trial.event.type].metric, trial.event.customer
    sought = Sought(trial.event_id, trial.event.event_id, metric, customer.klaviyo_profile_id, customer.email or "")
    return Progress(trial, metric, steps, running, sought if taken else None)


def _steps(trial: Trial, delivery: Delivery | None, now: datetime) -> tuple[Step, ...]:
    recorded = Step("Recorded here", "done", seconds=_seconds(trial, trial.event.received_at))
    if delivery is None:
        return (recorded, Step("Sent to Klaviyo", "failed", activity.explain_unsent(trial.event)))
    calls = db.session.scalars(select(Call).where(Call.id.in_(delivery.call_ids)).order_by(Call.id)).all()
    if not calls:
        why = "A worker takes it in a moment." if now - trial.started_at < timedelta(seconds=10) else _NOT_TAKEN
        return (recorded, Step("Sent to Klaviyo", "running", why), Step(_ANSWERED, "waiting"), Step(_READ, "waiting"))
    sent = Step("Sent to Klaviyo", "done", seconds=_seconds(trial, calls[0].started_at))
    if delivery.state == DeliveryState.DEAD:
        return (recorded, sent, Step(_ANSWERED, "failed", delivery.reason or ""))
    if delivery.state == DeliveryState.PENDING:
        why = f"{delivery.reason or 'Klaviyo has not taken it yet'}. It is tried again by itself."
        return (recorded, sent, Step(_ANSWERED, "running", why), Step(_READ, "waiting"))
    answered = Step(
        _ANSWERED, "done", f"With {calls[-1].status}, which means: taken.", _seconds(trial, delivery.settled_at or now)
    )
    return (recorded, sent, answered, _reading(trial, now))


_ANSWERED, _READ = "Answered by Klaviyo", "Read back from Klaviyo"
_NOT_TAKEN = (
    "It still waits. If Klaviyo has lost our access or asked us to rest, the overview says so; nothing is lost."
)


def _reading(trial: Trial, now: datetime) -> Step:
    if trial.seen_at is not None:
        return Step(_READ, "done", "It is on the profile's timeline.", _seconds(trial, trial.seen_at))
    if now - trial.started_at < LOOKED_FOR:
        return Step(_READ, "running", "Klaviyo records what it has taken within seconds.")
    return Step(
        _READ,
        "failed",
        "Klaviyo has taken it but does not show it yet. Look again in a few minutes; nothing has to be sent anew.",
    )


def _seconds(trial: Trial, moment: datetime) -> float:
    return max(0.0, (moment - trial.started_at).total_seconds())


def find_at_klaviyo(client: Client, sought: Sought) -> bool:
    """Whether Klaviyo has recorded it. HTTP. Raises a `KlaviyoError`."""
    ids = [sought.klaviyo_profile_id] if sought.klaviyo_profile_id else []
    ids = ids or [profile.id for profile in profiles.fetch_by(client, "email", [sought.email])]
    return any(
        told.get(MARK) == sought.event_id
        for metric_id in metrics.metric_ids(client, sought.metric)
        for profile_id in ids
        for told in metrics.newest_events(client, metric_id, profile_id)
    )


def note_seen(row_id: int, now: datetime) -> None:
    row = db.session.get(Trial, row_id, populate_existing=True)
    if row is not None and row.seen_at is None:
        row.seen_at = now
