"""A small library for loyalty cards in Apple Wallet. Knows nothing of the portal: no settings, no rows, no Flask.

`read_certificate(files, password)` checks an upload, `PassCertificate.stored(...)` is for later; `Signer(certificate)` is made once;
`prepare(Slot.LOGO, upload).files` are pictures for `Images`; `build_pass(StoreCard(...), Images(files), signer)` is the `.pkpass`.
`with Pusher(certificate) as pusher: pusher.push_many(tokens)` wakes phones and says what became of each, without raising.
What is wrong with an upload or a card is a `WalletError`. Google Wallet has its own place to import from: `portal.wallet.google`.
"""

from portal.wallet.apns import Pusher
from portal.wallet.apns_answer import Outcome, Pushed
from portal.wallet.apple_certificates import PassCertificate, read_certificate
from portal.wallet.apple_fields import Alignment, DateStyle, Detector, Field, NumberStyle, link
from portal.wallet.apple_pass import Action, ActionType, Barcode, BarcodeFormat, Location, StoreCard, WebService
from portal.wallet.apple_signing import MEDIA_TYPE, Images, Signer, build_pass
from portal.wallet.colours import READABLE, READABLE_LARGE, Colour, contrast
from portal.wallet.errors import CardError, CertificateError, ImageError, WalletError
from portal.wallet.slots import Prepared, Slot, plain_icon, prepare

__all__ = [
    "MEDIA_TYPE",
    "READABLE",
    "READABLE_LARGE",
    "Action",
    "ActionType",
    "Alignment",
    "Barcode",
    "BarcodeFormat",
    "CardError",
    "CertificateError",
    "Colour",
    "DateStyle",
    "Detector",
    "Field",
    "ImageError",
    "Images",
    "Location",
    "NumberStyle",
    "Outcome",
    "PassCertificate",
    "Prepared",
    "Pushed",
    "Pusher",
    "Signer",
    "Slot",
    "StoreCard",
    "WalletError",
    "WebService",
    "build_pass",
    "contrast",
    "link",
    "plain_icon",
    "prepare",
    "read_certificate",
]
