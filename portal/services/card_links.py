"""The public addresses of a card. Each carries the customer's secret token; where a link leads is stored, never in the address."""

from __future__ import annotations

from portal import config
from portal.models import Customer, Merchant

PASSKIT_PATH = "/passes"
CALLBACK_PATH = "/google-wallet/callback"


def download(merchant: Merchant, customer: Customer, platform: str | None = None) -> str:
    """The smart link."""
    asked = f"&platform={platform}" if platform else ""
    return f"{_programme(merchant)}/download?token={customer.link_token}{asked}"


def page(merchant: Merchant, customer: Customer) -> str:
    """The card as a page."""
    return f"{_programme(merchant)}/card?token={customer.link_token}"


def link(merchant: Merchant, customer: Customer, link_id: int) -> str:
    return f"{_programme(merchant)}/card/links/{link_id}?token={customer.link_token}"


def message(merchant: Merchant, customer: Customer, message_id: int) -> str:
    """Where the link of a message is followed."""
    return f"{_programme(merchant)}/card/messages/{message_id}?token={customer.link_token}"


def picture(picture_id: int) -> str:
    return f"{_origin()}/card-pictures/{picture_id}.png"


def plain_picture(colour: str) -> str:
    """The icon of who has uploaded none; `colour` as #rrggbb."""
    return f"{_origin()}/card-pictures/plain-{colour.removeprefix('#')}.png"


def web_service() -> str:
    return f"{_origin()}{PASSKIT_PATH}"


def callback(merchant_id: int) -> str:
    """Where Google reports that somebody saved or removed one of the merchant's cards."""
    return f"{_origin()}{CALLBACK_PATH}/{merchant_id}"


def _programme(merchant: Merchant) -> str:
    return f"{_origin()}/{merchant.slug}"


def _origin() -> str:
    return config.current().public_url
