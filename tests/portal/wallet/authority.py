"""A throw-away certificate authority that is to tests what Apple's is to merchants. Elliptic keys, because they are made at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

PASS_TYPE, TEAM = "pass.com.nordiccoffee.card", "A1B2C3D4E5"
NOW = datetime.now(UTC).replace(microsecond=0)


def encryption(password: str) -> KeySerializationEncryption:
    return BestAvailableEncryption(password.encode()) if password else NoEncryption()


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, in every form a merchant may hold it."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def key_pem(self, password: str = "") -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption(password))

    def bundle(self, password: str, *others: x509.Certificate) -> bytes:
        return pkcs12.serialize_key_and_certificates(b"card", self.key, self.certificate, others, encryption(password))


def subject(**parts: str) -> x509.Name:
    oids = {"uid": NameOID.USER_ID, "cn": NameOID.COMMON_NAME, "ou": NameOID.ORGANIZATIONAL_UNIT_NAME}
    oids["o"] = NameOID.ORGANIZATION_NAME
    return x509.Name([x509.NameAttribute(oids[name], value) for name, value in parts.items()])


class Authority:
    """A root and, as Apple has it, an intermediate that issues."""

    def __init__(self, generation: str = "G4", *, intermediate_days: int = 3650) -> None:
        self.root = self._authority(subject(cn="Test Root CA", o="Apple Inc."), None, 7300)
        name = subject(cn="Apple Worldwide Developer Relations Certification Authority", ou=generation, o="Apple Inc.")
        self.intermediate = self._authority(name, self.root, intermediate_days)

    def _authority(self, name: x509.Name, issuer: Issued | None, days: int) -> Issued:
        return self.issue(name, issuer=issuer, days=days, authority=True)

    def issue(
        self,
        name: x509.Name | None = None,
        *,
        issuer: Issued | None = None,
        key: Key | None = None,
        begins: datetime = NOW - timedelta(days=400),
        days: int = 765,
        authority: bool = False,
        host: str | None = None,
    ) -> Issued:
        """A pass certificate by the intermediate, unless told otherwise."""
        name = name or subject(uid=PASS_TYPE, cn=f"Pass Type ID: {PASS_TYPE}", ou=TEAM, o="Nordic Coffee ApS")
        key = key or ec.generate_private_key(ec.SECP256R1())
        above = issuer or (None if authority else self.intermediate)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(above.certificate.subject if above else name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if host:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return Issued(builder.sign(above.key if above else key, hashes.SHA256()), key)
