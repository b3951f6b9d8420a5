"""Messages on a Google card: added to one card or to a whole class, with or without a notification.

Three of them notify in 24 hours for each card, updates of fields included; the words on the lock screen are Google's.
Source: https://developers.google.com/wallet/retail/loyalty-cards/use-cases/trigger-push-notifications.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

NOTIFYING_PER_DAY = 3
MOST_MESSAGES = 10


@dataclass(frozen=True)
class Message:
    """`id` is ours: the same for the same message, so that it can be found again after a lost answer."""

    id: str
    header: str
    body: str
    notify: bool = True

    def for_adding(self) -> dict[str, Any]:
        """Body of `addMessage`."""
        return {"message": self.as_member()}

    def as_member(self) -> dict[str, Any]:
        kind = "TEXT_AND_NOTIFY" if self.notify else "TEXT"
        return {"id": self.id, "header": self.header, "body": self.body, "messageType": kind}


def message_id(*parts: object) -> str:
    """An id made of what tells the message apart, such as a push and the card it is for."""
    told_apart = "\x00".join(str(part) for part in parts)
    return hashlib.sha256(told_apart.encode()).hexdigest()[:32]


def has_message(document: dict[str, Any], wanted: str) -> bool:
    """Whether a class or card, as Google answered it, bears the message with this id."""
    return any(isinstance(each, dict) and each.get("id") == wanted for each in messages_of(document))


def messages_of(document: dict[str, Any]) -> list[Any]:
    """The messages of a class or card, as Google answered it, oldest first."""
    messages = document.get("messages")
    return messages if isinstance(messages, list) else []
