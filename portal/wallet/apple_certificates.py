"""A merchant's Pass Type ID certificate, checked when it is uploaded, because signing with a wrong one succeeds and phones refuse the card.

Apple's rules: the subject's UID is the pass type, its OU the team, and the intermediate certificate (WWDR) goes along with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from portal.wallet.certificate_files import Found, Key, open_files, unreadable
from portal.wallet.errors import CertificateError

SMALLEST_RSA_BITS = 2048


@dataclass(frozen=True)
class PassCertificate:
    """A checked certificate with its key and intermediate, in PEM for storing (encrypted: the key is not)."""

    pass_type_id: str
    team_id: str
    organization: str
    not_before: datetime
    not_after: datetime
    fingerprint: str  # SHA-256
    certificate_pem: str
    intermediate_pem: str
    key_pem: str = field(repr=False)

    @classmethod
    def stored(cls, *, certificate_pem: str, intermediate_pem: str, key_pem: str) -> Self:
        """From what was stored of a checked one. Nothing is checked again, so it is quick, and one that has expired is read too."""
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
        return cls(
            pass_type_id=_named(certificate, NameOID.USER_ID),
            team_id=_named(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME),
            organization=_named(certificate, NameOID.ORGANIZATION_NAME),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
            certificate_pem=certificate_pem,
            intermediate_pem=intermediate_pem,
            key_pem=key_pem,
        )


def read_certificate(
    files: Iterable[bytes],
    password: str = "",
    *,
    intermediates: Iterable[bytes] = (),
    pass_type_id: str | None = None,
    team_id: str | None = None,
    now: datetime | None = None,
    ended_too: bool = False,
) -> PassCertificate:
    """What a merchant uploads, in any of the forms Apple and Keychain Access give it. Raises a `CertificateError`.

    `files` are .p12, .pem, .cer or .key; `intermediates` are those at hand already. A certificate that replaces another
    must be for the same `pass_type_id` and `team_id`, or installed cards could not be updated. With `ended_too` its end is
    no reason to refuse it: nothing can be signed then, and phones go on reporting.
    """
    found = open_files(files, password)
    above = [*found.certificates, *open_files(intermediates, "").certificates]
    try:
        checked = _check(found, above, now or datetime.now(UTC), ended_too=ended_too)
    # A certificate is read piece by piece, and a damaged piece shows late.
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise unreadable() from None
    _check_expected("pass type", checked.pass_type_id, pass_type_id)
    _check_expected("team", checked.team_id, team_id)
    return checked


def _check(found: Found, above: list[x509.Certificate], now: datetime, *, ended_too: bool) -> PassCertificate:
    certificate, key = _pair(found)
    _check_purpose(certificate)
    if ended_too:
        now = min(now, certificate.not_valid_after_utc)
    _check_dates(certificate, now)
    return PassCertificate.stored(
        certificate_pem=_pem(certificate),
        intermediate_pem=_pem(_issuer(certificate, above, now)),
        key_pem=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    )


def _pair(found: Found) -> tuple[x509.Certificate, Key]:
    if not found.certificates:
        raise CertificateError(
            "certificate_missing",
            "There is no certificate in what you uploaded. "
            "Download it from Apple (Certificates, Identifiers & Profiles) and upload it together with its key.",
        )
    if not found.keys:
        raise CertificateError(
            "key_missing",
            "The private key is missing, so cards cannot be signed. In Keychain Access, select the certificate and the "
            "key below it, choose “Export 2 items”, and upload the .p12 file; or upload the .key file as well.",
        )
    for certificate in found.certificates:
        for key in found.keys:
            if _public(certificate) == key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
                _check_strength(key)
                return certificate, key
    raise CertificateError(
        "key_mismatch",
        "The private key does not belong to this certificate; phones would refuse every card. "
        "Upload the key that the certificate was requested with, or make a new certificate at Apple with this key.",
    )


def _public(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _check_strength(key: Key) -> None:
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < SMALLEST_RSA_BITS:
        raise CertificateError(
            "key_weak",
            f"The key has {key.key_size} bits, and Apple asks for {SMALLEST_RSA_BITS}. "
            "Make a new certificate at Apple with a new key.",
        )


def _check_purpose(certificate: x509.Certificate) -> None:
    team = _named(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME)
    if not _named(certificate, NameOID.USER_ID).startswith("pass.") or not team:
        said = _named(certificate, NameOID.COMMON_NAME) or "without a name"
        raise CertificateError(
            "not_a_pass_certificate",
            f"This certificate (“{said[:80]}”) is not for Wallet cards, so it cannot sign any. "
            "At Apple, under Identifiers, choose your Pass Type ID and create a certificate there.",
        )


def _check_dates(certificate: x509.Certificate, now: datetime) -> None:
    if now > certificate.not_valid_after_utc:
        raise CertificateError(
            "certificate_expired",
            f"The certificate ended on {_day(certificate.not_valid_after_utc)}; cards signed with it are refused. "
            "Create a new one for the same Pass Type ID at Apple. Cards on phones go on working.",
        )
    if now < certificate.not_valid_before_utc:
        raise CertificateError(
            "certificate_not_yet_valid",
            f"The certificate begins on {_day(certificate.not_valid_before_utc)}, which is still to come. "
            "Upload it then, or check the clock of this server.",
        )


def _issuer(certificate: x509.Certificate, above: list[x509.Certificate], now: datetime) -> x509.Certificate:
    """Apple's intermediate that issued it. Its generations differ (G1, G4, ...), and only the right one makes the chain whole."""
    others = [each for each in above if each != certificate and _is_authority(each)]
    issuers = [each for each in others if _issued(certificate, each)]
    living = [each for each in issuers if each.not_valid_before_utc <= now <= each.not_valid_after_utc]
    if living:
        return max(living, key=lambda each: each.not_valid_after_utc)
    wanted = certificate.issuer.rfc4514_string()[:160]
    fetch = "Download it from apple.com/certificateauthority (Worldwide Developer Relations) and upload it as well."
    if issuers:
        ended = _day(issuers[0].not_valid_after_utc)
        raise CertificateError(
            "intermediate_expired",
            f"Apple's intermediate certificate is valid until {ended} and not now, so phones refuse cards signed under it. "
            f"{fetch}",
        )
    if others:
        raise CertificateError(
            "intermediate_wrong",
            f"The intermediate certificate is not the one that issued yours ({wanted}), so phones would refuse every card. "
            f"{fetch}",
        )
    raise CertificateError(
        "intermediate_missing",
        f"Apple's intermediate certificate ({wanted}) is missing, and phones refuse cards without it. {fetch}",
    )


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _check_expected(what: str, own: str, expected: str | None) -> None:
    if expected is not None and own != expected:
        raise CertificateError(
            f"{what.replace(' ', '_')}_differs",
            f"This certificate is for the {what} {own}, but your cards belong to {expected}. Cards that are on phones "
            f"could not be updated with it. Upload a certificate for {expected}.",
        )


def _named(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    values = certificate.subject.get_attributes_for_oid(oid)
    return str(values[0].value) if values else ""


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"
