"""Bring a merchant's profiles in step: claim, call, settle, in bounded turns; bulk imports are looked after between them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from portal import config, queue
from portal.db import db, transaction, utcnow
from portal.jobs.turns import Access, HaltError, has_leave, token_for
from portal.klaviyo import Client, ForbiddenError, KlaviyoError, RefusedError, ThrottledError, UnauthorizedError
from portal.klaviyo import profiles as wire
from portal.klaviyo.limits import PROFILE, PROFILE_BULK, PROFILE_BULK_STATUS, PROFILE_LIST
from portal.services import connection_health, delivering, profile_imports, profile_outbox, sweeps, syncing
from portal.services.delivering import Judgement, Outcome
from portal.services.outbox import Mode
from portal.services.profile_imports import UnderWay
from portal.services.profile_outbox import Batch, Update

R = TypeVar("R")

log = logging.getLogger(__name__)

TURN_SECONDS = 2.0
# A claim's requests must end well before its lease does.
LEASE_SHARE = 0.5
PACES = {Mode.SINGLE: PROFILE, Mode.BULK: PROFILE_BULK}
# How often rows are taken out of a refused bulk request before the others have to wait for the next claim.
MOST_STRIPS = 5


def sync(merchant_id: int) -> None:
    """RQ job: one turn, and ring again if something is left. For what has come due meanwhile the ticker rings."""
    more = take_turn(merchant_id)
    queue.answer(merchant_id, queue.PROFILES)
    if more:
        queue.ring(merchant_id, queue.PROFILES)


def merchants_due() -> set[int]:
    """Whoever has a turn to take."""
    now = utcnow()
    return {*profile_outbox.merchants_due(now), *profile_imports.merchants_due(now), *sweeps.merchants_due(now)}


def take_turn(merchant_id: int) -> bool:
    """Send for up to TURN_SECONDS what is due as it begins. Is something left?

    What comes due meanwhile waits for the next turn, for by then it is many that go together: looked for again after each
    request it would be a few, and then one by one.
    """
    now, deadline = utcnow(), time.monotonic() + TURN_SECONDS
    try:
        sweeping = not sweeps.is_through(merchant_id)
        if sweeping:
            _begin_sweep(merchant_id, deadline)
        while time.monotonic() < deadline:
            db.session.rollback()
            _look_after_imports(merchant_id, deadline)
            if not _send_some(merchant_id, now, deadline, sweeping=sweeping):
                return False
    except HaltError:
        return False
    finally:
        db.session.remove()
    return True


def _send_some(merchant_id: int, now: datetime, deadline: float, *, sweeping: bool) -> bool:
    """One claim's worth of what was due at `now`; False where nothing of it is left."""
    mode = profile_outbox.mode_for(merchant_id, now)
    if sweeping and mode is not Mode.BULK and _mark_more(merchant_id, now):
        return True
    if mode is None:
        if sweeping:
            _end_sweep(merchant_id)
        return False
    if not has_leave(merchant_id, PACES[mode], deadline):
        return True
    access = Access(merchant_id)
    with transaction():
        batch = profile_outbox.claim(merchant_id, mode, now, config.current().lease_seconds)
        if batch is not None:
            sweeps.count(merchant_id, batch.idle)
    if batch is None:
        return False
    _carry(batch, access, deadline)
    return True


# --- sending -------------------------------------------------------------------------------------


def _carry(batch: Batch, access: Access, deadline: float) -> None:
    """Send a batch in as many requests as fit into the turn, and at least one; whatever is not sent is given back."""
    until = min(deadline, time.monotonic() + config.current().lease_seconds * LEASE_SHARE)
    left, strips = list(batch.updates), 0
    try:
        while left and (len(left) == len(batch.updates) or time.monotonic() < until):
            updates = left[:1] if batch.mode is Mode.SINGLE else syncing.fitting(left)
            if len(left) < len(batch.updates) and not has_leave(batch.merchant_id, PACES[batch.mode], until):
                break
            # From here on they may have arrived: if we fail now, their lease runs out before they are sent again.
            left = left[len(updates) :]
            judgement, again = _exchange(batch, updates, access)
            left, strips = [*again, *left], strips + bool(again)
            if judgement.outcome not in (Outcome.DELIVERED, Outcome.REFUSED) or strips > MOST_STRIPS:
                break
    finally:
        if left:
            with transaction():
                profile_outbox.release(batch, [each.customer_id for each in left], utcnow())


def _exchange(batch: Batch, updates: Sequence[Update], access: Access) -> tuple[Judgement, list[Update]]:
    """One request and what it means, with one refresh of the access token if it is not taken."""
    judgement, again = _call_and_settle(batch, updates, access.token, last_try=False)
    if judgement.outcome is not Outcome.EXPIRED:
        return judgement, again
    try:
        access.renew()
    except HaltError:
        with transaction():
            profile_outbox.release(batch, [each.customer_id for each in updates], utcnow())
        raise
    return _call_and_settle(batch, updates, access.token, last_try=True)


