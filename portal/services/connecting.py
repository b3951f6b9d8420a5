"""Connecting a merchant to Klaviyo: starting and finishing OAuth, saving, disconnecting. In plain words when it goes wrong."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, literal_column, select
from sqlalchemy.exc import IntegrityError

from portal.db import db, utcnow
from portal.errors import ConnectingError
from portal.klaviyo import Client, ForbiddenError, KlaviyoError, ThrottledError
from portal.klaviyo.oauth import App, GrantRefusedError, Tokens
from portal.models import Connection, ConnectionState, Delivery, DeliveryState, Module, Segment, in_state
from portal.services import auditing, checking, outbox, revoking

# The least that the modules need; each is shown to the merchant with its reason.
SCOPES: dict[str, str] = {
    "accounts:read": "to show which Klaviyo account is connected",
    "events:read": "to check that a test event has arrived",
    "events:write": "to send wallet events",
    "profiles:read": "to match customers with profiles",
    "profiles:write": "to keep loyalty properties on profiles",
    "lists:read": "to follow the progress of a large profile update",
    "lists:write": "to update many profiles at once (Klaviyo asks for it; no list is changed)",
    "segments:read": "to import the segments you choose",
    "metrics:read": "to see which of your metrics exist",
    "flows:read": "to warn before an event is switched off that a flow depends on",
    "data-privacy:write": "to erase a profile when you erase the customer here",
}
# Asked for only where a merchant wants what it is for.
OPTIONAL_SCOPES: dict[str, str] = {"flows:write": "to make a draft flow with the push webhook when you ask for one"}
LONGEST_WAIT_SECONDS = 3


@dataclass(frozen=True)
class Started:
    url: str
    state: str
    code_verifier: str


@dataclass(frozen=True)
class Granted:
    """What the merchant allowed, and for which Klaviyo account."""

    tokens: Tokens
    account_id: str
    account_name: str


def begin(app: App, also: Collection[str] = ()) -> Started:
    """Where to send the browser, and what to remember until it comes back; `also` are optional scopes. Raises `ConnectingError`."""
    if not app.client_id:
        raise ConnectingError(
            "This portal has no Klaviyo app yet. Set KLAVIYO_CLIENT_ID and KLAVIYO_CLIENT_SECRET, then start it again.",
            code="no_app",
        )
    return Started(*app.authorize_url((*SCOPES, *(scope for scope in OPTIONAL_SCOPES if scope in also))))


def finish(app: App, code: str, code_verifier: str) -> Granted:
    """Exchange the code and ask whose account it is. HTTP, outside of any transaction. Raises `ConnectingError`."""
    try:
        tokens = app.exchange_code(code, code_verifier)
    except GrantRefusedError as error:
        raise ConnectingError(
            "Klaviyo's permission has expired before it was used. Nothing has changed; connect once more.",
            code="expired",
        ) from error
    except KlaviyoError as error:
        raise _unreachable() from error
    missing = [scope for scope in SCOPES if tokens.scopes and scope not in tokens.scopes]
    if missing:
        raise _scopes_missing(missing)
    account_id, account_name = _ask_account(Client(app.api_url, tokens.access))
    return Granted(tokens, account_id, account_name)


def _ask_account(client: Client) -> tuple[str, str]:
    try:
        document = _read_accounts(client)
    except ForbiddenError as error:
        raise _scopes_missing(["accounts:read"]) from error
    except KlaviyoError as error:
        raise _unreachable() from error
    try:
        account = document["data"][0]
        account_id = str(account["id"])
        contact = account["attributes"].get("contact_information") or {}
        return account_id, str(contact.get("organization_name") or account_id)
    except (LookupError, TypeError, AttributeError) as error:  # JSON, but not what Klaviyo describes
        raise _unreachable() from error


def _read_accounts(client: Client) -> dict[str, Any]:
    """Klaviyo answers this once a second per account; somebody who connects twice in a row waits for it."""
    try:
        return client.read(checking.ACCOUNTS_PATH)
    except ThrottledError as error:
        time.sleep(min(error.retry_after or 1, LONGEST_WAIT_SECONDS))
        return client.read(checking.ACCOUNTS_PATH)


def _unreachable() -> ConnectingError:
    return ConnectingError(
        "Klaviyo did not answer. Nothing has changed; wait a minute, then connect once more.", code="unreachable"
    )


def _scopes_missing(scopes: list[str]) -> ConnectingError:
    return ConnectingError(
        f"Klaviyo did not grant everything that is needed ({', '.join(scopes)} missing). Connect once more and allow all of it.",
        code="scopes_missing",
    )


def explain_refusal(error: str, description: str = "") -> ConnectingError:
    """The `?error=` with which Klaviyo sends the browser back."""
    if error == "access_denied":
        return ConnectingError(
            "You declined at Klaviyo, so nothing was connected. You can connect at any time.", code="declined"
        )
    return ConnectingError(
        f"Klaviyo could not connect ({(description or error)[:120]}). Try once more.", code="refused"
    )


def save(merchant_id: int, granted: Granted, actor: str) -> Connection:
    """Connect, or reconnect: what waited is due at once. Raises `ConnectingError` for an account that cannot be taken."""
    try:
        with db.session.begin_nested():
            connection = _take(merchant_id, granted, utcnow())
    except IntegrityError:
        # Somebody took this account, or this merchant connected in another tab, at the same moment: now we see which.
        connection = _take(merchant_id, granted, utcnow())
    auditing.record(merchant_id, actor, "Klaviyo connected", f"{granted.account_name} ({granted.account_id})")
    return connection


def _take(merchant_id: int, granted: Granted, now: datetime) -> Connection:
    connection = connection_of(merchant_id, lock=True)
    _check_account(merchant_id, connection, granted)
    if connection is None:
        connection = Connection(merchant_id=merchant_id)
        db.session.add(connection)
    elif connection.klaviyo_account_id != granted.account_id:
        _forget_segments(merchant_id)
        revoking.hand_over(connection, now)
    elif connection.state == ConnectionState.RECONNECT:
        # Not after a disconnect: what happened meanwhile was recorded only, so nothing was caught up.
        connection.caught_up_from, connection.caught_up_until = connection.broken_at, now
    _fill(connection, granted, now)
    db.session.flush()
    revoking.spare(granted.account_id)
    outbox.make_due(merchant_id, now)
    return connection


def _fill(connection: Connection, granted: Granted, now: datetime) -> None:
    if connection.state != ConnectionState.CONNECTED:
        connection.connected_at = now
    connection.state = ConnectionState.CONNECTED
    connection.klaviyo_account_id = granted.account_id
    connection.account_name = granted.account_name[:200]
    connection.scopes = " ".join(granted.tokens.scopes or SCOPES)
    connection.access_token = granted.tokens.access
    connection.refresh_token = granted.tokens.refresh
    connection.access_expires_at = granted.tokens.expires_at
    connection.refreshed_at = now
    connection.refreshing_until = connection.broken_at = connection.broken_reason = None
    connection.paused_until = connection.pause_reason = None
    connection.failures_in_a_row = 0
    connection.check_due_at = now + checking.EVERY


def _check_account(merchant_id: int, connection: Connection | None, granted: Granted) -> None:
    other = select(Connection.id).where(
        Connection.klaviyo_account_id == granted.account_id,
        Connection.merchant_id != merchant_id,
        # A literal, as in the index that it uses.
        Connection.state != literal_column(f"'{ConnectionState.DISCONNECTED.value}'"),
    )
    if db.session.scalar(other):
        raise ConnectingError(
            f"{granted.account_name} is already connected to another shop here. Disconnect it there first, or choose another account.",
            code="account_taken",
        )
    if connection is None or connection.klaviyo_account_id == granted.account_id:
        return
    if waiting := count_waiting(merchant_id):
        raise ConnectingError(
            f"You chose {granted.account_name}, but {waiting:,} {'event waits' if waiting == 1 else 'events wait'} "
            f"for {connection.account_name}. "
            f"Connect {connection.account_name} again, so that they arrive where they belong; "
            "while it is disconnected they are kept for 72 hours.",
            code="wrong_account",
        )


def _forget_segments(merchant_id: int) -> None:
    for segment in db.session.scalars(select(Segment).where(Segment.merchant_id == merchant_id)):
        db.session.delete(segment)


def connection_of(merchant_id: int, *, lock: bool = False) -> Connection | None:
    query = select(Connection).where(Connection.merchant_id == merchant_id)
    return db.session.scalar(query.with_for_update().execution_options(populate_existing=True) if lock else query)


def count_waiting(merchant_id: int) -> int:
    """Events that wait to be delivered. Counts rows: for pages that are seldom seen, not for the panel."""
    query = select(func.count()).where(Delivery.merchant_id == merchant_id, in_state(Delivery, DeliveryState.PENDING))
    return db.session.scalar(query) or 0


def disconnect(merchant_id: int, actor: str) -> None:
    """Forget the access at once; a job revokes it at Klaviyo. Modules and choices stay as they are."""
    connection = connection_of(merchant_id, lock=True)
    if connection is None or connection.state == ConnectionState.DISCONNECTED:
        return
    connection.state = ConnectionState.DISCONNECTED
    connection.broken_at = utcnow()
    connection.access_token = None
    revoking.hand_over(connection, utcnow())
    auditing.record(merchant_id, actor, "Klaviyo disconnected", connection.account_name)


def is_in_use(merchant_id: int) -> bool:
    """There is a connection, though Klaviyo may have stopped taking it."""
    connection = connection_of(merchant_id)
    return connection is not None and connection.state != ConnectionState.DISCONNECTED


def wizard_step(connection: Connection | None, switches: dict[Module, datetime | None]) -> int:
    """1 open integrations, 2 authorize, 3 enable modules: derived, so that reload, back and a second tab agree."""
    if connection is None or connection.state == ConnectionState.DISCONNECTED:
        return 2
    return 3
