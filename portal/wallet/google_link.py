"""The link behind "Add to Google Wallet": a signed JWT that names a card which Google has already.

It never ends and whoever has it can save the card, so it is made on a click and never mailed.
Source: https://developers.google.com/wallet/retail/loyalty-cards/use-cases/jwt.
"""

from __future__ import annotations

import time
from urllib.parse import quote

from portal.wallet.google_account import ServiceAccount

SAVE_URL = "https://pay.google.com/gp/v/save"


def save_link(
    account: ServiceAccount,
    object_id: str,
    class_id: str,
    *,
    origins: tuple[str, ...] = (),
    save_url: str = SAVE_URL,
) -> str:
    """The link for one card. Insert the card first: only its ids go in, because links over 1,800 characters fail."""
    claims = {
        "iss": account.client_email,
        "aud": "google",
        "typ": "savetowallet",
        "iat": int(time.time()),
        "origins": list(origins),
        "payload": {"loyaltyObjects": [{"id": object_id, "classId": class_id}]},
    }
    return f"{save_url}/{quote(account.sign(claims))}"