def _call_and_settle(
    batch: Batch, updates: Sequence[Update], token: str, *, last_try: bool
) -> tuple[Judgement, list[Update]]:
    updates = _still_ours(batch, updates)
    if not updates:
        return Judgement(Outcome.DELIVERED), []
    answer = syncing.send(Client(config.current().klaviyo_api_url, token), batch, updates)
    judgement = syncing.judge(answer)
    if judgement.outcome is Outcome.EXPIRED and not last_try:
        return judgement, []
    with transaction():
        again = syncing.settle(batch, updates, answer, judgement, utcnow())
    log.info(
        "profiles sent",
        extra={
            "merchant_id": batch.merchant_id,
            "outcome": judgement.outcome.value,
            "profiles": len(updates),
            "status": answer.status,
            "duration_ms": answer.duration_ms,
        },
    )
    return judgement, again


def _still_ours(batch: Batch, updates: Sequence[Update]) -> list[Update]:
    """Without those who were erased since they were claimed: nothing of theirs is sent any more."""
    held = set(profile_outbox.hold(batch, [each.customer_id for each in updates]))
    db.session.rollback()
    return [each for each in updates if each.customer_id in held]


# --- bulk imports under way ------------------------------------------------------------------------


def _look_after_imports(merchant_id: int, deadline: float) -> None:
    while time.monotonic() < deadline:
        with transaction():
            found = profile_imports.take(merchant_id, utcnow(), config.current().lease_seconds)
        if found is None:
            return
        try:
            if has_leave(merchant_id, PROFILE_BULK_STATUS, deadline):
                _look_after(found)
                continue
        except HaltError:
            _later(found)
            raise
        _later(found)
        return


def _look_after(found: UnderWay) -> None:
    """How far is it? Settled where it has ended."""
    job_id = found.klaviyo_job_id
    try:
        job = _ask(found.merchant_id, lambda client: wire.fetch_job(client, job_id))
        ended = job is not None and job.ended and not job.cancelled
        errors = _errors(found) if ended and job and job.failed else []
    except RefusedError:
        job, ended = None, False
    except KlaviyoError as error:
        log.warning("import could not be asked about", extra={"error": type(error).__name__})
        _later(found)
        return
    with transaction():
        if ended:
            profile_imports.end(found.id, errors, utcnow())
        elif job is None or job.cancelled:
            profile_imports.give_up(found.id, utcnow())
        else:
            profile_imports.look_again(found.id, utcnow())


def _errors(found: UnderWay) -> list[wire.RowError]:
    return _ask(found.merchant_id, lambda client: wire.fetch_errors(client, found.klaviyo_job_id))


def _later(found: UnderWay) -> None:
    with transaction():
        profile_imports.look_again(found.id, utcnow())


def _ask(merchant_id: int, question: Callable[[Client], R]) -> R:
    """Put a question to Klaviyo, with one refresh of the access token. Raises `HaltError` or a `KlaviyoError`."""
    api_url, token = config.current().klaviyo_api_url, token_for(merchant_id)
    try:
        try:
            return question(Client(api_url, token))
        except UnauthorizedError:
            return question(Client(api_url, token_for(merchant_id, token)))
    except ThrottledError as error:
        with transaction():
            delivering.rest(
                merchant_id, Judgement(Outcome.THROTTLED, "Klaviyo asked us to slow down", error.retry_after), utcnow()
            )
        raise HaltError from error
    except (UnauthorizedError, ForbiddenError) as error:
        with transaction():
            connection_health.break_off(
                merchant_id, "Klaviyo says that this connection may not read profiles", utcnow()
            )
        raise HaltError from error


# --- everybody -----------------------------------------------------------------------------------


def _begin_sweep(merchant_id: int, deadline: float) -> None:
    """Begin to look at everybody where that is due; before the first time Klaviyo is asked what is there already."""
    seen = None
    if sweeps.must_ask(merchant_id):
        db.session.rollback()
        try:
            if has_leave(merchant_id, PROFILE_LIST, deadline):
                seen = _ask(merchant_id, wire.fetch_some)
        except KlaviyoError as error:
            log.warning("profiles could not be sampled", extra={"error": type(error).__name__})
    with transaction():
        sweeps.begin(merchant_id, seen, utcnow())


def _end_sweep(merchant_id: int) -> None:
    with transaction():
        if not profile_imports.under_way(merchant_id):
            sweeps.end(merchant_id, utcnow())


def _mark_more(merchant_id: int, now: datetime) -> bool:
    with transaction():
        return sweeps.mark_more(merchant_id, now) > 0
