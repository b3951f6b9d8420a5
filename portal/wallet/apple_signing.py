"""The `.pkpass` itself: a zip of `pass.json`, pictures, a manifest of their hashes, and a signature over the manifest.

Loading a key costs as much as fifty passes, so a `Signer` is made once per certificate and kept; hashes of pictures likewise.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from portal.wallet.apple_certificates import PassCertificate
from portal.wallet.apple_pass import StoreCard, pass_json
from portal.wallet.errors import CardError

MEDIA_TYPE = "application/vnd.apple.pkpass"
# Binary: without it line feeds are signed as CR LF, and a manifest that has any is refused.
_OPTIONS = (
    pkcs7.PKCS7Options.DetachedSignature,
    pkcs7.PKCS7Options.Binary,
    pkcs7.PKCS7Options.NoCapabilities,
)
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a zip's first moment: equal contents are equal bytes


class Images:
    """A design's pictures by file name (`icon.png`, `icon@2x.png`, ...), hashed once for all cards that bear them."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        if "icon.png" not in files:
            raise CardError("icon_missing", "The card has no icon, and phones refuse it. Upload an icon.", field="icon")
        self.files = dict(sorted(files.items()))

    @cached_property
    def hashes(self) -> dict[str, str]:
        return {name: _hash(content) for name, content in self.files.items()}


class Signer:
    """Signs with one checked certificate (see `read_certificate`, which must have seen it: here nothing is checked again)."""

    def __init__(self, certificate: PassCertificate) -> None:
        self.pass_type_id = certificate.pass_type_id
        self.team_id = certificate.team_id
        self.not_after: datetime = certificate.not_after
        key = serialization.load_pem_private_key(
            certificate.key_pem.encode(), None, unsafe_skip_rsa_key_validation=True
        )
        assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        self._key = key
        self._certificate, self._intermediate = (
            x509.load_pem_x509_certificate(pem.encode())
            for pem in (certificate.certificate_pem, certificate.intermediate_pem)
        )

    def sign(self, manifest: bytes) -> bytes:
        """A detached CMS signature in DER, with the intermediate certificate and the time of signing."""
        builder = pkcs7.PKCS7SignatureBuilder(manifest).add_signer(self._certificate, self._key, hashes.SHA256())
        return builder.add_certificate(self._intermediate).sign(serialization.Encoding.DER, list(_OPTIONS))


def build_pass(card: StoreCard, images: Images, signer: Signer) -> bytes:
    """A signed `.pkpass`: https://developer.apple.com/documentation/walletpasses/building-a-pass."""
    document = pass_json(card, pass_type_id=signer.pass_type_id, team_id=signer.team_id)
    manifest = json.dumps({**images.hashes, "pass.json": _hash(document)}).encode()
    files = {"pass.json": document, "manifest.json": manifest, "signature": signer.sign(manifest), **images.files}
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        for name, content in files.items():
            archive.writestr(_entry(name), content)
    return package.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    """Pictures are compressed already; of the rest only `pass.json` is worth it."""
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED if name == "pass.json" else zipfile.ZIP_STORED
    return entry


def _hash(content: bytes) -> str:
    """SHA-1, because Apple's format says so; the signature over the manifest is SHA-256."""
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
