"""How making a card can go wrong before any phone sees it. `message` is for a shop owner: what happened, what it means, what to do.

WalletError
├── CardError            what the card should show contradicts itself or Apple's rules; `.field` names the part
├── CertificateError     an upload is no certificate that phones would accept
├── ImageError           an upload is no picture that can go on a card
└── ServiceAccountError  an upload is no key that Google would accept
"""

from __future__ import annotations


class WalletError(Exception):
    """Base. `code` is for programs and stays as it is."""

    def __init__(self, code: str, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field


class CardError(WalletError):
    pass


class CertificateError(WalletError):
    pass


class ImageError(WalletError):
    pass


class ServiceAccountError(WalletError):
    """`field` is the member of the file that is at fault, where it is one."""
