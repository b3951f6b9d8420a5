"""Cards and notifications as plain values for the pages and for orders over HTTP, whichever wallet they are in."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from sandbox.apple import package, values, vocabulary
from sandbox.phones import wallet
from sandbox.phones.carried import IOS, Phones
from sandbox.phones.drawing import Shown, can_be_tapped, qr_code
from sandbox.phones.google_cards import google_cards, google_notices
from sandbox.store import Row

_ADDRESS = re.compile(r"https?://[^\s<>\"']+")


def cards_of(here: Phones, phone: Row) -> list[dict[str, Any]]:
    """What is in the phone's wallet; `key` tells one from the other."""
    if phone["kind"] == IOS:
        return [apple_card(card) for card in wallet.cards(here, phone)]
    return google_cards(phone)


def notices_of(here: Phones, phone: Row) -> list[dict[str, Any]]:
    """What is on the lock screen, newest first."""
    if phone["kind"] != IOS:
        return google_notices(phone)
    rows = here.store.rows(
        "SELECT n.*, c.serial FROM notice n JOIN card c ON c.pk = n.card WHERE n.phone = ? AND n.at > ?"
        " ORDER BY n.pk DESC",
        (phone["pk"], phone["cleared"]),
    )
    return [
        {"at": row["at"], "title": row["title"], "text": row["text"], "serial": row["serial"], "key": str(row["card"])}
        for row in rows
    ]


def happenings(here: Phones, phone: Row, limit: int = 200) -> list[Row]:
    """What the phone did, newest first."""
    return here.store.rows("SELECT * FROM happening WHERE phone = ? ORDER BY pk DESC LIMIT ?", (phone["pk"], limit))


def apple_card(row: Row) -> dict[str, Any]:
    found = package.opened(row["pkpass"])
    places = {place: [_shown(field) for field in found.fields(place)] for place in vocabulary.FIELD_LISTS}
    content = found.card
    return {
        "wallet": "apple", "key": str(row["pk"]), "serial": row["serial"], "pass_type": row["pass_type"],
        "organization": content["organizationName"], "logo_text": content.get("logoText", ""),
        "pictures": {name: found.picture(name) for name in ("icon", "logo", "strip")},
        "fields": {field["key"]: values.written(field) for field in found.fields()}, "places": places,
        "colours": _colours(content), "messages": [],
        "links": [link for shown in places.values() for field in shown for link in field.links] + _actions(content),
        "actions": _actions(content), "barcode": _barcode(content), "voided": bool(content.get("voided")),
        "expires": content.get("expirationDate"), "registered": bool(row["registered"]),
        "automatic_updates": bool(row["automatic"]), "allow_notifications": bool(row["notify"]),
        "last_modified": row["last_modified"], "installed_at": row["installed"], "updated_at": row["updated"],
    }  # fmt: skip


def as_answer(card: dict[str, Any]) -> dict[str, Any]:
    """Without what is for pages only."""
    places = {place: [vars(field) for field in shown] for place, shown in card["places"].items() if shown}
    barcode = card["barcode"] and {name: value for name, value in card["barcode"].items() if name != "drawn"}
    return {**card, "places": places, "barcode": barcode}


def picture(row: Row, name: str) -> bytes | None:
    """An image of an Apple card."""
    return package.opened(row["pkpass"]).files.get(name) if name.endswith(".png") else None


def stylesheet(cards: list[dict[str, Any]]) -> str:
    """The colours of a phone's cards, by their place in the wallet: no page may say them inline."""
    rules = (
        f".pass-{place} {{ background: {colours['background']}; --pass-ink: {colours['ink']};"
        f" --pass-label: {colours['label']}; }}\n"
        for place, colours in enumerate(card["colours"] for card in cards)
    )
    return "".join(rules)


def _colours(content: dict[str, Any]) -> dict[str, str]:
    ink = _colour(content, "foregroundColor", "rgb(255, 255, 255)")
    background = _colour(content, "backgroundColor", "rgb(60, 65, 80)")
    return {"background": background, "ink": ink, "label": _colour(content, "labelColor", ink)}


def _colour(content: dict[str, Any], name: str, default: str) -> str:
    found = vocabulary.COLOUR.fullmatch(str(content.get(name, default)))
    return f"rgb({', '.join(found.groups())})" if found else default


def _shown(field: dict[str, Any]) -> Shown:
    rich = field.get("attributedValue")
    text, links = _Rich.read(rich) if rich else (values.written(field), [])
    # Wallet makes an address in plain words a link as well, on the back.
    links = links or [{"label": url, "url": url} for url in _ADDRESS.findall(text)]
    return Shown(field["key"], str(field.get("label") or ""), text, tuple(links))


class _Rich(HTMLParser):
    """Text and links of an `attributedValue`."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self._open = "", False
        self.links: list[dict[str, str]] = []

    @classmethod
    def read(cls, markup: str) -> tuple[str, list[dict[str, str]]]:
        reader = cls()
        reader.feed(markup)
        reader.close()
        return reader.text, reader.links

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        url = dict(attrs).get("href")
        if tag == "a" and url and can_be_tapped(url):
            self.links.append({"label": "", "url": url})
            self._open = True

    def handle_endtag(self, tag: str) -> None:
        self._open = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open:
            self.links[-1]["label"] += data


def _actions(content: dict[str, Any]) -> list[dict[str, str]]:
    found = [each for each in content.get("featuredActions", []) if isinstance(each, dict)]
    return [
        {"label": str(each.get("type", "")), "url": str(each["url"])}
        for each in found
        if can_be_tapped(str(each.get("url")))
    ]


def _barcode(content: dict[str, Any]) -> dict[str, Any] | None:
    """The first that this phone can draw."""
    listed = [*content.get("barcodes", []), *([content["barcode"]] if "barcode" in content else [])]
    found = next((each for each in listed if each["format"] in vocabulary.BARCODES), None)
    if found is None:
        return None
    kind = found["format"].removeprefix("PKBarcodeFormat")
    return {
        "format": kind, "message": found["message"], "alt": found.get("altText", ""),
        "drawn": qr_code(found["message"]) if kind == "QR" else None,
    }  # fmt: skip
