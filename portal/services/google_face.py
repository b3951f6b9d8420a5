"""A programme and a customer's card as Google Wallet shows them. Pictures are addresses that Google fetches."""

from __future__ import annotations

from portal.db import db
from portal.models import CardDesign, GoogleClass, Merchant
from portal.models.card_number import in_groups
from portal.services import card_links
from portal.services.apple_cards import Dressed, points
from portal.services.wallet_accounts import Issuer
from portal.wallet.google import Barcode, Link, LoyaltyClass, LoyaltyObject, Points, State, TextModule, resource_id


def class_id(issuer: Issuer, merchant_id: int) -> str:
    """What Google has it as, or will. The moment when the merchant was made tells apart two portals that share an issuer."""
    known = db.session.get(GoogleClass, merchant_id)
    if known is not None and known.class_id.startswith(f"{issuer.issuer_id}."):
        return known.class_id
    made_at = db.session.get_one(Merchant, merchant_id).created_at
    return resource_id(issuer.issuer_id, f"programme-{merchant_id}-{made_at:%Y%m%d%H%M%S%f}")


def object_id(issuer: Issuer, serial: str) -> str:
    return resource_id(issuer.issuer_id, f"card-{serial}")


def programme(issuer: Issuer, design: CardDesign, programme_name: str) -> LoyaltyClass:
    return LoyaltyClass(
        id=class_id(issuer, design.merchant_id),
        issuer_name=design.organisation,
        program_name=programme_name,
        logo_url=_logo(design),
        color=design.background,
        hero_image_url=card_links.picture(design.strip_id) if design.strip_id else "",
        callback_url=card_links.callback(design.merchant_id),
        account_name_label="Name",
        account_id_label="Card number",
        locations=tuple((each["latitude"], each["longitude"]) for each in design.locations),
    )


def _logo(design: CardDesign) -> str:
    """Google shows it round: the icon suits that, and a wide logo does not."""
    return card_links.picture(design.icon_id) if design.icon_id else card_links.plain_picture(design.background)


def card(issuer: Issuer, dressed: Dressed) -> LoyaltyObject:
    customer, face, design = dressed.customer, dressed.card.face, dressed.design
    number = customer.card_number
    return LoyaltyObject(
        id=object_id(issuer, dressed.card.serial),
        class_id=class_id(issuer, customer.merchant_id),
        account_id=in_groups(number),
        account_name=face.get("name", ""),
        state=State.INACTIVE if dressed.card.voided else State.ACTIVE,
        points=Points(design.balance_label, face["balance"]),
        barcode=Barcode(number, in_groups(number)),
        text_modules=tuple(_modules(dressed)),
        links=tuple(_links(dressed)),
    )


def _modules(dressed: Dressed) -> list[TextModule]:
    face, design = dressed.card.face, dressed.design
    modules = []
    if "tier" in face:
        modules.append(TextModule("tier", design.tier_label, face["tier"]))
    if "next_tier" in face:
        words = f"{points(face['points_to_next_tier'])} to {face['next_tier']}"
        modules.append(TextModule("next_tier", design.next_tier_label, words))
    if "next_reward" in face:
        words = f"{points(face['points_to_next_reward'])} to {face['next_reward']}"
        modules.append(TextModule("next_reward", design.next_reward_label, words))
    return modules


def _links(dressed: Dressed) -> list[Link]:
    merchant, customer = dressed.merchant, dressed.customer
    page = Link("page", "Balance, rewards and news", card_links.page(merchant, customer))
    return [
        page,
        *(Link(f"link_{each.id}", each.label, card_links.link(merchant, customer, each.id)) for each in dressed.links),
    ]
