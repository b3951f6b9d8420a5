"""What may stand in a `pass.json`: Apple's own names of keys, and the rules that a phone or Apple's validator holds them to.

https://github.com/apple/pass-builder has the names; https://developer.apple.com/documentation/walletpasses/pass says what they mean.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

STYLES = ("boardingPass", "coupon", "eventTicket", "generic", "storeCard")
FIELD_LISTS = (
    "headerFields", "primaryFields", "secondaryFields", "auxiliaryFields", "backFields", "additionalInfoFields",
    "footerFields",
)  # fmt: skip
_REQUIRED = ("formatVersion", "passTypeIdentifier", "teamIdentifier", "organizationName", "description", "serialNumber")
_KEYS = frozenset(
    """accessibilityURL addOnURL appLaunchURL associatedStoreIdentifiers authenticationToken auxiliaryStoreIdentifiers
    backgroundColor bagPolicyURL barcode barcodes beacons boardingPass changeSeatURL contactVenueEmail
    contactVenuePhoneNumber contactVenueWebsite coupon description directionsInformationURL entertainmentURL
    eventLogoText eventTicket expirationDate featuredActions footerBackgroundColor foregroundColor formatVersion generic
    groupingIdentifier labelColor locations logoSymbolName logoText managementURL maxDistance merchandiseURL nfc
    orderFoodURL organizationName parkingInformationURL passTypeIdentifier posterGeneric preferredStyleSchemes
    purchaseAdditionalBaggageURL purchaseLoungeAccessURL purchaseParkingURL purchaseWifiURL registerServiceAnimalURL
    relevantDate relevantDates reportLostBagURL requestWheelchairURL sellURL semantics serialNumber sharingProhibited
    storeCard stripColor suppressHeaderDarkening teamIdentifier transferURL transitInformationURL transitProviderEmail
    transitProviderPhoneNumber transitProviderWebsiteURL upcomingPassInformation upgradeURL useAutomaticColors userInfo
    voided webServiceURL""".split()  # noqa: SIM905 - as words they can be read
)
_FIELD_KEYS = frozenset(
    """attributedValue changeMessage currencyCode dataDetectorTypes dateStyle ignoresTimeZone isRelative key label
    numberStyle semantics textAlignment timeStyle value""".split()  # noqa: SIM905
)
BARCODES = ("PKBarcodeFormatQR", "PKBarcodeFormatPDF417", "PKBarcodeFormatAztec", "PKBarcodeFormatCode128")
_NEW_BARCODES = ("EAN13", "Code39", "Codabar", "I2of5")
COLOUR = re.compile(r"rgb\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)")
_DATE_STYLES = {f"PKDateStyle{each}" for each in ("None", "Short", "Medium", "Long", "Full")}
_NUMBER_STYLES = {f"PKNumberStyle{each}" for each in ("Decimal", "Percent", "Scientific", "SpellOut")}
_ALIGNMENTS = {f"PKTextAlignment{each}" for each in ("Left", "Center", "Right", "Natural")}
_MOST_LOCATIONS, _MOST_ACTIONS, _SHORTEST_TOKEN = 10, 2, 16
_LINKS_ONLY = re.compile(r"<(?!/?a[\s>])", re.IGNORECASE)
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


def complaints(card: Mapping[str, Any]) -> list[str]:
    """Everything that is wrong with a pass.json; an empty list where a phone takes it."""
    found = [f"unknown key {key!r}" for key in card if key not in _KEYS]
    found += [f"{name} is missing" for name in _REQUIRED if card.get(name) in (None, "")]
    if card.get("formatVersion") not in (None, 1):
        found.append("formatVersion must be 1")
    for part in (_texts, _styles, _web_service, _places_and_times, _barcodes, _actions):
        found += part(card)
    return found


def _texts(card: Mapping[str, Any]) -> Iterator[str]:
    names = (*_REQUIRED[1:], "logoText", "authenticationToken", "webServiceURL", "groupingIdentifier")
    yield from (f"{name} must be a text" for name in names if not isinstance(card.get(name, ""), str))
    for name in ("backgroundColor", "foregroundColor", "labelColor", "stripColor"):
        match = COLOUR.fullmatch(str(card.get(name, "rgb(0,0,0)")))
        if match is None or max(map(int, match.groups())) > 255:
            yield f"{name} must be rgb(r, g, b)"
    for name in ("voided", "sharingProhibited"):
        if not isinstance(card.get(name, False), bool):
            yield f"{name} must be true or false"


def _styles(card: Mapping[str, Any]) -> Iterator[str]:
    styles = [style for style in STYLES if style in card]
    if len(styles) != 1:
        yield f"one style is needed, not {len(styles)}"
        return
    content = card[styles[0]]
    if not isinstance(content, dict):
        yield f"{styles[0]} must be an object"
        return
    known = {*FIELD_LISTS, "transitType"}
    yield from (f"unknown key {key!r} in {styles[0]}" for key in content if key not in known)
    fields: list[tuple[str, Any]] = []
    for name in FIELD_LISTS:
        listed = content.get(name, [])
        if not isinstance(listed, list):
            yield f"{name} must be a list"
            continue
        fields += [(name, field) for field in listed]
    for name, field in fields:
        yield from _field(name, field) if isinstance(field, dict) else (f"a field of {name} is no object",)
    keys = Counter(str(field.get("key")) for _, field in fields if isinstance(field, dict))
    yield from (f"the key {key!r} is there {count} times" for key, count in keys.items() if count > 1)


def _field(place: str, field: Mapping[str, Any]) -> Iterator[str]:
    named = f"field {field.get('key')!r}"
    yield from (f"{named}: unknown key {key!r}" for key in field if key not in _FIELD_KEYS)
    value, back = field.get("value"), place == "backFields"
    dated, numbered = "dateStyle" in field or "timeStyle" in field, "numberStyle" in field or "currencyCode" in field
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    checks = (
        (isinstance(field.get("key"), str) and field.get("key"), "key is missing"),
        (isinstance(value, str) or is_number, "value must be a text or a number"),
        (field.get("label") is None or isinstance(field["label"], str), "label must be a text"),
        (_is_filled(field.get("changeMessage")), "changeMessage must be a text that is not empty"),
        (_is_filled(field.get("attributedValue")), "attributedValue must be a text"),
        (not _LINKS_ONLY.search(str(field.get("attributedValue", ""))), "attributedValue may hold links only"),
        (field.get("textAlignment") in (None, *_ALIGNMENTS), "textAlignment is unknown"),
        ("textAlignment" not in field or not (back or place == "primaryFields"), "textAlignment is not for this place"),
        ("dataDetectorTypes" not in field or back, "dataDetectorTypes is for the back only"),
        (field.get("dateStyle") in (None, *_DATE_STYLES), "dateStyle is unknown"),
        (field.get("timeStyle") in (None, *_DATE_STYLES), "timeStyle is unknown"),
        (field.get("numberStyle") in (None, *_NUMBER_STYLES), "numberStyle is unknown"),
        (not ("numberStyle" in field and "currencyCode" in field), "numberStyle and currencyCode exclude each other"),
        (not numbered or is_number, "value must be a number for its style"),
        (not dated or _is_moment(value), "value must be a date with time and zone for its style"),
    )
    yield from (f"{named}: {told}" for good, told in checks if not good)


def _is_filled(value: Any) -> bool:
    return value is None or (isinstance(value, str) and bool(value))


def _is_moment(value: Any) -> bool:
    try:
        return datetime.fromisoformat(str(value)).tzinfo is not None
    except ValueError:
        return False


def _web_service(card: Mapping[str, Any]) -> Iterator[str]:
    url, token = card.get("webServiceURL"), card.get("authenticationToken")
    if (url is None) != (token is None):
        yield "webServiceURL and authenticationToken need each other"
    if isinstance(url, str):
        parts = urlsplit(url)
        # No certificate is to be had for one's own machine; a real phone insists on https there as well.
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _THIS_MACHINE):
            yield "webServiceURL must begin with https://"
    if isinstance(token, str) and len(token) < _SHORTEST_TOKEN:
        yield f"authenticationToken must have {_SHORTEST_TOKEN} characters or more"


def _places_and_times(card: Mapping[str, Any]) -> Iterator[str]:
    locations = card.get("locations", [])
    if not isinstance(locations, list) or len(locations) > _MOST_LOCATIONS:
        yield f"locations must be a list of at most {_MOST_LOCATIONS}"
    elif not all(_is_place(each) for each in locations):
        yield "a location needs latitude and longitude as numbers"
    if "expirationDate" in card and not _is_moment(card["expirationDate"]):
        yield "expirationDate must be a date with time and zone"


def _is_place(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(n), (int, float)) for n in ("latitude", "longitude"))


def _barcodes(card: Mapping[str, Any]) -> Iterator[str]:
    barcodes = card.get("barcodes", [])
    if not isinstance(barcodes, list):
        yield "barcodes must be a list"
        return
    known = {*BARCODES, *(f"PKBarcodeFormat{each}" for each in _NEW_BARCODES)}
    for each in [*barcodes, *([card["barcode"]] if "barcode" in card else [])]:
        if not isinstance(each, dict) or each.get("format") not in known:
            yield "a barcode has a format that is unknown"
        elif not (each.get("message") and isinstance(each["message"], str)) or not each.get("messageEncoding"):
            yield "a barcode needs message and messageEncoding"


def _actions(card: Mapping[str, Any]) -> Iterator[str]:
    actions = card.get("featuredActions", [])
    if not isinstance(actions, list) or len(actions) > _MOST_ACTIONS:
        yield f"featuredActions must be a list of at most {_MOST_ACTIONS}"
