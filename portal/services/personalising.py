"""Variables in a campaign's message: `{balance}`, and `{first_name|there}` with words for customers who have none.

A message is checked before it is saved, so that nothing is found wrong while it is sent.
"""

from __future__ import annotations

import re

from portal.errors import InvalidError
from portal.models import Customer
from portal.services.points import in_words
from portal.services.push_orders import LONGEST_MESSAGE
from portal.services.rules import Rules
from portal.services.standing import next_reward

VARIABLES = ("first_name", "balance", "tier", "points_to_next_reward")
# Everybody has points, if only 0.
ALWAYS_KNOWN = "balance"
_VARIABLE = re.compile(r"\{([^{}]*)\}")


def check(message: str) -> str:
    """The message, trimmed. Raises `InvalidError` that names what is wrong with it and what to write instead."""
    message = " ".join(message.split())
    if not message:
        raise _wrong("Enter what the lock screen shall say.")
    if len(message) > LONGEST_MESSAGE:
        raise _wrong(f"The message has {len(message):,} characters; {LONGEST_MESSAGE} is the most.")
    for inside in _VARIABLE.findall(message):
        _check_variable(inside)
    rest = _VARIABLE.sub("", message)
    if "{" in rest or "}" in rest:
        raise _wrong("A { or } stands alone. Variables are written like {first_name|there}, with both.")
    if not _fill(message, {}).strip():
        raise _wrong("For customers of whom nothing is known, nothing would be left. Add some words.")
    return message


def _check_variable(inside: str) -> None:
    name, bar, _ = inside.partition("|")
    name = name.strip()
    if name not in VARIABLES:
        known = ", ".join(f"{{{each}}}" for each in VARIABLES)
        raise _wrong(f"{{{inside}}} is not a variable. There are {known}.")
    if not bar and name != ALWAYS_KNOWN:
        instead = f"{{{name}|{_EXAMPLES[name]}}}"
        raise _wrong(f"{{{inside}}} is not known of every customer. Say what stands there instead, such as {instead}.")


_EXAMPLES = {"first_name": "there", "tier": "member", "points_to_next_reward": "a few"}


def _wrong(message: str) -> InvalidError:
    return InvalidError(message, field="message")


def render(message: str, customer: Customer, rules: Rules) -> str:
    """The message for one customer, never longer than a push may be."""
    tier, reward = rules.tier(customer.tier_id), next_reward(rules, customer.balance)
    known = {
        "first_name": customer.first_name,
        "balance": in_words(customer.balance),
        "tier": tier.name if tier else None,
        "points_to_next_reward": in_words(reward.cost - customer.balance) if reward else None,
    }
    said = _fill(message, known)
    return said if len(said) <= LONGEST_MESSAGE else said[: LONGEST_MESSAGE - 1].rstrip() + "…"


def _fill(message: str, known: dict[str, str | None]) -> str:
    def put(found: re.Match[str]) -> str:
        name, _, fallback = found[1].partition("|")
        return (known.get(name.strip()) or fallback).strip()

    return " ".join(_VARIABLE.sub(put, message).split())
