"""A throw-away certificate authority in place of Apple's: a root, an intermediate like WWDR, and what that one signs.

Made once into the sandbox's data folder, and trusted by nobody but the sandbox's own phones and push service.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

PASS_TYPE, TEAM = "pass.example.jericommerce.loyalty", "SANDBOX001"
# Apple's own: what a pass certificate carries its pass type in, and what it may be used for beside TLS.
PASS_TYPE_EXTENSION = x509.ObjectIdentifier("1.2.840.113635.100.6.1.16")
PASS_SIGNING = x509.ObjectIdentifier("1.2.840.113635.100.4.14")

_AUTHORITY_DAYS, _PASS_DAYS = 3650, 365
_RENEWED_DAYS_BEFORE = 30


@dataclass(frozen=True)
class Authority:
    folder: Path

    @property
    def root_file(self) -> Path:
        """What the portal trusts for the push service, and phones for a card."""
        return self.folder / "root.pem"

    @property
    def intermediate_file(self) -> Path:
        return self.folder / "intermediate.pem"

    @property
    def pass_file(self) -> Path:
        """Pass Type ID certificate and key, as a merchant would bring them."""
        return self.folder / "pass.pem"

    @property
    def push_file(self) -> Path:
        """The push service's own certificate with its chain, and key."""
        return self.folder / "push.pem"

    @property
    def key_file(self) -> Path:
        """The intermediate's key. That of the root is thrown away once it has signed the intermediate."""
        return self.folder / "intermediate.key"

    def root(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.root_file.read_bytes())

    def intermediate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.intermediate_file.read_bytes())

    def issue_pass_certificate(self, pass_type: str = PASS_TYPE, team: str = TEAM, days: int = _PASS_DAYS) -> bytes:
        """A new Pass Type ID certificate and its key as PEM; with `days` below zero it has expired already."""
        subject = _name(f"Pass Type ID: {pass_type}", unit=team, user_id=pass_type)
        builder = _builder(subject, self.intermediate().subject, days)
        allowed = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, PASS_SIGNING])
        builder = builder.add_extension(allowed, critical=True).add_extension(
            x509.UnrecognizedExtension(PASS_TYPE_EXTENSION, _utf8(pass_type)), critical=False
        )
        return self._sign(builder, rsa.generate_private_key(65537, 2048))

    def issue_push_certificate(self) -> bytes:
        """The push service's certificate, key and chain as PEM, for this machine only."""
        builder = _builder(_name("api.push.sandbox"), self.intermediate().subject, _PASS_DAYS)
        here = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(here), critical=False).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        return self._sign(builder, ec.generate_private_key(ec.SECP256R1())) + self.intermediate_file.read_bytes()

    def _sign(self, builder: x509.CertificateBuilder, key: Key) -> bytes:
        signing = load_pem_private_key(self.key_file.read_bytes(), None)
        assert isinstance(signing, ec.EllipticCurvePrivateKey)
        builder = _tied(builder, key, signing).add_extension(x509.BasicConstraints(False, None), critical=True)
        return _pem(builder.sign(signing, hashes.SHA256())) + _private_pem(key)


def at_home(folder: Path) -> Authority:
    """The authority of a data folder: made at first, its certificates renewed before they end."""
    authority = Authority(folder)
    if not authority.push_file.exists():
        _make(authority)
    if _ends_soon(authority.pass_file):
        _write(authority.pass_file, authority.issue_pass_certificate())
    if _ends_soon(authority.push_file):
        _write(authority.push_file, authority.issue_push_certificate())
    return authority


def _make(authority: Authority) -> None:
    """What makes it known to be whole, the push certificate, is written last."""
    authority.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = _name("Sandbox Root Certification Authority")
    name = _name("Sandbox Worldwide Developer Relations Certification Authority", unit="G4")
    for path, subject, own, length in (
        (authority.root_file, root_name, root_key, None),
        (authority.intermediate_file, name, key, 0),
    ):
        builder = _tied(_builder(subject, root_name, _AUTHORITY_DAYS), own, root_key)
        builder = builder.add_extension(x509.BasicConstraints(True, length), critical=True)
        builder = builder.add_extension(_SIGNS_CERTIFICATES, critical=True)
        _write(path, _pem(builder.sign(root_key, hashes.SHA256())))
    _write(authority.key_file, _private_pem(key))
    _write(authority.pass_file, authority.issue_pass_certificate())
    _write(authority.push_file, authority.issue_push_certificate())


_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
)  # fmt: skip


def _name(common: str, unit: str | None = None, user_id: str | None = None) -> x509.Name:
    parts = [
        (NameOID.USER_ID, user_id),
        (NameOID.COMMON_NAME, common),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
        (NameOID.ORGANIZATION_NAME, "Sandbox in place of Apple"),
        (NameOID.COUNTRY_NAME, "US"),
    ]
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts if value])


def _builder(subject: x509.Name, issuer: x509.Name, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    begins = min(now - timedelta(days=1), now + timedelta(days=days - _PASS_DAYS))
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(begins).not_valid_after(now + timedelta(days=days))


def _tied(builder: x509.CertificateBuilder, key: Key, signing: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    """With the key it is for, and the marks by which a verifier finds the one that signed it."""
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key())
    return builder.public_key(key.public_key()).add_extension(own, False).add_extension(above, False)


def _utf8(text: str) -> bytes:
    """A UTF8String in DER; a pass type is short."""
    return bytes((0x0C, len(text.encode()))) + text.encode()


def _ends_soon(path: Path) -> bool:
    ends = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    return ends < datetime.now(UTC) + timedelta(days=_RENEWED_DAYS_BEFORE)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _private_pem(key: Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes) -> None:
    """As a whole or not at all, and for its owner only."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)
