"""Google Wallet for loyalty cards: one place to import from.

`check_service_account(file)` when it is uploaded; `GoogleWallet(account).put(LoyaltyObject(...))`, judged by `Reply.outcome`;
`save_link(...)` on a click; `verify_callback(body, issuer, root_keys())` for what Google reports.
"""

from portal.wallet.errors import ServiceAccountError
from portal.wallet.google_account import TOKEN_URI, ServiceAccount, check_service_account, read_service_account
from portal.wallet.google_callbacks import (
    Callback,
    CallbackError,
    ExpiredCallbackError,
    ForeignCallbackError,
    ForgedCallbackError,
    Happened,
    MalformedCallbackError,
    verify_callback,
)
from portal.wallet.google_client import API_URL, REQUESTS_PER_SECOND, GoogleWallet, Holding, Page
from portal.wallet.google_keys import ROOT_KEYS_URL, KeysUnavailableError, RootKeys, root_keys
from portal.wallet.google_link import SAVE_URL, save_link
from portal.wallet.google_loyalty import (
    Barcode,
    Link,
    LoyaltyClass,
    LoyaltyObject,
    Points,
    State,
    TextModule,
    resource_id,
)
from portal.wallet.google_messages import (
    MOST_MESSAGES,
    NOTIFYING_PER_DAY,
    Message,
    has_message,
    message_id,
    messages_of,
)
from portal.wallet.google_reply import Outcome, Reply

__all__ = [
    "API_URL",
    "MOST_MESSAGES",
    "NOTIFYING_PER_DAY",
    "REQUESTS_PER_SECOND",
    "ROOT_KEYS_URL",
    "SAVE_URL",
    "TOKEN_URI",
    "Barcode",
    "Callback",
    "CallbackError",
    "ExpiredCallbackError",
    "ForeignCallbackError",
    "ForgedCallbackError",
    "GoogleWallet",
    "Happened",
    "Holding",
    "KeysUnavailableError",
    "Link",
    "LoyaltyClass",
    "LoyaltyObject",
    "MalformedCallbackError",
    "Message",
    "Outcome",
    "Page",
    "Points",
    "Reply",
    "RootKeys",
    "ServiceAccount",
    "ServiceAccountError",
    "State",
    "TextModule",
    "check_service_account",
    "has_message",
    "message_id",
    "messages_of",
    "read_service_account",
    "resource_id",
    "root_keys",
    "save_link",
    "verify_callback",
]
