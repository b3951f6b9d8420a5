"""With whose certificate cards are signed, and with whose service account Google is called: the merchant's, or the portal's own.

Reading either takes a moment, so each process keeps what it has read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from portal import config
from portal.db import db
from portal.models import AppleCertificate, GoogleAccount
from portal.wallet import PassCertificate, Signer, WalletError, read_certificate
from portal.wallet.google import GoogleWallet, ServiceAccount, read_service_account


@dataclass(frozen=True)
class Issuer:
    """A service account and the number for which it may act."""

    account: ServiceAccount
    issuer_id: str

    def wallet(self) -> GoogleWallet:
        return GoogleWallet(self.account, config.current().google_api_url)


def apple_certificate(merchant_id: int) -> PassCertificate | None:
    """None where cards cannot be signed at all."""
    own = db.session.get(AppleCertificate, merchant_id)
    if own is None:
        return portal_certificate()
    return _stored(own.certificate_pem, own.intermediate_pem, own.key_pem or "")


def portal_certificate() -> PassCertificate | None:
    """The one of the settings, for every merchant who brings none; also when it has ended: phones still have its cards."""
    settings = config.current()
    try:
        return _from_settings(settings.apple_pass_certificate, settings.apple_intermediate, ended_too=True)
    except WalletError:  # `flask doctor` says what is wrong with it
        return None


def check_portal_certificate() -> PassCertificate | None:
    """None where none is set. Raises a `WalletError` that says what is wrong with it."""
    settings = config.current()
    return _from_settings(settings.apple_pass_certificate, settings.apple_intermediate, ended_too=False)


@lru_cache(maxsize=4)
def _from_settings(certificate: str, intermediate: str, *, ended_too: bool) -> PassCertificate | None:
    if not certificate:
        return None
    above = [intermediate.encode()] if intermediate else []
    return read_certificate([certificate.encode()], intermediates=above, ended_too=ended_too)


@lru_cache(maxsize=1_000)
def _stored(certificate: str, intermediate: str, key: str) -> PassCertificate:
    return PassCertificate.stored(certificate_pem=certificate, intermediate_pem=intermediate, key_pem=key)


@lru_cache(maxsize=1_000)
def signer(certificate: PassCertificate) -> Signer:
    return Signer(certificate)


def google_issuer(merchant_id: int) -> Issuer | None:
    """None where Google cannot be called at all."""
    own = db.session.get(GoogleAccount, merchant_id)
    settings = config.current()
    file = own.file if own else settings.google_service_account
    issuer_id = own.issuer_id if own else settings.google_issuer_id
    if not file or not issuer_id:
        return None
    try:
        return Issuer(_read(file, settings.google_token_url), issuer_id)
    except WalletError:  # of the settings; `flask doctor` says what is wrong with it
        return None


@lru_cache(maxsize=1_000)
def _read(file: str, token_url: str) -> ServiceAccount:
    return read_service_account(file, token_url)
