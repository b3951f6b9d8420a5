"""Calls to Klaviyo on behalf of a merchant, in three beats: a transaction, the call, a transaction.

Edges use it, outside of any transaction; it is the one place beside them that opens one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from portal import config
from portal.db import db, transaction, utcnow
from portal.errors import ConflictError, ConnectingError, InvalidError, PortalError, UnavailableError
from portal.exchange import DEADLINE_SECONDS
from portal.klaviyo import (
    Client,
    ForbiddenError,
    KlaviyoError,
    NoAnswerError,
    RefusedError,
    ThrottledError,
    UnauthorizedError,
    metrics,
)
from portal.klaviyo.oauth import App, GrantRefusedError
from portal.services import checking, connecting, connection_health, example_events, segments, tokens, trying

R = TypeVar("R")

# As long as a call may last: nobody is held for longer, neither by a refresh nor by waiting for another's.
WAIT_FOR_OTHERS_SECONDS = DEADLINE_SECONDS
LOOK_EVERY_SECONDS = 0.1
INVALID_GRANT = "invalid_grant"


def klaviyo_app() -> App:
    """Our app at Klaviyo, from the settings."""
    settings = config.current()
    return App(
        client_id=settings.klaviyo_client_id,
        client_secret=settings.klaviyo_client_secret,
        redirect_uri=f"{settings.public_url}/oauth/klaviyo/callback",
        api_url=settings.klaviyo_api_url,
        web_url=settings.klaviyo_web_url,
    )


def fresh_token(merchant_id: int, *, rejected: str | None = None) -> str | None:
    """An access token that should be taken, refreshed if need be; None where the connection is broken or gone.

    `rejected` is a token that Klaviyo has just answered 401 to. Raises `NoAnswerError` when Klaviyo cannot be reached.
    """
    deadline = time.monotonic() + WAIT_FOR_OTHERS_SECONDS
    waited = False
    while time.monotonic() < deadline:
        token, under_way = tokens.look(merchant_id, rejected, utcnow())
        if token:
            return token
        if waited and not under_way and tokens.is_connected(merchant_id):
            break  # it failed for the other; trying it once more here would hold this worker twice as long
        with transaction():
            ours = tokens.begin_refresh(merchant_id, rejected, utcnow())
        if ours is not None:
            refresh(merchant_id, ours)
        elif not tokens.is_connected(merchant_id):
            return None
        else:
            waited = True
            db.session.rollback()  # see what other processes will have written
            time.sleep(LOOK_EVERY_SECONDS)
    raise NoAnswerError("the access token could not be refreshed in time")


def refresh(merchant_id: int, ours: tokens.Ours) -> None:
    """Carry out a refresh that `tokens.begin_refresh` has handed to us. Raises `NoAnswerError`."""
    try:
        received = klaviyo_app().refresh(ours.refresh_token)
    except GrantRefusedError as error:
        if error.code != INVALID_GRANT:
            # About our app (its secret, say), not about this merchant's grant: the operator mends it, nobody reconnects.
            with transaction():
                tokens.postpone_refresh(merchant_id)
            raise NoAnswerError(f"the token endpoint refused our app: {error.code}") from error
        with transaction():
            tokens.refuse_refresh(merchant_id, ours.refresh_token, utcnow())
    except NoAnswerError:
        with transaction():
            tokens.postpone_refresh(merchant_id)
        raise
    else:
        with transaction():
            tokens.finish_refresh(merchant_id, ours.refresh_token, received, utcnow())


def ask_klaviyo(merchant_id: int, question: Callable[[Client], R]) -> R:
    """Put a question to Klaviyo for a page. Raises `ConnectingError` or `UnavailableError` in plain words."""
    try:
        return _ask(merchant_id, question)
    except (UnauthorizedError, ForbiddenError) as error:
        reason = tokens.LOST if isinstance(error, UnauthorizedError) else "A permission is missing at Klaviyo"
        with transaction():
            connection_health.break_off(merchant_id, reason, utcnow())
        raise ConnectingError(f"{reason}. Reconnect to continue.") from error
    except KlaviyoError as error:
        raise UnavailableError("Klaviyo did not answer. Nothing is lost; try again in a minute.") from error


def create_flow(merchant_id: int, creation: Callable[[Client], str]) -> str:
    """Let Klaviyo make a flow; its id. Raises a `PortalError` in plain words, and breaks nothing off: it is an extra."""
    try:
        return _ask(merchant_id, creation)
    except KlaviyoError as error:
        raise _no_flow(error) from error


def _no_flow(error: KlaviyoError) -> PortalError:
    by_hand = "Nothing was made. Copy the three parts by hand instead."
    if isinstance(error, (UnauthorizedError, ForbiddenError)):
        return ConflictError(f"Klaviyo does not let us make flows in this account. {by_hand}", code="scope_missing")
    if isinstance(error, ThrottledError):
        return UnavailableError("Klaviyo takes one new flow a second and 100 a day. Nothing was made; try again later.")
    if isinstance(error, RefusedError):
        return InvalidError(f"Klaviyo did not take the flow: {error.detail.rstrip('.')}. {by_hand}")
    return UnavailableError(
        "Klaviyo did not answer. Should it show the new draft all the same, delete it there, for its key does not work. "
        "Then try again."
    )


def confirm(merchant_id: int) -> None:
    """Ask whether Klaviyo still takes our access, and break the connection off if not.

    Raises `KlaviyoError` where that cannot be told; a 403 is such a case, for it is about this question and not about events.
    """
    try:
        _ask(merchant_id, checking.ask)
    except ConnectingError:
        return  # it has been broken off by the refresh, or is gone
    except UnauthorizedError:
        with transaction():
            connection_health.break_off(merchant_id, tokens.LOST, utcnow())


def confirm_soon(merchant_id: int) -> None:
    """Somebody looks at this connection: let it be checked sooner than it would be. Writes at most about once a minute."""
    if checking.may_be_sooner(connecting.connection_of(merchant_id), utcnow()):
        with transaction():
            checking.hasten(merchant_id)


def refresh_segments(merchant_id: int) -> int:
    """Read the account's segments anew; how many there are. Raises what `ask_klaviyo` raises."""
    remote = ask_klaviyo(merchant_id, segments.fetch_list)
    with transaction():
        return segments.save_list(merchant_id, remote)


