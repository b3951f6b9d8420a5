"""`POST /v1/events` and `GET /v1/events/{id}`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from flask import Response, g, jsonify, request

from portal.blueprints.api.gathering import Gathering
from portal.blueprints.api.reading import read_json
from portal.blueprints.api.routes import api_key_required, bp, describe, write
from portal.blueprints.api.schemas import DeliveryOut, EventOut, EventState
from portal.db import db, utcnow
from portal.errors import InvalidError, PortalError
from portal.models import Delivery, Event
from portal.models.customer import ID_PREFIX
from portal.services import activity, connecting, events
from portal.services.catalogue import RECORDED
from portal.services.events import Outcome
from portal.services.hearing import hear
from portal.services.recording import Told

MOST_EVENTS = 1_000
BATCH = "events"


@bp.post("/events")
@api_key_required
def record_events() -> tuple[Response, int]:
    """One event, or `{"events": [...]}`. A single one that is wrong is answered as an error; in a batch each has its result."""
    document = read_json(request)
    if BATCH not in document:
        results = _record([document])
        if isinstance(results[0], PortalError):
            raise results[0]
        return jsonify(results=results), 202
    told = _batch(document)
    return jsonify(results=[_result(raw, each) for raw, each in zip(told, _record(told), strict=True)]), 202


def _batch(document: dict[str, Any]) -> list[Any]:
    told = document[BATCH]
    if not isinstance(told, list) or not told:
        raise InvalidError("events must be a list with at least one event.", field=BATCH)
    if len(told) > MOST_EVENTS:
        raise InvalidError(
            f"events must not hold more than {MOST_EVENTS:,} events. Send several requests.", field=BATCH
        )
    if extra := sorted(set(document) - {BATCH}):
        raise InvalidError(f"{extra[0]} is not known beside events.", field=extra[0][:60])
    return told


def _record(documents: list[Any]) -> list[dict[str, str] | PortalError]:
    """A result or the reason of rejection for each, in order; what is right is stored whatever the others are."""
    now = utcnow()
    checked: list[Told | PortalError] = []
    for document in documents:
        try:
            checked.append(hear(document, now))
        except InvalidError as error:
            checked.append(error)
    right = [each for each in checked if isinstance(each, Told)]
    outcomes = iter(_store(right))
    return [each if isinstance(each, PortalError) else _outcome(each, next(outcomes)) for each in checked]


def _store(told: Sequence[Told]) -> Sequence[Outcome]:
    if len(told) == 1:
        db.session.rollback()  # whoever waits for a turn must not hold a connection that the writer needs
        return [_singles.record(g.merchant_id, told[0])]
    return _store_together(g.merchant_id, told) if told else ()


def _store_together(merchant_id: int, told: Sequence[Told]) -> list[Outcome]:
    return write(lambda: events.record(merchant_id, told))


_singles = Gathering(_store_together)


def _outcome(told: Told, outcome: Outcome) -> dict[str, str] | PortalError:
    return outcome if isinstance(outcome, PortalError) else {"id": told.event_id, "status": outcome}


def _result(document: Any, outcome: dict[str, str] | PortalError) -> dict[str, Any]:
    if not isinstance(outcome, PortalError):
        return outcome
    event_id = document.get("id") if isinstance(document, dict) else None
    return {"id": event_id if isinstance(event_id, str) else None, "status": "rejected", "error": describe(outcome)}


@bp.get("/events/<any_id:event_id>", merge_slashes=False)
@api_key_required
def show_event(event_id: str) -> Response:
    """Where an event stands."""
    event, delivery = events.find(g.merchant_id, event_id)
    shown = EventOut(
        id=event.event_id,
        type=event.type,
        metric=RECORDED[event.type].metric,
        customer_id=f"{ID_PREFIX}{event.customer_id}",
        occurred_at=event.occurred_at,
        received_at=event.received_at,
        properties=json.loads(event.properties),
        delivery=_delivery(event, delivery),
    )
    return jsonify(shown.model_dump(mode="json"))


_STATES: dict[str, EventState] = {
    "waiting": "waiting",
    "delivered": "delivered",
    "failed": "failed",
    activity.NOT_SENT: "not_sent",
}


def _delivery(event: Event, delivery: Delivery | None) -> DeliveryOut:
    state = _STATES[activity.state_of(event, delivery)]
    if delivery is None:
        reason = activity.explain_unsent(event)
        return DeliveryOut(state=state, attempts=0, reason=reason, next_attempt_at=None, delivered_at=None)
    why, next_at = delivery.reason, None
    if state == "waiting":
        why, next_at = activity.outlook(delivery, connecting.connection_of(event.merchant_id), utcnow())
    return DeliveryOut(
        state=state,
        attempts=delivery.tries,
        reason=why,
        next_attempt_at=next_at,
        delivered_at=delivery.settled_at if state == "delivered" else None,
    )
