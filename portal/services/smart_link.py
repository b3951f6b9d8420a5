"""The smart link: where a customer gets the card. Stable for the customer; its token is unguessable and says nothing of them."""

from __future__ import annotations

from portal import config


def link_of(slug: str, token: str) -> str:
    """`slug` is the merchant's; append `&platform=ios` or `&platform=android` to go straight to one wallet."""
    return f"{config.current().public_url}/{slug}/download?token={token}"