def live_flows(merchant_id: int, metric: str) -> list[str] | None:
    """Names of the live flows that start with our metric of this name; None where Klaviyo cannot be asked right now."""

    def ask(client: Client) -> list[str]:
        flows = [
            flow for metric_id in metrics.metric_ids(client, metric) for flow in metrics.flows_of(client, metric_id)
        ]
        return sorted(flow.name for flow in flows if flow.status == "live")

    try:
        return _ask(merchant_id, ask)
    except (ConnectingError, KlaviyoError):
        return None


def read_back(merchant_id: int) -> None:
    """Look at Klaviyo for the newest test event, where it is there to be seen and was not yet."""
    progress = trying.latest(merchant_id, utcnow())
    if progress is None or progress.sought is None:
        return
    sought = progress.sought
    db.session.rollback()
    try:
        seen = _ask(merchant_id, partial(trying.find_at_klaviyo, sought=sought))
    except (ConnectingError, KlaviyoError):
        return  # the next look asks again
    if seen:
        with transaction():
            trying.note_seen(sought.row_id, utcnow())


def send_examples(merchant_id: int) -> bool:
    """Whether Klaviyo has taken the example profile and all of its events."""
    try:
        return _ask(merchant_id, partial(example_events.send, now=utcnow()))
    except (ConnectingError, KlaviyoError):
        return False


def _ask(merchant_id: int, question: Callable[[Client], R]) -> R:
    api_url = config.current().klaviyo_api_url
    token = fresh_token(merchant_id)
    if token is None:
        raise ConnectingError("Klaviyo is not connected. Connect it first.")
    try:
        return question(Client(api_url, token))
    except UnauthorizedError:
        token = fresh_token(merchant_id, rejected=token)
        if token is None:
            raise
        return question(Client(api_url, token))
