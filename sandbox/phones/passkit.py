"""The calls that Wallet makes to a card's web service, and the complaints that it posts there; nothing is stored here.

https://developer.apple.com/documentation/walletpasses/adding-a-web-service-to-update-passes
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sandbox.phones.calls import WALLET, Reply, UnreachableError, exchange
from sandbox.store import Row


@dataclass(frozen=True)
class Changes:
    serials: tuple[str, ...]
    tag: str


class ServiceError(Exception):
    """The web service answered something else than it should; whether to come back, and what the device's log says."""

    def __init__(self, message: str, *, again: bool = True) -> None:
        super().__init__(message)
        self.again = again


def register(phone: Row, errand: Row) -> int:
    """200 or 201. Raises `ServiceError`."""
    path = f"devices/{phone['device']}/registrations/{_named(errand)}"
    reply = _call("POST", errand, path, _authorized(errand), {"pushToken": phone["token"]})
    _expect(reply, 200, 201)
    return reply.status


def unregister(phone: Row, errand: Row) -> None:
    """Raises `ServiceError`."""
    path = f"devices/{phone['device']}/registrations/{_named(errand)}"
    _expect(_call("DELETE", errand, path, _authorized(errand)), 200)


def changes(phone: Row, errand: Row, since: str | None) -> Changes | None:
    """What changed since a tag, or None. Raises `ServiceError`."""
    path = f"devices/{phone['device']}/registrations/{quote(errand['pass_type'], safe='')}"
    if since is not None:
        path += f"?passesUpdatedSince={quote(since, safe='')}"
    reply = _call("GET", errand, path, {})
    _expect(reply, 200, 204)
    if reply.status == 204:
        return None
    try:
        told = json.loads(reply.body)
    except ValueError as error:
        raise ServiceError("the answer is no JSON") from error
    serials = told.get("serialNumbers") if isinstance(told, dict) else None
    if not isinstance(serials, list) or not all(isinstance(each, str) for each in serials):
        raise ServiceError("serialNumbers is no list of texts", again=False)
    if not isinstance(told.get("lastUpdated"), str):
        raise ServiceError("lastUpdated is not a string; nothing is downloaded", again=False)
    return Changes(tuple(serials), told["lastUpdated"])


def fetch(card: Row, *, anew: bool = False) -> Reply:
    """200 with the card, or 304. Raises `ServiceError`."""
    headers = _authorized(card)
    if card["last_modified"] and not anew:
        headers["If-Modified-Since"] = card["last_modified"]
    reply = _call("GET", card, f"passes/{_named(card)}", headers)
    _expect(reply, 200, 304)
    return reply


def complain(of: Row, task: str, message: str) -> str:
    """Post a line to the web service's log, as a device does; the line."""
    at = time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime())
    serial = f", serial number {of['serial']}" if of["serial"] else ""
    line = (
        f"[{at}] {task} task (pass type {of['pass_type']}{serial};"
        f" with web service url {of['web_service']}) encountered error: {message}"
    )
    try:
        exchange("POST", f"{of['web_service']}/v1/log", {"User-Agent": WALLET}, {"logs": [line]})
    except UnreachableError:
        return line + " (and the log could not be reached)"
    return line


def _call(method: str, of: Row, path: str, headers: dict[str, str], body: Any = None) -> Reply:
    try:
        return exchange(method, f"{of['web_service']}/v1/{path}", {"User-Agent": WALLET, **headers}, body)
    except UnreachableError as error:
        raise ServiceError(str(error)) from error


def _expect(reply: Reply, *statuses: int) -> None:
    if reply.status == 401:
        raise ServiceError("Authentication failure", again=False)
    if reply.status not in statuses:
        raise ServiceError(f"Unexpected response code {reply.status}")


def _authorized(of: Row) -> dict[str, str]:
    return {"Authorization": f"ApplePass {of['authentication_token']}"}


def _named(of: Row) -> str:
    return f"{quote(of['pass_type'], safe='')}/{quote(of['serial'], safe='')}"
