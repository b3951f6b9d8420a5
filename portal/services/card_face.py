"""What a customer's card says, as plain values: balance, tier, and how far it is to the next tier and reward.

A card keeps the face of its version, so that a version shows the same whenever a phone fetches it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from portal.db import utcnow
from portal.models import CardMessage, Customer
from portal.services import card_designs, ledger
from portal.services.rules import current_rules
from portal.services.standing import STATE, Standing, score, signals

Face = dict[str, Any]
# Which design it wears, and a mark of the token in its links: another one of either is another version.
DESIGN, LINKS = "design", "links"
# What is added to the customer's standing when a version is made.
MESSAGE, NEWS = "message", "news"
# What the newest version is about: a phone shows a notification of its own for one change at a time.
POINTS_NEWS, MESSAGE_NEWS = "points", "message"
# Of a version about points that moved long ago, as an import tells: phones show them and do not notify.
QUIET = "quiet"


def faces(merchant_id: int, customers: Iterable[Customer]) -> dict[int, Face]:
    """The standing of each as a card shows it, by the customer's id; points are numbers."""
    people = list(customers)
    rules, now, design_id = current_rules(merchant_id), utcnow(), card_designs.current_id(merchant_id)
    earnings = ledger.earnings(rules, [each.id for each in people], now)
    found = {}
    for each in people:
        standing = Standing(each.id, **{name: getattr(each, name) for name in STATE})
        told = signals(rules, standing, score(rules, standing, earnings[each.id], now))
        del told["wallet_pass_status"]
        # A name only where the customer gave one: an address has no place on a card that others may see.
        name = " ".join(part for part in (each.first_name, each.last_name) if part)
        links = hashlib.blake2b(each.link_token.encode(), digest_size=4).hexdigest()
        found[each.id] = {**told, **({"name": name} if name else {}), DESIGN: design_id, LINKS: links}
    return found


def standing_of(face: Face) -> Face:
    """The face without its message: what follows from the customer alone."""
    return {name: value for name, value in face.items() if name not in (MESSAGE, NEWS, QUIET)}


def with_standing(face: Face, standing: Face) -> Face:
    """A version about the customer's points; the message stays."""
    kept = {MESSAGE: face[MESSAGE]} if MESSAGE in face else {}
    return {**standing, **kept, NEWS: POINTS_NEWS}


def hushed(face: Face) -> Face:
    return {**face, QUIET: True}


def with_message(face: Face, message: CardMessage) -> Face:
    """A version about a message. `count` tells it from the one before, should both say the same."""
    count = face.get(MESSAGE, {}).get("count", 0) + 1
    shown = {"id": message.id, "text": message.text, "url": message.url, "count": count}
    return {**standing_of(face), MESSAGE: shown, NEWS: MESSAGE_NEWS}


# Characters without a shape of their own: a phone shows nothing of them, and notices that the text is another one.
_INVISIBLE = "\u200b\u200c"


def notifying_text(message: dict[str, Any]) -> str:
    """The text, told apart from the same text before it: phones are silent where a value has not changed."""
    count = message["count"] % 16
    return str(message["text"]) + "".join(_INVISIBLE[count >> bit & 1] for bit in range(4))
