"""The pass certificate as proof of who pushes, and how to learn that Apple does not take it."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from portal.wallet.apple_certificates import PassCertificate

_PROBE_SECONDS = 5.0
# What a server says in TLS about the certificate it was shown (RFC 8446, 6.2), as OpenSSL names it.
_COMPLAINTS = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "DECRYPT_ERROR")


def client_context(certificate: PassCertificate, ca_file: Path | None = None) -> ssl.SSLContext:
    """For connections as this certificate. `ca_file` names whom to trust in place of the system's authorities.

    Costs some 50 ms, so it is made once per batch of pushes at most.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    # OpenSSL's binding reads files only. The key in it is locked with a password that nobody keeps.
    password = secrets.token_urlsafe()
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(certificate.certificate_pem.encode() + certificate.intermediate_pem.encode())
        file.write(_locked(certificate.key_pem, password))
        file.flush()
        context.load_cert_chain(file.name, password=password)
    return context


def _locked(key_pem: str, password: str) -> bytes:
    key = load_pem_private_key(key_pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode()))


async def is_refused(host: str, port: int, context: ssl.SSLContext) -> bool:
    """Whether the other side says that it does not take our certificate.

    With TLS 1.3 it says so after the handshake, and whoever has sent something by then only sees a reset. So this sends nothing.
    """
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
            try:
                await reader.read(1)
            finally:
                writer.transport.abort()  # a polite end would wait for theirs
                await asyncio.sleep(0)
    except ssl.SSLCertVerificationError:
        return False  # it is we who do not take theirs
    except ssl.SSLError as error:
        reason = error.reason or ""
        return "ALERT" in reason and any(complaint in reason for complaint in _COMPLAINTS)
    except OSError:  # a time-out as well
        return False
    return False
