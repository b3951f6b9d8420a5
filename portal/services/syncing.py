"""Sending profile updates to Klaviyo and settling what its answers mean, as `delivering` does for events.

Three beats: `profile_outbox.claim` (in a transaction), `send` (outside of any), `settle` (in a transaction again).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from portal.klaviyo import Answer, Client, RefusedError, verdict
from portal.klaviyo import profiles as wire
from portal.services import connection_health, delivering, identity, profile_imports, profile_outbox, profiles, sweeps
from portal.services.delivering import Judgement, Outcome, Refusal
from portal.services.outbox import Mode
from portal.services.profile_outbox import Batch, Update

WHAT = "profile"


def send(client: Client, batch: Batch, updates: Sequence[Update]) -> Answer:
    """One request with these updates. Never raises for what the network or Klaviyo did."""
    if batch.mode is Mode.SINGLE:
        return client.send("POST", wire.PATH, body=wire.single(updates[0].resource))
    return client.send("POST", wire.BULK_PATH, body=wire.bulk(each.resource for each in updates))


def fitting(updates: Sequence[Update]) -> list[Update]:
    """As many of a bulk batch, from the front, as fit into one request."""
    size, count = 0, 0
    for each in updates:
        size += len(each.resource.encode()) + 1
        if size > wire.BULK_BYTES and count:
            break
        count += 1
    return list(updates[:count])


def judge(answer: Answer) -> Judgement:
    return delivering.judge(answer, WHAT)


def settle(
    batch: Batch, updates: Sequence[Update], answer: Answer, judgement: Judgement, now: datetime
) -> list[Update]:
    """Write down the call and what it means; those of a refused bulk request that are to be sent once more are returned."""
    delivering.record_call(batch.merchant_id, len(updates), answer)
    ids = [each.customer_id for each in updates]
    if judgement.outcome is Outcome.DELIVERED:
        _settle_taken(batch, updates, answer, now)
        if batch.after_failures:
            connection_health.note_success(batch.merchant_id, answer.started_at)
    elif judgement.outcome is Outcome.RETRY:
        profile_outbox.postpone(batch, updates, now, judgement.reason)
        delivering.note_failure(batch.merchant_id, judgement.reason, now)
    elif judgement.outcome is Outcome.THROTTLED:
        profile_outbox.release(batch, ids, now)
        delivering.rest(batch.merchant_id, judgement, now)
    elif judgement.outcome is Outcome.REFUSED and batch.mode is Mode.SINGLE:
        _settle_refused(batch, updates[0], answer, judgement, now)
    elif judgement.outcome is Outcome.REFUSED:
        return _strip(batch, updates, answer, now)
    else:
        profile_outbox.release(batch, ids, now)
        connection_health.break_off(batch.merchant_id, judgement.reason, now)
    return []


# --- taken ---------------------------------------------------------------------------------------


def _settle_taken(batch: Batch, updates: Sequence[Update], answer: Answer, now: datetime) -> None:
    if updates[-1] is batch.updates[-1]:  # one example of a batch is enough
        profiles.remember(batch.merchant_id, updates[-1].customer_id, updates[-1].properties, now)
    if batch.mode is Mode.SINGLE:
        profile = wire.read_profile(answer.json())
        if profile is not None:
            identity.learn(updates[0].customer_id, profile, now)
        sweeps.count(batch.merchant_id, profile_outbox.confirm(batch, updates[0], now))
        return
    job = wire.read_job(answer.json())
    if job is None:
        profile_outbox.postpone(batch, updates, now, "Klaviyo took the profiles without saying under which number")
        return
    profile_imports.follow(batch, updates, job, now)


# --- refused -------------------------------------------------------------------------------------


def _settle_refused(batch: Batch, refused: Update, answer: Answer, judgement: Judgement, now: datetime) -> None:
    """A profile that is gone, or is two, is a question of identity; everything else is told to a person as it is."""
    error = verdict(answer)
    status = error.status if isinstance(error, RefusedError) else 0
    if status == 404 and refused.klaviyo_profile_id:
        why = Refusal("Klaviyo no longer has this profile. Decide under Identity what is to become of it.")
        identity.gone(refused.customer_id, now)
    elif status == 409:
        why = Refusal("Klaviyo has two profiles for this customer. Decide under Identity which one it is.")
        identity.duplicate(refused.customer_id, _duplicate_of(error), now)
    else:
        detail = error.detail if isinstance(error, RefusedError) else ""
        why = delivering.refusal(detail or f"HTTP {status}", judgement.pointers, WHAT)
    sweeps.count(batch.merchant_id, profile_outbox.reject(batch, {refused.customer_id: why}, now))


def _duplicate_of(error: object) -> str | None:
    errors: list[dict[str, Any]] = getattr(error, "errors", [])
    metas = [meta for each in errors if isinstance(meta := each.get("meta"), dict)]
    return next((str(meta["duplicate_profile_id"]) for meta in metas if meta.get("duplicate_profile_id")), None)


def _strip(batch: Batch, updates: Sequence[Update], answer: Answer, now: datetime) -> list[Update]:
    """Nothing of a refused bulk request was taken: those at fault are told to a person, the others go once more."""
    error = verdict(answer)
    reasons: dict[int, Refusal] = {}
    for each in error.errors if isinstance(error, RefusedError) else []:
        source = each.get("source")
        pointer = str(source.get("pointer") or "") if isinstance(source, dict) else ""
        place = wire.place_of(pointer)
        if place is not None and place < len(updates):
            detail = str(each.get("detail") or each.get("title") or "")
            reasons.setdefault(updates[place].customer_id, delivering.refusal(detail, [pointer], WHAT))
    if not reasons:
        profile_outbox.keep_alone(batch, [each.customer_id for each in updates], now)
        return []
    sweeps.count(batch.merchant_id, profile_outbox.reject(batch, reasons, now))
    return [each for each in updates if each.customer_id not in reasons]
