"""The 18 wallet events: their names at Klaviyo, where they come from, and their own properties.

A metric is permanent at Klaviyo, so a name here is never changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    TEXT = "text"
    # All of them are points, or how many there are of something.
    NUMBER = "number"
    ID = "id"
    URL = "address"


@dataclass(frozen=True)
class Property:
    """One property of an event; `choices` where only some texts make sense."""

    name: str
    kind: Kind
    example: str | int | float
    note: str
    choices: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """The template tag that shows it in a Klaviyo message."""
        return "{{ event." + self.name + " }}"


@dataclass(frozen=True)
class EventType:
    type: str
    metric: str
    description: str
    source: str
    properties: tuple[Property, ...] = ()
    # Common properties that are otherwise than usual after this event, for the example.
    otherwise: tuple[Property, ...] = ()

    @property
    def example(self) -> dict[str, str | int | float]:
        """The properties of such an event, as Klaviyo would have them."""
        return {prop.name: prop.example for prop in (*COMMON, *self.otherwise, *self.properties)}


def _text(name: str, example: str, note: str, *choices: str) -> Property:
    return Property(name, Kind.TEXT, example, note, choices)


def _number(name: str, example: float, note: str) -> Property:
    return Property(name, Kind.NUMBER, example, note)


def _id(name: str, example: str, note: str) -> Property:
    return Property(name, Kind.ID, example, note)


# On every event, computed here at its time; what is sent under these names is replaced. What is not known is left out.
COMMON: tuple[Property, ...] = (
    _number("balance", 145, "Points now"),
    _text("tier", "Gold", "The tier now"),
    _text("next_tier", "Platinum", "The tier above"),
    _number("points_to_next_tier", 355, "Points missing for the tier above"),
    _text("next_reward", "Bag of beans", "The cheapest reward that is not yet in reach"),
    _number("points_to_next_reward", 55, "Points missing for that reward"),
    _number("rewards_available", 2, "Rewards that the balance is enough for"),
    _text(
        "wallet_pass_status", "installed", "Whether the card is on a phone", "installed", "uninstalled", "not_installed"
    ),
    _text("source", "api", "Where the event came from"),
)
_NO_CARD_YET = (_text("wallet_pass_status", "not_installed", "No card yet"),)

PLATFORM = _text("platform", "ios", "Where the card lives", "ios", "android")
LOCATION = _text("location", "Nørrebro", "The shop")
DEVICE = _text("device", "Till 2", "The till or reader")
RISEN = (_text("tier", "Gold", "The tier now"), _text("previous_tier", "Silver", "The tier before"))
FALLEN = (_text("tier", "Silver", "The tier now"), _text("previous_tier", "Gold", "The tier before"))
REWARD = (
    _id("reward_id", "free-coffee", "Your id of the reward"),
    _text("reward_name", "Free coffee", "The reward's name"),
    _number("cost", 100, "Points it cost"),
    _text("code", "BREW-7Q2K", "The code handed out"),
)

EVENT_TYPES: tuple[EventType, ...] = (
    EventType(
        "card_installed",
        "Loyalty card installed",
        "A customer put the card on a phone.",
        "Apple or Google Wallet",
        (PLATFORM,),
    ),
    EventType(
        "card_uninstalled",
        "Loyalty card uninstalled",
        "A customer removed the card.",
        "Apple or Google Wallet",
        (PLATFORM,),
        (_text("wallet_pass_status", "uninstalled", "No longer on a phone"),),
    ),
    EventType("card_opened", "Loyalty card opened", "A customer opened the card page.", "The card page", (PLATFORM,)),
    EventType(
        "card_clicked",
        "Loyalty card clicked",
        "A customer followed a link on the card.",
        "A link on the card",
        (
            Property("link_url", Kind.URL, "https://nordiccoffee.example/menu", "Where the link leads"),
            _text("link_label", "Menu", "What the link says"),
        ),
    ),
    EventType(
        "campaign_assigned",
        "Campaign assigned",
        "A customer entered the audience of a campaign.",
        "Campaigns",
        (
            _id("campaign_id", "cmp_18", "The campaign's id"),
            _text("campaign_name", "Autumn roast", "The campaign's name"),
            _text("segment_name", "VIP Gold", "The segment that led here"),
        ),
    ),
    EventType(
        "balance_changed",
        "Balance changed",
        "Points were added or taken away.",
        "The till, a customer's page, or your shop through the API",
        (
            _text("direction", "increase", "Which way it went", "increase", "decrease"),
            _number("change", 25, "Points added or taken away"),
            _number("balance", 145, "Points now"),
            _number("previous_balance", 120, "Points before"),
            _text("reason", "Purchase 1042", "Why"),
        ),
    ),
    EventType("tier_upgraded", "Tier upgraded", "A customer rose to a better tier.", "Tier rules", RISEN),
    EventType(
        "tier_downgraded",
        "Tier downgraded",
        "A customer fell to a lower tier.",
        "Tier rules",
        FALLEN,
        (_text("next_tier", "Gold", "The tier above"),),
    ),
    EventType(
        "reward_redeemed_online",
        "Reward redeemed (online)",
        "A reward was used in the web shop.",
        "A customer's page, or your shop through the API",
        REWARD,
    ),
    EventType(
        "reward_redeemed_in_store",
        "Reward redeemed (in-store)",
        "A reward was used at the till.",
        "The till, or the API",
        (*REWARD, LOCATION),
    ),
    EventType(
        "pos_scanned",
        "Customer scanned on POS",
        "The card was scanned at the till.",
        "The till, or the API",
        (LOCATION, DEVICE),
    ),
    EventType(
        "referral_completed",
        "Referral completed",
        "A friend who was referred bought something.",
        "Your shop, through the API",
        (
            _id("referred_customer_id", "10422", "Your id of the friend"),
            _number("points_awarded", 50, "Points for the referral"),
        ),
    ),
    EventType(
        "account_verified",
        "Account verified",
        "A customer confirmed who they are.",
        "A customer's page, or your shop through the API",
        (_text("method", "email", "How it was confirmed"),),
    ),
    EventType(
        "checked_in", "Check-in at location", "A customer checked in at a shop.", "The till, or the API", (LOCATION,)
    ),
    EventType(
        "customer_created",
        "Customer created",
        "A customer joined the programme.",
        "The first time a customer is seen",
        (_text("source", "api", "Where the customer came from"),),
        _NO_CARD_YET,
    ),
    EventType("customer_birthday", "Customer birthday", "It is the customer's birthday.", "A daily check"),
    EventType(
        "customer_tapped",
        "Customer tapped",
        "The card was held to a reader (NFC).",
        "Your shop, through the API",
        (LOCATION, DEVICE),
    ),
    EventType(
        "pass_requested",
        "Wallet pass requested",
        "A customer opened the card's download link.",
        "The download link",
        (PLATFORM,),
        _NO_CARD_YET,
    ),
)

# Beside the 18: nobody tells us of it, it is recorded where a merchant wants to hear of pushes.
PUSH_OUTCOME = EventType(
    "push_outcome",
    "Wallet push outcome",
    "What became of a push to the customer's card.",
    "Push, where you want it told",
    (
        _text("outcome", "skipped", "What became of it", "delivered", "skipped", "failed"),
        _text("reason", "no_installed_pass", "Why it was skipped or failed"),
        _id("push_id", "psh_42", "The push's id"),
        _text("message", "Your reward is ready!", "What it said"),
    ),
)

BY_TYPE: dict[str, EventType] = {entry.type: entry for entry in EVENT_TYPES}
# Every type that may have been recorded.
RECORDED: dict[str, EventType] = {**BY_TYPE, PUSH_OUTCOME.type: PUSH_OUTCOME}
# Of each type, the common properties that are not its own as well.
COMPUTED: dict[str, frozenset[str]] = {
    entry.type: frozenset(prop.name for prop in COMMON) - {prop.name for prop in entry.properties}
    for entry in RECORDED.values()
}
