"""A programme (loyalty class) and a customer's card (loyalty object) as Google Wallet describes them.

Source: https://developers.google.com/wallet/reference/rest/v1/loyaltyclass. Names are cut to what fits on a small screen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from portal.wallet.google_messages import Message

LONGEST_NAME = 20
LONGEST_LABEL = 15
LONGEST_POINTS_LABEL = 9
MOST_MODULES = 10
MOST_LOCATIONS = 10
LARGEST_INT = 2**31 - 1

_ID = re.compile(r"[0-9]+\.[A-Za-z0-9._-]+")
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")


class State(StrEnum):
    """`INACTIVE` moves a card to the wallet's expired passes; none can be deleted."""

    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True)
class Points:
    """A label and exactly one kind of balance: a whole number, a number with decimals, or a text."""

    label: str
    balance: int | float | str

    def member(self) -> dict[str, Any]:
        return {"label": shortened(self.label, LONGEST_POINTS_LABEL), "balance": self._balance()}

    def _balance(self) -> dict[str, Any]:
        if isinstance(self.balance, str):
            return {"string": self.balance}
        if isinstance(self.balance, float) and not self.balance.is_integer():
            return {"double": self.balance}
        whole = int(self.balance)
        # Google's `int` has 32 bits.
        return {"int": whole} if abs(whole) <= LARGEST_INT else {"string": str(whole)}


@dataclass(frozen=True)
class TextModule:
    id: str
    header: str
    body: str

    def member(self) -> dict[str, Any]:
        return {"id": self.id, "header": self.header, "body": self.body}


@dataclass(frozen=True)
class Link:
    id: str
    title: str
    url: str

    def member(self) -> dict[str, Any]:
        return {"id": self.id, "description": self.title, "uri": self.url}


@dataclass(frozen=True)
class Barcode:
    value: str
    text_below: str = ""
    type: str = "QR_CODE"

    def member(self) -> dict[str, Any]:
        return {"type": self.type, "value": self.value, "alternateText": self.text_below or self.value}


@dataclass(frozen=True, kw_only=True)
class LoyaltyClass:
    """What all cards of a programme share. `id` is `issuer.name`; see `resource_id`."""

    kind: ClassVar[str] = "loyaltyClass"

    id: str
    issuer_name: str
    program_name: str
    logo_url: str
    color: str = ""
    hero_image_url: str = ""
    callback_url: str = ""
    homepage_url: str = ""
    country_code: str = ""
    account_name_label: str = ""
    account_id_label: str = ""
    holders: str = "ONE_USER_ALL_DEVICES"
    locations: tuple[tuple[float, float], ...] = ()
    text_modules: tuple[TextModule, ...] = ()
    links: tuple[Link, ...] = ()

    def __post_init__(self) -> None:
        _check(self.id, self.text_modules, self.locations)
        if self.color and not _COLOR.fullmatch(self.color):
            raise ValueError(f"color must be like #1A2B3C, not {self.color!r}")

    def for_insert(self) -> dict[str, Any]:
        return {name: value for name, value in self._members().items() if value is not None}

    def for_patch(self, *, notify: bool = False) -> dict[str, Any]:
        """Empty members are null, which takes away what was there; a list replaces the one before."""
        return self._members() | _notify(notify)

    def _members(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "issuerName": shortened(self.issuer_name, LONGEST_NAME),
            "programName": shortened(self.program_name, LONGEST_NAME),
            "programLogo": _image(self.logo_url),
            "reviewStatus": "UNDER_REVIEW",  # what Google asks for with every insert and patch
            "hexBackgroundColor": self.color or None,
            "heroImage": _image(self.hero_image_url),
            "callbackOptions": {"url": self.callback_url} if self.callback_url else None,
            "homepageUri": {"uri": self.homepage_url} if self.homepage_url else None,
            "countryCode": self.country_code or None,
            "accountNameLabel": shortened(self.account_name_label, LONGEST_LABEL) or None,
            "accountIdLabel": shortened(self.account_id_label, LONGEST_LABEL) or None,
            "multipleDevicesAndHoldersAllowedStatus": self.holders,
            "merchantLocations": [{"latitude": lat, "longitude": long} for lat, long in self.locations] or None,
            "textModulesData": [each.member() for each in self.text_modules] or None,
            "linksModuleData": _links(self.links),
        }


@dataclass(frozen=True, kw_only=True)
class LoyaltyObject:
    """One customer's card. The account id is never cut: somebody may have to type it."""

    kind: ClassVar[str] = "loyaltyObject"

    id: str
    class_id: str
    account_id: str
    account_name: str = ""
    state: State = State.ACTIVE
    points: Points | None = None
    secondary_points: Points | None = None
    barcode: Barcode | None = None
    text_modules: tuple[TextModule, ...] = ()
    links: tuple[Link, ...] = ()
    messages: tuple[Message, ...] = ()

    def __post_init__(self) -> None:
        _check(self.id, self.text_modules, ())
        _check(self.class_id, (), ())

    def for_insert(self) -> dict[str, Any]:
        messages = [each.as_member() for each in self.messages] or None
        members = {**self._members(), "messages": messages}
        return {name: value for name, value in members.items() if value is not None}

    def for_patch(self, *, notify: bool = False) -> dict[str, Any]:
        """Without messages, so that those that were added since stay."""
        return self._members() | _notify(notify)

    def _members(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "classId": self.class_id,
            "state": self.state.value,
            "accountId": self.account_id,
            "accountName": shortened(self.account_name, LONGEST_NAME) or None,
            "loyaltyPoints": self.points.member() if self.points else None,
            "secondaryLoyaltyPoints": self.secondary_points.member() if self.secondary_points else None,
            "barcode": self.barcode.member() if self.barcode else None,
            "textModulesData": [each.member() for each in self.text_modules] or None,
            "linksModuleData": _links(self.links),
        }


def resource_id(issuer_id: str, name: str) -> str:
    """The id of a class or card: the issuer's number and a name of ours. Raises ValueError for what Google refuses."""
    found = f"{issuer_id}.{name}"
    if not _ID.fullmatch(found):
        raise ValueError(
            f"{found!r} is not an issuer's number, a dot, and letters, digits, dots, dashes or underscores"
        )
    return found


def shortened(text: str, longest: int) -> str:
    """At most so many characters, with an ellipsis where some were left out."""
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def _check(resource: str, modules: tuple[TextModule, ...], locations: tuple[tuple[float, float], ...]) -> None:
    if not _ID.fullmatch(resource):
        raise ValueError(f"{resource!r} is not the id of a class or card")
    if len(modules) > MOST_MODULES or len(locations) > MOST_LOCATIONS:
        raise ValueError(f"Google takes at most {MOST_MODULES} text modules and {MOST_LOCATIONS} locations")


def _image(url: str) -> dict[str, Any] | None:
    return {"sourceUri": {"uri": url}} if url else None


def _links(links: tuple[Link, ...]) -> dict[str, Any] | None:
    return {"uris": [each.member() for each in links]} if links else None


def _notify(wanted: bool) -> dict[str, Any]:
    return {"notifyPreference": "NOTIFY_ON_UPDATE"} if wanted else {}
