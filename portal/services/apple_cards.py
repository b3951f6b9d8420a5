"""A customer's card as Apple Wallet shows it: which field says what, and the signed file.

The keys of fields must stay as they are: a phone notices a change only where a key had a value before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portal.db import db, utcnow
from portal.errors import UnavailableError
from portal.models import Card, CardDesign, CardLink, Customer, Merchant
from portal.models.card_number import in_groups
from portal.services import card_designs, card_links, wallet_accounts
from portal.services.card_face import MESSAGE, QUIET, Face, notifying_text
from portal.wallet import (
    MEDIA_TYPE,
    Barcode,
    Colour,
    Field,
    Location,
    NumberStyle,
    StoreCard,
    WalletError,
    WebService,
    build_pass,
    link,
)

__all__ = ["MEDIA_TYPE", "Dressed", "balance_field", "dress", "pkpass", "points", "store_card"]

NO_NEWS = "Nothing new. What we have to tell you appears here."
NO_CERTIFICATE = "This shop's cards for Apple Wallet are not ready yet. Please try again later, or ask the shop."


@dataclass(frozen=True)
class Dressed:
    """A card with all that its looks depend on."""

    card: Card
    customer: Customer
    merchant: Merchant
    design: CardDesign
    links: list[CardLink]


def dress(card: Card) -> Dressed:
    merchant = db.session.get_one(Merchant, card.merchant_id)
    customer = db.session.get_one(Customer, card.customer_id)
    design = card_designs.current(merchant)
    return Dressed(card, customer, merchant, design, list(card_designs.links_of(design)))


def pkpass(card: Card) -> bytes:
    """The signed file. Raises `UnavailableError` where the merchant has no certificate, or one that has ended: phones refuse it."""
    certificate = wallet_accounts.apple_certificate(card.merchant_id)
    if certificate is None or certificate.not_after <= utcnow():
        raise UnavailableError(NO_CERTIFICATE, retry_after=3600)
    dressed = dress(card)
    try:
        return build_pass(
            store_card(dressed), card_designs.images_of(dressed.design), wallet_accounts.signer(certificate)
        )
    except WalletError as error:
        raise UnavailableError(NO_CERTIFICATE, retry_after=3600) from error


def store_card(dressed: Dressed) -> StoreCard:
    """Raises a `CardError` for what no phone would show."""
    card, design, face = dressed.card, dressed.design, dressed.card.face
    token = card.token
    assert token is not None
    number = dressed.customer.card_number
    return StoreCard(
        serial_number=card.serial,
        organization_name=design.organisation,
        description=f"{dressed.merchant.programme_name} card",
        logo_text=design.logo_text or None,
        background=Colour.parse(design.background),
        foreground=Colour.parse(design.foreground),
        label=Colour.parse(design.label),
        header=(balance_field(design, face),),
        secondary=tuple(_standing_fields(design, face)),
        auxiliary=_reward_fields(design, face),
        back=tuple(_back_fields(dressed, face)),
        barcodes=(Barcode(message=number, alt_text=in_groups(number)),),
        web_service=WebService(url=card_links.web_service(), authentication_token=token),
        locations=tuple(_locations(design)),
        voided=card.voided,
    )


def balance_field(design: CardDesign, face: Face) -> Field:
    return Field(
        key="balance",
        label=design.balance_label,
        value=face["balance"],
        number_style=NumberStyle.DECIMAL,
        change_message=None if face.get(QUIET) else design.balance_message or None,
    )


def _standing_fields(design: CardDesign, face: Face) -> list[Field]:
    fields = []
    if "tier" in face:
        fields.append(Field(key="tier", label=design.tier_label, value=face["tier"]))
    if "next_tier" in face:
        words = f"{points(face['points_to_next_tier'])} to {face['next_tier']}"
        fields.append(Field(key="next_tier", label=design.next_tier_label, value=words))
    return fields


def _reward_fields(design: CardDesign, face: Face) -> tuple[Field, ...]:
    if "next_reward" not in face:
        return ()
    words = f"{points(face['points_to_next_reward'])} to {face['next_reward']}"
    return (Field(key="next_reward", label=design.next_reward_label, value=words),)


def points(number: float) -> str:
    return f"{number:,}"


def _back_fields(dressed: Dressed, face: Face) -> list[Field]:
    merchant, customer, message = dressed.merchant, dressed.customer, face.get(MESSAGE)
    news = notifying_text(message) if message else NO_NEWS
    fields = [Field(key="message", label="Latest news", value=news, change_message="%@")]
    if message and message["url"]:
        url = card_links.message(merchant, customer, message["id"])
        fields.append(_link_field("message_link", "About it", url, "Read more"))
    fields.append(_link_field("page", "Your card", card_links.page(merchant, customer), "Balance, rewards and news"))
    fields += [
        _link_field(f"link_{each.id}", each.label, card_links.link(merchant, customer, each.id), each.label)
        for each in dressed.links
    ]
    if "rewards_available" in face:
        fields.append(Field(key="rewards", label="Rewards you can have now", value=face["rewards_available"]))
    if "name" in face:
        fields.append(Field(key="name", label="Name", value=face["name"]))
    fields.append(Field(key="number", label="Card number", value=in_groups(customer.card_number)))
    return fields


def _link_field(key: str, label: str, url: str, words: str) -> Field:
    """The address stands in the value for readers that know no links in texts."""
    return Field(key=key, label=label, value=url, attributed_value=link(url, words))


def _locations(design: CardDesign) -> list[Location]:
    return [_location(each) for each in design.locations]


def _location(told: dict[str, Any]) -> Location:
    return Location(latitude=told["latitude"], longitude=told["longitude"], relevant_text=told.get("text") or None)
