"""Cards in an Android phone's Google Wallet, and what Google put on its lock screen: read from the stand-in for Google."""

from __future__ import annotations

import re
from typing import Any

from sandbox.google import wallet
from sandbox.phones.drawing import Shown, can_be_tapped, qr_code
from sandbox.store import Row

_HEX = re.compile(r"#[0-9a-fA-F]{6}")


def google_cards(phone: Row) -> list[dict[str, Any]]:
    return [_shown(found) for object_id in wallet.held(phone["id"]) if (found := wallet.card(object_id))]


def google_notices(phone: Row) -> list[dict[str, Any]]:
    """Google writes these itself; the message is read after a tap."""
    found = [
        {"at": each["at"], "title": each["title"], "text": each["text"], "serial": object_id, "key": object_id}
        for object_id in wallet.held(phone["id"])
        for each in wallet.notifications(object_id)
        if each["at"] > phone["cleared"]
    ]
    return sorted(found, key=lambda each: each["at"], reverse=True)


def _shown(found: dict[str, Any]) -> dict[str, Any]:
    programme = found["classReference"]
    places = {"front": _front(found, programme), "details": _details(found, programme)}
    links = [{"label": field.text, "url": link["url"]} for field in places["details"] for link in field.links]
    background = programme.get("hexBackgroundColor") or found.get("hexBackgroundColor") or ""
    background = background if _HEX.fullmatch(background) else "#3c4150"
    ink = "#ffffff" if _is_dark(background) else "#1f1f1f"
    return {
        "wallet": "google", "key": found["id"], "serial": found["id"], "pass_type": programme["id"],
        "organization": str(programme.get("issuerName", "")), "logo_text": str(programme.get("programName", "")),
        "pictures": {"logo": _uri(programme.get("programLogo")), "strip": _hero(found, programme)},
        "fields": {field.key: field.text for shown in places.values() for field in shown}, "places": places,
        "colours": {"background": background, "ink": ink, "label": ink}, "messages": wallet.messages(found["id"]),
        "links": links, "actions": [], "barcode": _barcode(found), "state": found.get("state"),
        "voided": found.get("state") != "ACTIVE", "expires": None,
    }  # fmt: skip


def _front(found: dict[str, Any], programme: dict[str, Any]) -> list[Shown]:
    parts = [_points(found.get(name) or {}, name) for name in ("loyaltyPoints", "secondaryLoyaltyPoints")]
    tiers = (("rewardsTier", "Tier"), ("secondaryRewardsTier", "Second tier"))
    parts += [_text(name, programme.get(f"{name}Label") or label, programme.get(name)) for name, label in tiers]
    parts.append(_text("accountName", programme.get("accountNameLabel") or "Name", found.get("accountName")))
    parts.append(_text("accountId", programme.get("accountIdLabel") or "Member id", found.get("accountId")))
    return [part for part in parts if part]


def _points(points: dict[str, Any], key: str) -> Shown | None:
    balance = points.get("balance") or {}
    if not balance:
        return None
    value = next(iter(balance.values()))
    if isinstance(value, dict):
        value = f"{int(value.get('micros', 0)) / 1_000_000:,.2f} {value.get('currencyCode', '')}"
    return Shown(key, str(points.get("label") or "Points"), f"{value:,}" if isinstance(value, int) else str(value))


def _text(key: str, label: str, value: object) -> Shown | None:
    return Shown(key, str(label), str(value)) if value else None


def _details(found: dict[str, Any], programme: dict[str, Any]) -> list[Shown]:
    parts: list[Shown] = []
    for of in (found, programme):
        for number, each in enumerate(of.get("textModulesData", []), 1):
            key = str(each.get("id") or f"text{number}")
            parts.append(Shown(key, str(each.get("header", "")), str(each.get("body", ""))))
        for number, each in enumerate((of.get("linksModuleData") or {}).get("uris", []), 1):
            url, words = str(each.get("uri", "")), str(each.get("description") or each.get("uri", ""))
            links = ({"label": words, "url": url},) if can_be_tapped(url) else ()
            parts.append(Shown(str(each.get("id") or f"link{number}"), "", words, links))
    return parts


def _barcode(found: dict[str, Any]) -> dict[str, Any] | None:
    barcode = found.get("barcode") or {}
    message = str(barcode.get("value") or "")
    if not message:
        return None
    kind = str(barcode.get("type", "QR_CODE"))
    drawn = qr_code(message) if kind == "QR_CODE" else None
    return {"format": kind, "message": message, "alt": str(barcode.get("alternateText", "")), "drawn": drawn}


def _hero(found: dict[str, Any], programme: dict[str, Any]) -> str | None:
    return _uri(found.get("heroImage")) or _uri(programme.get("heroImage"))


def _uri(image: Any) -> str | None:
    return str((image.get("sourceUri") or {}).get("uri") or "") or None if isinstance(image, dict) else None


def _is_dark(colour: str) -> bool:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return red * 299 + green * 587 + blue * 114 < 128_000
