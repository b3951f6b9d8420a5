"""What an Apple loyalty card shows, as plain values, and the `pass.json` it becomes. The same card is always the same bytes.

https://developer.apple.com/documentation/walletpasses/pass. Whose card it is, the certificate says: see `apple_signing`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from portal.wallet.apple_fields import Field, printable
from portal.wallet.colours import Colour
from portal.wallet.errors import CardError

MOST_LOCATIONS, MOST_ACTIONS, SHORTEST_TOKEN = 10, 2, 16
# More are not shown: https://developer.apple.com/library/archive/documentation/UserExperience/Conceptual/PassKit_PG/Creating.html
MOST_HEADER, MOST_PRIMARY, MOST_SECONDARY_AND_AUXILIARY = 3, 1, 4
_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}


class BarcodeFormat(StrEnum):
    """Those that every phone with Wallet shows. The watch leaves out Code 128."""

    QR = "PKBarcodeFormatQR"
    PDF417 = "PKBarcodeFormatPDF417"
    AZTEC = "PKBarcodeFormatAztec"
    CODE128 = "PKBarcodeFormatCode128"


class ActionType(StrEnum):
    """What a button under the card promises, from iOS 27; older phones show no button."""

    MEMBERSHIP_BENEFITS = "membershipBenefits"
    VIEW_OFFERS_AND_REWARDS = "viewOffersRewards"
    SHOP = "shop"


@dataclass(frozen=True, kw_only=True)
class Barcode:
    message: str
    format: BarcodeFormat = BarcodeFormat.QR
    alt_text: str | None = None

    def __post_init__(self) -> None:
        _require(bool(self.message), "barcode_empty", "The barcode is empty. Give it the card's number.", "barcodes")
        if self.format is BarcodeFormat.CODE128:
            plain = self.message.isascii() and self.message.isprintable()
            _require(plain, "barcode_letters", "A Code 128 barcode takes plain letters and digits only.", "barcodes")

    def to_json(self) -> dict[str, Any]:
        return _given(
            {
                "format": self.format,
                "message": self.message,
                "messageEncoding": _encoding(self.message),
                "altText": self.alt_text,
            }
        )


@dataclass(frozen=True, kw_only=True)
class Location:
    """A place where the card comes up on the lock screen by itself."""

    latitude: float
    longitude: float
    relevant_text: str | None = None

    def __post_init__(self) -> None:
        on_earth = -90 <= self.latitude <= 90 and -180 <= self.longitude <= 180
        _require(
            on_earth, "location_nowhere", "A location lies outside the map. Check latitude and longitude.", "locations"
        )

    def to_json(self) -> dict[str, Any]:
        return _given({"latitude": self.latitude, "longitude": self.longitude, "relevantText": self.relevant_text})


@dataclass(frozen=True, kw_only=True)
class Action:
    identifier: str
    type: ActionType
    url: str

    def to_json(self) -> dict[str, Any]:
        return {"identifier": self.identifier, "type": self.type, "url": self.url}


@dataclass(frozen=True, kw_only=True)
class WebService:
    """Where phones register and fetch updates (they add `/v1/...`), and what they show to be let in.

    Neither may ever change for an installed card; a card installed without them can never be updated.
    """

    url: str
    authentication_token: str

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _THIS_MACHINE)
        _require(
            safe and bool(parts.hostname), "web_service_url", "Phones update cards over https only.", "web_service"
        )
        long_enough = len(self.authentication_token) >= SHORTEST_TOKEN and self.authentication_token.isascii()
        _require(long_enough, "token_short", f"The card's token needs {SHORTEST_TOKEN} characters.", "web_service")


@dataclass(frozen=True, kw_only=True)
class StoreCard:
    """One customer's card. `serial_number` is what the phone knows it by and must never change."""

    serial_number: str
    organization_name: str
    description: str  # read aloud by VoiceOver
    header: tuple[Field, ...] = ()
    primary: tuple[Field, ...] = ()
    secondary: tuple[Field, ...] = ()
    auxiliary: tuple[Field, ...] = ()
    back: tuple[Field, ...] = ()
    barcodes: tuple[Barcode, ...] = ()  # the first that a phone can draw is shown
    web_service: WebService | None = None
    logo_text: str | None = None
    background: Colour | None = None
    foreground: Colour | None = None
    label: Colour | None = None
    locations: tuple[Location, ...] = ()
    max_distance: int | None = None  # metres
    actions: tuple[Action, ...] = ()
    expires_at: datetime | None = None
    voided: bool = False
    sharing_prohibited: bool = False  # hides the button, prevents nothing

    def __post_init__(self) -> None:
        for name in ("serial_number", "organization_name", "description"):
            words = name.replace("_", " ")
            _require(bool(printable(getattr(self, name)).strip()), f"{name}_missing", f"The card has no {words}.", name)
        self._check_fields()
        self._check_counts()
        zoned = self.expires_at is None or self.expires_at.tzinfo is not None
        _require(zoned, "expiry_without_zone", "The card's expiry has no time zone.", "expires_at")
        far = self.max_distance is None or self.max_distance > 0
        _require(far, "max_distance", "The distance to a location must be more than 0 metres.", "max_distance")

    def _check_fields(self) -> None:
        times = Counter(field.key for field in self._fields())
        for key in (key for key, count in times.items() if count > 1):
            raise CardError("key_twice", f"Two fields of the card have the key “{key}”. Each needs its own.", field=key)
        for field in (*self.primary, *self.back):
            fits = field.alignment is None
            _require(fits, "alignment_here", f"The field “{field.key}” cannot be aligned where it stands.", field.key)
        for field in self._fields():
            fits = field.detectors is None or field in self.back
            _require(fits, "detectors_here", f"The field “{field.key}” is not on the back: no detectors.", field.key)

    def _check_counts(self) -> None:
        beside = len(self.secondary) + len(self.auxiliary)
        for name, count, most, words in (
            ("header", len(self.header), MOST_HEADER, "fields in the header"),
            ("primary", len(self.primary), MOST_PRIMARY, "main field"),
            ("secondary", beside, MOST_SECONDARY_AND_AUXILIARY, "fields below the picture"),
            ("locations", len(self.locations), MOST_LOCATIONS, "locations"),
            ("actions", len(self.actions), MOST_ACTIONS, "buttons"),
        ):
            fits = count <= most
            _require(fits, f"{name}_too_many", f"The card has {count} {words}; a phone shows {most} at most.", name)

    def _fields(self) -> Iterator[Field]:
        for fields in (self.header, self.primary, self.secondary, self.auxiliary, self.back):
            yield from fields

    def to_json(self) -> dict[str, Any]:
        """The card's part of `pass.json`; what is not set is left out."""
        fields = {
            "headerFields": self.header,
            "primaryFields": self.primary,
            "secondaryFields": self.secondary,
            "auxiliaryFields": self.auxiliary,
            "backFields": self.back,
        }
        return _given(
            {
                "formatVersion": 1,
                "serialNumber": self.serial_number,
                "organizationName": self.organization_name,
                "description": self.description,
                "logoText": self.logo_text,
                "backgroundColor": self.background and self.background.rgb,
                "foregroundColor": self.foreground and self.foreground.rgb,
                "labelColor": self.label and self.label.rgb,
                # Some readers would ask for `//v1` of an address that ends in a slash.
                "webServiceURL": self.web_service and self.web_service.url.rstrip("/"),
                "authenticationToken": self.web_service and self.web_service.authentication_token,
                "storeCard": {key: [field.to_json() for field in each] for key, each in fields.items() if each},
                "barcodes": [barcode.to_json() for barcode in self.barcodes] or None,
                "locations": [location.to_json() for location in self.locations] or None,
                "maxDistance": self.max_distance,
                "featuredActions": [action.to_json() for action in self.actions] or None,
                "expirationDate": self.expires_at and self.expires_at.isoformat(timespec="seconds"),
                "voided": self.voided or None,
                "sharingProhibited": self.sharing_prohibited or None,
            }
        )


def pass_json(card: StoreCard, *, pass_type_id: str, team_id: str) -> bytes:
    """`pass.json`: the card, and whose it is by the certificate it will be signed with."""
    document = {**card.to_json(), "passTypeIdentifier": pass_type_id, "teamIdentifier": team_id}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _given(document: dict[str, Any]) -> dict[str, Any]:
    return {
        key: printable(each) if isinstance(each, str) else each for key, each in document.items() if each is not None
    }


def _encoding(message: str) -> str:
    """Apple's advice is Latin-1 wherever it suffices, because many scanners expect it."""
    try:
        message.encode("iso-8859-1")
    except UnicodeEncodeError:
        return "utf-8"
    return "iso-8859-1"


def _require(met: bool, code: str, message: str, field: str) -> None:
    if not met:
        raise CardError(code, message, field=field)
