"""What happens when a link is opened on a phone: a card is added, a page is shown, or neither works."""

from __future__ import annotations

import html
import re
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from sandbox.apple.package import RefusedError
from sandbox.google import wallet as google_wallet
from sandbox.google.wallet import SaveError
from sandbox.phones import wallet
from sandbox.phones.calls import CHROME, SAFARI, Reply, UnreachableError, exchange
from sandbox.phones.carried import IOS, Phones
from sandbox.store import Row

PKPASS = "application/vnd.apple.pkpass"
_SAVE_PATH = "/gp/v/save/"
_MOST_REDIRECTS = 10
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_OFFLINE = "The phone is offline."


@dataclass(frozen=True)
class Opened:
    """`result` is card, page or nothing; `cards` are serial numbers or Google's ids of what was added."""

    result: str
    url: str
    status: int | None = None
    cards: tuple[str, ...] = ()
    title: str = ""
    problems: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "cards": list(self.cards), "problems": list(self.problems)}


def open_link(here: Phones, phone: Row, url: str) -> Opened:
    """Never raises: what went wrong is among the problems, as the phone's owner would be told."""
    opened = _nothing(url, _OFFLINE) if phone["offline"] else _open(here, phone, url.strip())
    if opened.result == "nothing":
        here.note(phone["pk"], f"Could not open a link: {'; '.join(opened.problems)}")
    return opened


def follow_link(here: Phones, phone: Row, url: str) -> Opened:
    """Tap a link on a card: only the first answer is looked at, so that nobody else's site is called."""
    if phone["offline"]:
        return _nothing(url, _OFFLINE)
    try:
        reply = _get(phone, url)
    except UnreachableError as error:
        return _nothing(url, str(error))
    here.note(phone["pk"], f"Followed a link of a card ({reply.status}).")
    return Opened("page", urljoin(url, reply.headers.get("Location", url)), reply.status, title=_title(reply))


def _open(here: Phones, phone: Row, url: str) -> Opened:
    for _ in range(_MOST_REDIRECTS):
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            return _nothing(url, "This is no web address.")
        if phone["kind"] != IOS and _is_save_link(url):
            return _save(here, phone, url)
        try:
            reply = _get(phone, url)
        except UnreachableError as error:
            return _nothing(url, f"The page cannot be opened: {error}.")
        if reply.status not in (301, 302, 303, 307, 308) or "Location" not in reply.headers:
            return _arrive(here, phone, url, reply)
        url = urljoin(url, reply.headers["Location"])
    return _nothing(url, "The page leads from one address to the next without end.")


def _get(phone: Row, url: str) -> Reply:
    agent = SAFARI if phone["kind"] == IOS else CHROME
    accepted = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    return exchange("GET", url, {"User-Agent": agent, "Accept": accepted, "Accept-Language": "en-GB"})


def _arrive(here: Phones, phone: Row, url: str, reply: Reply) -> Opened:
    if reply.media_type != PKPASS or reply.status != 200:
        here.note(phone["pk"], f"Opened a page ({reply.status}): {_title(reply) or 'without a title'}.")
        return Opened("page", url, reply.status, title=_title(reply))
    if phone["kind"] != IOS:
        return _nothing(url, "This phone has no app for an Apple Wallet card.", reply.status)
    try:
        card = wallet.install(here, phone, reply)
    except RefusedError as error:
        return Opened("nothing", url, reply.status, problems=tuple(error.problems))
    return Opened("card", url, reply.status, cards=(card["serial"],))


def _is_save_link(url: str) -> bool:
    """By its path: the sandbox may be reached by more than one name."""
    return urlsplit(url).path.startswith(_SAVE_PATH)


def _save(here: Phones, phone: Row, url: str) -> Opened:
    try:
        ids = google_wallet.save(urlsplit(url).path.removeprefix(_SAVE_PATH), phone["id"])
    except SaveError as error:
        return _nothing(url, str(error))
    here.note(phone["pk"], f"Saved the card {', '.join(ids)} to Google Wallet.")
    return Opened("card", url, cards=tuple(ids))


def _nothing(url: str, problem: str, status: int | None = None) -> Opened:
    return Opened("nothing", url, status, problems=(problem,))


def _title(reply: Reply) -> str:
    found = _TITLE.search(reply.body) if "html" in reply.media_type else None
    return html.unescape(" ".join(found[1].decode("utf-8", "replace").split())) if found else ""
