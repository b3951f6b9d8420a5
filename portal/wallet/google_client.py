"""Google Wallet's REST API for loyalty cards: one bounded exchange at a time, no retry of its own.

Source: https://developers.google.com/wallet/reference/rest/v1/loyaltyobject. Nothing can be deleted there, only set inactive.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from portal.exchange import USER_AGENT, exchange
from portal.wallet.google_account import ServiceAccount
from portal.wallet.google_loyalty import LoyaltyClass, LoyaltyObject
from portal.wallet.google_messages import MOST_MESSAGES, Message, messages_of
from portal.wallet.google_reply import Outcome, Reply, judge
from portal.wallet.google_tokens import access_token, forget_token

API_URL = "https://walletobjects.googleapis.com/walletobjects/v1"
# https://developers.google.com/wallet/retail/loyalty-cards/resources/faq: for each issuer, everything counted.
REQUESTS_PER_SECOND = 20
PAGE_SIZE = 100

Resource = LoyaltyClass | LoyaltyObject


@dataclass(frozen=True)
class Holding:
    """A card as Google has it. `has_users`: somebody holds it in their wallet."""

    id: str
    state: str
    has_users: bool


@dataclass(frozen=True)
class Page:
    """Part of a class's cards; `next` asks for the following part and is empty at the end. Look at `reply` first."""

    reply: Reply
    holdings: tuple[Holding, ...]
    next: str


class GoogleWallet:
    """Google Wallet as one service account sees it."""

    def __init__(self, account: ServiceAccount, api_url: str = API_URL) -> None:
        self._account = account
        self._api_url = api_url

    def insert(self, resource: Resource) -> Reply:
        """Create it; CONFLICT where it is there already."""
        return self._send("POST", f"/{resource.kind}", resource.for_insert())

    def patch(self, resource: Resource, *, notify: bool = False) -> Reply:
        """Make it as described; what is left empty is taken away, messages stay. MISSING where it is not there.

        With `notify` Google tells the holder of a new balance or tier, which counts as one of three a day.
        """
        return self._send("PATCH", _path(resource.kind, resource.id), resource.for_patch(notify=notify))

    def put(self, resource: Resource) -> Reply:
        """Create it or make it as described. Repeating it does no harm."""
        reply = self.insert(resource)
        return self.patch(resource) if reply.outcome is Outcome.CONFLICT else reply

    def get_class(self, class_id: str) -> Reply:
        return self._send("GET", _path(LoyaltyClass.kind, class_id))

    def get_object(self, object_id: str) -> Reply:
        """Answers for a card that was removed from the phone as well."""
        return self._send("GET", _path(LoyaltyObject.kind, object_id))

    def message_class(self, class_id: str, message: Message) -> Reply:
        """One call reaches everybody who holds a card of the class."""
        return self._send("POST", _path(LoyaltyClass.kind, class_id, "/addMessage"), message.for_adding())

    def message_object(self, object_id: str, message: Message) -> Reply:
        """Not safe to repeat: after TROUBLE look with `get_object` and `has_message` whether it is there."""
        return self._send("POST", _path(LoyaltyObject.kind, object_id, "/addMessage"), message.for_adding())

    def make_room(self, document: dict[str, Any]) -> Reply:
        """Take the oldest messages off a class or card, as it was answered, so that one more fits: ten is the most."""
        kind = LoyaltyClass.kind if "programName" in document else LoyaltyObject.kind
        review = {"reviewStatus": "UNDER_REVIEW"} if kind == LoyaltyClass.kind else {}
        newest = messages_of(document)[1 - MOST_MESSAGES :]
        return self._send("PATCH", _path(kind, str(document.get("id"))), {"messages": newest, **review})

    def list_objects(self, class_id: str, page: str = "") -> Page:
        """The cards of a class, a page at a time, to compare who holds one with what callbacks told."""
        params = {"classId": class_id, "maxResults": str(PAGE_SIZE), **({"token": page} if page else {})}
        reply = self._send("GET", f"/{LoyaltyObject.kind}", params=params)
        if not reply.ok:
            return Page(reply, (), "")
        pagination = reply.document.get("pagination")
        following = pagination.get("nextPageToken") if isinstance(pagination, dict) else None
        return Page(reply, _holdings(reply.document.get("resources")), str(following or ""))

    def _send(
        self, method: str, path: str, body: dict[str, Any] | None = None, params: dict[str, str] | None = None
    ) -> Reply:
        reply = self._try(method, path, body, params)
        if reply.outcome is Outcome.KEY_REFUSED and reply.answer.path == path:
            # The token may have been revoked before its time; a new one tells.
            forget_token(self._account)
            reply = self._try(method, path, body, params)
        return reply

    def _try(self, method: str, path: str, body: dict[str, Any] | None, params: dict[str, str] | None) -> Reply:
        token = access_token(self._account)
        if isinstance(token, Reply):
            return token
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", "User-Agent": USER_AGENT}
        if body is None:
            return judge(exchange(method, self._api_url, path, params=params, headers=headers))
        headers["Content-Type"] = "application/json"
        data = json.dumps(body, ensure_ascii=True).encode()
        return judge(exchange(method, self._api_url, path, data=data, params=params, headers=headers))


def _path(kind: str, resource_id: str, after: str = "") -> str:
    return f"/{kind}/{quote(resource_id, safe='')}{after}"


def _holdings(resources: Any) -> tuple[Holding, ...]:
    found = resources if isinstance(resources, list) else []
    return tuple(
        Holding(each["id"], str(each.get("state") or "").upper(), each.get("hasUsers") is True)
        for each in found
        if isinstance(each, dict) and isinstance(each.get("id"), str)
    )
