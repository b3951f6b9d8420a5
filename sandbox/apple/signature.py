"""The signature of a card as a phone checks it: detached CMS over the manifest, a chain to the authority, the signer's names.

RFC 5652; `cryptography` signs CMS but does not verify it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization.pkcs7 import load_der_pkcs7_certificates
from cryptography.x509.oid import NameOID

from sandbox.apple import der
from sandbox.apple.der import DerError, Value

_SIGNED_DATA = "1.2.840.113549.1.7.2"
_MESSAGE_DIGEST, _SIGNING_TIME = "1.2.840.113549.1.9.4", "1.2.840.113549.1.9.5"
_DIGESTS: dict[str, type[hashes.HashAlgorithm]] = {
    "1.3.14.3.2.26": hashes.SHA1,
    "2.16.840.1.101.3.4.2.1": hashes.SHA256,
    "2.16.840.1.101.3.4.2.2": hashes.SHA384,
    "2.16.840.1.101.3.4.2.3": hashes.SHA512,
}
_CERTIFICATES, _SIGNED_ATTRIBUTES, _CONTENT = 0xA0, 0xA0, 0xA0


class SignatureError(Exception):
    """Why a phone does not trust a card, in a phrase."""


@dataclass(frozen=True)
class Signer:
    pass_type: str
    team: str


@dataclass(frozen=True)
class _Signed:
    """What one signer says in a signature."""

    issuer: bytes
    serial: int
    digest: hashes.HashAlgorithm
    # As they were signed: a SET, whatever tag they bear in the signature.
    attributes: bytes
    message_digest: bytes
    signing_time: datetime
    signature: bytes


def check(signature: bytes, manifest: bytes, root: x509.Certificate, now: datetime) -> Signer:
    """Whom the certificate names, once all is well with it. Raises `SignatureError`."""
    try:
        signed = _read(signature)
        certificates = load_der_pkcs7_certificates(signature)
    except (DerError, ValueError, IndexError, KeyError) as error:
        raise SignatureError(f"the signature cannot be read ({error})") from error
    signer = next((each for each in certificates if _is_of(each, signed)), None)
    if signer is None:
        raise SignatureError("the signer's certificate is not in the signature")
    digest = hashes.Hash(signed.digest)
    digest.update(manifest)
    if digest.finalize() != signed.message_digest:
        raise SignatureError("the signature is for another manifest")
    _check_signed(signer, signed)
    _check_chain(signer, certificates, root)
    for when, words in ((signed.signing_time, "when it signed"), (now, "now")):
        if not signer.not_valid_before_utc <= when <= signer.not_valid_after_utc:
            raise SignatureError(f"the pass certificate was not valid {words}")
    return Signer(_named(signer, NameOID.USER_ID), _named(signer, NameOID.ORGANIZATIONAL_UNIT_NAME))


def _read(signature: bytes) -> _Signed:
    kind, wrapped = der.read(signature).inside()[:2]
    if der.object_id(kind) != _SIGNED_DATA:
        raise DerError("no signed data")
    parts = wrapped.inside()[0].inside()
    if any(part.tag == _CONTENT for part in parts[2].inside()):
        raise SignatureError("the signature is not detached: it holds the manifest itself")
    if not any(part.tag == _CERTIFICATES for part in parts[3:]):
        raise SignatureError("the signature holds no certificates")
    signers = parts[-1].inside()
    if len(signers) != 1:
        raise SignatureError(f"the signature has {len(signers)} signers")
    return _read_signer(signers[0].inside())


def _read_signer(parts: list[Value]) -> _Signed:
    if parts[3].tag != _SIGNED_ATTRIBUTES:
        raise SignatureError("the signature has no signing time")
    _version, name, digest, attributes, _algorithm, signature = parts[:6]
    issuer, serial = name.inside()[:2]
    told = {der.object_id(each.inside()[0]): each.inside()[1].inside()[0] for each in attributes.inside()}
    if _SIGNING_TIME not in told:
        raise SignatureError("the signature has no signing time")
    return _Signed(
        issuer=issuer.whole,
        serial=int.from_bytes(serial.content, signed=True),
        digest=_DIGESTS[der.object_id(digest.inside()[0])](),
        attributes=bytes((der.SET,)) + attributes.whole[1:],
        message_digest=told[_MESSAGE_DIGEST].content,
        signing_time=_time(told[_SIGNING_TIME]),
        signature=signature.content,
    )


def _time(value: Value) -> datetime:
    """UTCTime, two figures for the year, or GeneralizedTime, four; both in UTC."""
    text = value.content.decode("ascii")
    written = "%y%m%d%H%M%SZ" if value.tag == 0x17 else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text, written).replace(tzinfo=UTC)


def _is_of(certificate: x509.Certificate, signed: _Signed) -> bool:
    return certificate.serial_number == signed.serial and certificate.issuer.public_bytes() == signed.issuer


def _check_signed(signer: x509.Certificate, signed: _Signed) -> None:
    key = signer.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signed.signature, signed.attributes, padding.PKCS1v15(), signed.digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signed.signature, signed.attributes, ec.ECDSA(signed.digest))
        else:
            raise SignatureError("the pass certificate has a key of an unknown kind")
    except InvalidSignature as error:
        raise SignatureError("the signature was made with another key than the certificate's") from error


def _check_chain(signer: x509.Certificate, certificates: list[x509.Certificate], root: x509.Certificate) -> None:
    above = next((each for each in certificates if each.subject == signer.issuer and each != signer), None)
    if above is None:
        raise SignatureError("the intermediate certificate (WWDR) is not in the signature")
    try:
        signer.verify_directly_issued_by(above)
        above.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise SignatureError("the certificates do not lead to an authority that this phone trusts") from error


def _named(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    found = certificate.subject.get_attributes_for_oid(oid)
    return str(found[0].value) if found else ""
