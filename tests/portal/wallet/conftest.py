"""One merchant's certificate, made once for all tests, and a reader that is not ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from portal.wallet import PassCertificate, Signer, read_certificate
from tests.portal.wallet.authority import Authority, Issued
from tests.portal.wallet.readers import compile_reader


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def issued(authority: Authority) -> Issued:
    """A merchant's certificate, with the kind of key that Keychain Access makes."""
    return authority.issue(key=rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="session")
def certificate(authority: Authority, issued: Issued) -> PassCertificate:
    return read_certificate([issued.pem, issued.key_pem(), authority.intermediate.pem])


@pytest.fixture(scope="session")
def signer(certificate: PassCertificate) -> Signer:
    return Signer(certificate)


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_reader(tmp_path_factory.mktemp("reader"))
