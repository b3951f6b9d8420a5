"""One card with all that a card can have, and a picture for it."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from PIL import Image

from portal.wallet import (
    Action,
    ActionType,
    Alignment,
    Barcode,
    BarcodeFormat,
    Colour,
    DateStyle,
    Detector,
    Field,
    Images,
    Location,
    NumberStyle,
    StoreCard,
    WebService,
    link,
)

MEMBER_SINCE = datetime(2024, 3, 1, 12, tzinfo=UTC)
TOKEN = "0123456789abcdef0123456789abcdef"


def full_card(**changes: Any) -> StoreCard:
    parts: dict[str, Any] = {
        "serial_number": "card-1",
        "organization_name": "Nordic Coffee",
        "description": "Nordic Coffee loyalty card",
        "logo_text": "Nordic",
        "header": (Field(key="balance", label="Points", value=120, change_message="You have %@ points"),),
        "primary": (Field(key="name", label="Member", value="Zoë “Z” Ørsted ☕"),),
        "secondary": (
            Field(key="tier", label="Tier", value="Gold", alignment=Alignment.LEFT),
            Field(key="next", label="To Platinum", value=Decimal("80.5"), number_style=NumberStyle.DECIMAL),
        ),
        "auxiliary": (
            Field(key="since", label="Since", value=MEMBER_SINCE, date_style=DateStyle.SHORT, time_style=DateStyle.NONE,
                  ignores_time_zone=True),
            Field(key="credit", label="Credit", value=Decimal("12.00"), currency_code="DKK"),
        ),
        "back": (
            Field(key="message", label="Latest news", value="Free refill today", change_message="%@",
                  detectors=(Detector.LINK, Detector.PHONE_NUMBER)),
            Field(key="shop", value="Shop", attributed_value=link("https://shop.example/?a=1&b=2", "Visit the shop")),
        ),
        "barcodes": (Barcode(message="4711", alt_text="4711"), Barcode(message="4711", format=BarcodeFormat.CODE128)),
        "web_service": WebService(url="https://portal.example/passkit/", authentication_token=TOKEN),
        "background": Colour.parse("#1a2b3c"),
        "foreground": Colour.parse("rgb(255, 255, 255)"),
        "label": Colour.parse("#ccc"),
        "locations": (Location(latitude=56.15, longitude=10.2, relevant_text="Coffee is near"),),
        "max_distance": 200,
        "actions": (Action(identifier="rewards", type=ActionType.VIEW_OFFERS_AND_REWARDS, url="https://portal.example/r"),),
        "expires_at": datetime(2030, 1, 1, tzinfo=UTC),
        "voided": True,
        "sharing_prohibited": True,
    }  # fmt: skip
    return StoreCard(**{**parts, **changes})


def bare_card(**changes: Any) -> StoreCard:
    return StoreCard(**{"serial_number": "1", "organization_name": "Nordic", "description": "Card", **changes})


def png(width: int = 38, height: int = 38, colour: str = "#a0522d") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(content, "PNG")
    return content.getvalue()


def images() -> Images:
    return Images({"icon.png": png(), "icon@2x.png": png(76, 76), "logo.png": png(160, 50)})
