"""The certificates and keys in uploaded files: .p12, .pem, .cer, .key, whatever their names say. Nothing is judged here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key, pkcs12

from portal.wallet.errors import CertificateError

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

LARGEST_BYTES, MOST_FILES = 64 << 10, 8
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.S)


@dataclass
class Found:
    certificates: list[x509.Certificate] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)


def open_files(files: Iterable[bytes], password: str) -> Found:
    """All that is in them. Raises a `CertificateError` for a file that cannot be opened."""
    found, secret = Found(), password.encode() or None
    for number, content in enumerate(files, 1):
        if number > MOST_FILES or len(content) > LARGEST_BYTES:
            raise CertificateError(
                "upload_too_large",
                f"That is more than a certificate needs: upload at most {MOST_FILES} files of {LARGEST_BYTES >> 10} kB each.",
            )
        if b"-----BEGIN " in content:
            _open_pem(content, secret, found)
        else:
            _open_der(content, secret, found)
    return found


def _open_pem(content: bytes, secret: bytes | None, found: Found) -> None:
    for block in _PEM.finditer(content):
        kind, pem = block[1].decode(), block[0] + b"\n"
        if kind == "CERTIFICATE":
            found.certificates.append(_certificate(pem))
        elif kind.endswith("PRIVATE KEY"):
            found.keys.append(_key(pem, secret))
        elif kind.endswith("CERTIFICATE REQUEST"):
            raise CertificateError(
                "request_instead",
                "This is the request that you sent to Apple, not the certificate that Apple made of it. "
                "Download the certificate (a .cer file) from Apple and upload it with the key.",
            )


def _open_der(content: bytes, secret: bytes | None, found: Found) -> None:
    """A certificate, a bundle or a key; DER does not say which, so each is tried."""
    try:
        found.certificates.append(x509.load_der_x509_certificate(content))
        return
    except (ValueError, x509.InvalidVersion):
        pass
    if _is_bundle(content):
        _open_bundle(content, secret, found)
        return
    try:
        key = load_der_private_key(content, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise unreadable() from None
    found.keys.append(_usable(key))


def _is_bundle(content: bytes) -> bool:
    """PKCS #12 is a sequence whose first member is the number 3 (RFC 7292, 4)."""
    return content[:1] == b"\x30" and b"\x02\x01\x03" in content[2:10]


def _open_bundle(content: bytes, secret: bytes | None, found: Found) -> None:
    try:
        key, certificate, others = pkcs12.load_key_and_certificates(content, secret)
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise _wrong_password(secret) from None
    found.certificates += [each for each in (certificate, *others) if each is not None]
    if key is not None:
        found.keys.append(_usable(key))


def _certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except (ValueError, x509.InvalidVersion):
        raise unreadable() from None


def _key(pem: bytes, secret: bytes | None) -> Key:
    encrypted = b"ENCRYPTED" in pem
    try:
        return _usable(load_pem_private_key(pem, secret if encrypted else None))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise (_wrong_password(secret) if encrypted else unreadable()) from None


def _usable(key: object) -> Key:
    if not isinstance(key, Key):
        raise CertificateError(
            "key_kind",
            "The private key is of a kind that Apple's certificates do not use. Upload the key the certificate was requested with.",
        )
    return key


def _wrong_password(secret: bytes | None) -> CertificateError:
    if secret is None:
        return CertificateError(
            "password_missing",
            "The file is protected by a password. Type the one that was chosen when it was exported.",
        )
    return CertificateError(
        "password_wrong",
        "The password does not open this file. Type the one that was chosen when it was exported, or export it again.",
    )


def unreadable() -> CertificateError:
    return CertificateError(
        "file_unreadable",
        "This file is neither a certificate nor a key, or it is damaged. Upload the .p12, .pem, .cer or .key file as it is.",
    )
