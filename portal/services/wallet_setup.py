"""What a merchant brings to Apple and Google: a certificate and a service account, checked when they are uploaded, and watched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete

from portal import config
from portal.db import db
from portal.errors import InvalidError
from portal.models import AppleCertificate, GoogleAccount, Wallet, WalletHealth
from portal.services import wallet_accounts, wallet_health
from portal.wallet import PassCertificate, WalletError, read_certificate
from portal.wallet.google import check_service_account

# Days before the end at which the words change; the last ones are urgent.
WARN_DAYS, URGENT_DAYS = (60, 30, 14, 7, 1), 7


@dataclass(frozen=True)
class Notice:
    text: str
    urgent: bool


@dataclass(frozen=True)
class Setup:
    """As the page shows it. `own` tells the merchant's own from the portal's."""

    certificate: PassCertificate | None
    own_certificate: AppleCertificate | None
    google_issuer_id: str | None
    own_account: GoogleAccount | None
    problems: Sequence[WalletHealth]


def setup(merchant_id: int) -> Setup:
    issuer = wallet_accounts.google_issuer(merchant_id)
    return Setup(
        wallet_accounts.apple_certificate(merchant_id),
        db.session.get(AppleCertificate, merchant_id),
        issuer.issuer_id if issuer else None,
        db.session.get(GoogleAccount, merchant_id),
        wallet_health.problems(merchant_id),
    )


def bring_certificate(merchant_id: int, files: Sequence[bytes], password: str, by: str) -> AppleCertificate:
    """Check it and keep it sealed. Raises `InvalidError` with the reason and the remedy; then the last one stays in use."""
    last = db.session.get(AppleCertificate, merchant_id)
    intermediate = config.current().apple_intermediate
    try:
        checked = read_certificate(
            files,
            password,
            intermediates=[intermediate.encode()] if intermediate else [],
            # Cards on phones could not be updated with one for another pass type or team.
            pass_type_id=last.pass_type_id if last else None,
            team_id=last.team_id if last else None,
        )
    except WalletError as error:
        raise InvalidError(error.message, field="files", code=error.code) from error
    own = last or AppleCertificate(merchant_id=merchant_id)
    own.certificate_pem, own.intermediate_pem = checked.certificate_pem, checked.intermediate_pem
    own.key_pem = checked.key_pem
    own.pass_type_id, own.team_id, own.fingerprint = checked.pass_type_id, checked.team_id, checked.fingerprint
    own.not_after, own.uploaded_by = checked.not_after, by
    db.session.add(own)
    _be_well(merchant_id, Wallet.APPLE)
    return own


def bring_account(merchant_id: int, file: str, issuer_id: str, by: str) -> GoogleAccount:
    """Likewise for Google. Raises `InvalidError`."""
    if not issuer_id.isascii() or not issuer_id.isdigit() or len(issuer_id) > 30:
        raise InvalidError(
            "The issuer's number has digits only. Copy it from the Google Pay & Wallet console.", field="issuer_id"
        )
    try:
        account = check_service_account(file, config.current().google_token_url)
    except WalletError as error:
        raise InvalidError(error.message, field="file", code=error.code) from error
    own = db.session.get(GoogleAccount, merchant_id) or GoogleAccount(merchant_id=merchant_id)
    own.issuer_id, own.client_email, own.file, own.uploaded_by = issuer_id, account.client_email, file, by
    db.session.add(own)
    _be_well(merchant_id, Wallet.GOOGLE)
    return own


def _be_well(merchant_id: int, wallet: Wallet) -> None:
    """What was wrong with the last one says nothing of this one."""
    wrong = (WalletHealth.merchant_id == merchant_id) & (WalletHealth.wallet == wallet)
    db.session.execute(delete(WalletHealth).where(wrong))


# --- what needs a person -------------------------------------------------------------------------


def warnings(merchant_id: int, now: datetime) -> list[Notice]:
    """What is wrong at Apple or Google, and a certificate that ends soon."""
    found = [Notice(health.problem or "", True) for health in wallet_health.problems(merchant_id)]
    own = db.session.get(AppleCertificate, merchant_id)
    certificate = wallet_accounts.apple_certificate(merchant_id)
    ends = own.not_after if own else certificate.not_after if certificate else None
    return [*found, *([warning] if ends and (warning := ending(ends, now)) else [])]


def ending(ends: datetime, now: datetime) -> Notice | None:
    """A certificate's end, from 60 days before."""
    days = (ends - now).days
    if days > WARN_DAYS[0]:
        return None
    kept = "Cards on phones stay, but nobody can add one or see new points."
    if ends <= now:
        return Notice(f"The certificate for Apple Wallet has ended. {kept} Upload a new one now.", True)
    within = min(limit for limit in WARN_DAYS if days <= limit)
    when = "in less than a day" if days < 1 else "tomorrow" if within == 1 else f"in {days} days"
    return Notice(
        f"The certificate for Apple Wallet ends {when}. After that: {kept[0].lower()}{kept[1:]} Upload its successor before.",
        within <= URGENT_DAYS,
    )


# --- for the operator ----------------------------------------------------------------------------


def examine_portal_certificate() -> tuple[str, datetime | None]:
    """(what is wrong with the certificate of the settings, when it ends)."""
    try:
        certificate = wallet_accounts.check_portal_certificate()
    except WalletError as error:
        return f"PORTAL_APPLE_PASS_CERTIFICATE: {error.message}", None
    return "", certificate.not_after if certificate else None


def examine_portal_account() -> str:
    """What is wrong with the service account of the settings."""
    settings = config.current()
    if not settings.google_service_account:
        return ""
    if not settings.google_issuer_id:
        return "PORTAL_GOOGLE_SERVICE_ACCOUNT is set and PORTAL_GOOGLE_ISSUER_ID is not. Set it to the issuer's number."
    try:
        check_service_account(settings.google_service_account, settings.google_token_url)
    except WalletError as error:
        return f"PORTAL_GOOGLE_SERVICE_ACCOUNT: {error.message}"
    return ""
