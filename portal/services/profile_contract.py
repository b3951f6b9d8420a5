"""The `jericommerce_` properties of a profile: their names, types and meaning, and what they are for one customer.

A name is never changed: segments and templates in Klaviyo hang on it. What does not hold is null, which clears it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from portal.services.points import to_number
from portal.services.rules import Rules
from portal.services.standing import Standing, next_reward, next_tier, rewards_within

PREFIX = "jericommerce_"


class Kind(StrEnum):
    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    DATE_TIME = "date and time"
    LINK = "link"
    LIST = "list of text"


@dataclass(frozen=True)
class ProfileProperty:
    name: str
    kind: Kind
    example: str
    note: str

    @property
    def tag(self) -> str:
        """The template tag that shows it in a Klaviyo message."""
        return "{{ person|lookup:'" + self.name + "' }}"


def _property(name: str, kind: Kind, example: str, note: str) -> ProfileProperty:
    return ProfileProperty(PREFIX + name, kind, example, note)


PROPERTIES = (
    _property(
        "download_wallet_pass_url",
        Kind.LINK,
        "https://cards.example.com/nordic/download?token=5pJx0w",
        "The customer's own card link. Append &platform=ios or &platform=android to go straight to one wallet",
    ),
    _property(
        "wallet_pass_status",
        Kind.TEXT,
        "installed",
        "Whether the card is on a phone: installed, uninstalled or not_installed",
    ),
    _property("wallet_platforms", Kind.LIST, "ios, android", "Where the card is installed"),
    _property("balance", Kind.NUMBER, "420", "Points now"),
    _property("tier", Kind.TEXT, "Silver", "The tier now"),
    _property("tier_entered_at", Kind.DATE, "2026-09-14", "Since when"),
    _property("tier_expires_at", Kind.DATE, "2027-09-14", "Until when, where the tier is for a time"),
    _property("next_tier", Kind.TEXT, "Gold", "The tier above"),
    _property("points_to_next_tier", Kind.NUMBER, "80", "Points still missing for it"),
    _property("rewards_available", Kind.NUMBER, "2", "How many rewards the balance is enough for"),
    _property("next_reward", Kind.TEXT, "Free coffee", "The cheapest reward that is not yet in reach"),
    _property("next_reward_cost", Kind.NUMBER, "500", "Points it costs"),
    _property("points_to_next_reward", Kind.NUMBER, "80", "Points still missing for it"),
    _property("last_pos_scan_at", Kind.DATE_TIME, "2026-11-20T16:05:00+00:00", "The last scan of the card at the till"),
    _property("pos_scans", Kind.NUMBER, "7", "How often the card was scanned at the till"),
    _property("member_since", Kind.DATE, "2025-02-01", "When the customer joined"),
)
NAMES = tuple(entry.name for entry in PROPERTIES)


def properties_of(rules: Rules, standing: Standing, points: int, member_since: datetime, link: str) -> dict[str, Any]:
    """Every property of a customer, null where it does not hold. `points` is the score that decides about the tier."""
    tier = rules.tier(standing.tier_id)
    above = next_tier(rules, standing, points)
    reward = next_reward(rules, standing.balance)

    def day(moment: datetime | None) -> str | None:
        return moment.astimezone(rules.zone).date().isoformat() if moment and tier else None

    scanned = standing.last_pos_scan_at
    told: dict[str, Any] = {
        "download_wallet_pass_url": link,
        "wallet_pass_status": str(standing.card_status),
        "wallet_platforms": [name for name, on in (("ios", standing.on_ios), ("android", standing.on_android)) if on]
        or None,
        "balance": to_number(standing.balance),
        "tier": tier and tier.name,
        "tier_entered_at": day(standing.tier_entered_at),
        "tier_expires_at": day(standing.tier_expires_at),
        "next_tier": above and above[0].name,
        "points_to_next_tier": to_number(above[1]) if above else None,
        "rewards_available": rewards_within(rules, standing.balance) if rules.rewards else None,
        "next_reward": reward and reward.name,
        "next_reward_cost": to_number(reward.cost) if reward else None,
        "points_to_next_reward": to_number(reward.cost - standing.balance) if reward else None,
        "last_pos_scan_at": scanned.astimezone(UTC).isoformat(timespec="seconds") if scanned else None,
        "pos_scans": standing.pos_scans,
        "member_since": member_since.astimezone(rules.zone).date().isoformat(),
    }
    return {PREFIX + name: value for name, value in told.items()}


def difference(properties: Mapping[str, Any], sent: Mapping[str, Any] | None) -> dict[str, Any]:
    """What has to be sent: all of it where it is not known what Klaviyo has."""
    if sent is None:
        return dict(properties)
    return {name: value for name, value in properties.items() if value != sent.get(name)}
