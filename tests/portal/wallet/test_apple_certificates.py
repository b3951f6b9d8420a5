"""What merchants upload: every good form is taken, and each bad one gets its own answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from portal.wallet import CertificateError, PassCertificate, read_certificate
from tests.portal.wallet.authority import NOW, PASS_TYPE, TEAM, Authority, Issued, subject

AUTHORITY = Authority()
ABOVE = AUTHORITY.intermediate
MINE = AUTHORITY.issue()

GOOD: dict[str, tuple[list[bytes], str]] = {
    "three files": ([MINE.pem, MINE.key_pem(), ABOVE.pem], ""),
    "everything in one file, intermediate first": ([ABOVE.pem + MINE.key_pem() + MINE.pem], ""),
    "Apple's own .cer files and a protected key": ([MINE.der, ABOVE.der, MINE.key_pem("secret")], "secret"),
    "a bundle with the chain": (
        [MINE.bundle("secret", ABOVE.certificate, AUTHORITY.root.certificate)],
        "secret",
    ),
    "a bundle and the intermediate apart": ([MINE.bundle("secret"), ABOVE.der], "secret"),
    "a bundle without a password": ([MINE.bundle("", ABOVE.certificate)], ""),
    "a bundle and a certificate that Apple made later": ([AUTHORITY.issue().bundle("s"), ABOVE.pem, MINE.der], "s"),
}


@pytest.mark.parametrize("form", GOOD)
def test_every_form_in_which_apple_gives_a_certificate_is_read(form: str) -> None:
    files, password = GOOD[form]
    read = read_certificate(files, password)
    assert (read.pass_type_id, read.team_id, read.organization) == (PASS_TYPE, TEAM, "Nordic Coffee ApS")
    assert read.not_after - read.not_before == timedelta(days=765)
    assert read.intermediate_pem.encode() == ABOVE.pem


def test_what_was_read_can_be_stored_and_read_again() -> None:
    read = read_certificate([MINE.bundle("secret", ABOVE.certificate)], "secret")
    stored = {name: getattr(read, name) for name in ("certificate_pem", "intermediate_pem", "key_pem")}
    assert PassCertificate.stored(**stored) == read
    assert read_certificate([pem.encode() for pem in stored.values()]) == read
    assert "PRIVATE" not in repr(read)


def test_an_intermediate_at_hand_need_not_be_uploaded() -> None:
    read = read_certificate([MINE.pem, MINE.key_pem()], intermediates=[Authority("G3").intermediate.pem, ABOVE.pem])
    assert read.intermediate_pem.encode() == ABOVE.pem


def _request() -> bytes:
    request = x509.CertificateSigningRequestBuilder().subject_name(subject(cn="me")).sign(MINE.key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM)


def _with_key(issued: Issued, *more: bytes) -> list[bytes]:
    return [issued.pem, issued.key_pem(), *(more or (ABOVE.pem,))]


ODD_KEY = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
BAD: dict[str, Callable[[], tuple[Sequence[bytes], str, dict[str, Any]]]] = {
    "certificate_missing": lambda: ([MINE.key_pem()], "", {}),
    "key_missing": lambda: ([MINE.pem, ABOVE.pem], "", {}),
    "key_mismatch": lambda: ([MINE.pem, AUTHORITY.issue().key_pem(), ABOVE.pem], "", {}),
    "key_kind": lambda: ([MINE.pem, ODD_KEY, ABOVE.pem], "", {}),
    "key_weak": lambda: (_with_key(AUTHORITY.issue(key=rsa.generate_private_key(65537, 1024))), "", {}),
    "not_a_pass_certificate": lambda: (
        _with_key(AUTHORITY.issue(subject(uid="com.nordic.app", cn="Apple Push Services: com.nordic.app", ou=TEAM))),
        "",
        {},
    ),
    "certificate_expired": lambda: (_with_key(AUTHORITY.issue(days=399)), "", {}),
    "certificate_not_yet_valid": lambda: (_with_key(AUTHORITY.issue(begins=NOW + timedelta(days=2))), "", {}),
    "intermediate_missing": lambda: ([MINE.pem, MINE.key_pem()], "", {}),
    "intermediate_wrong": lambda: (_with_key(MINE, Authority("G4").intermediate.pem), "", {}),
    "intermediate_expired": lambda: _under_an_expired_intermediate(),
    "pass_type_differs": lambda: (_with_key(MINE), "", {"pass_type_id": "pass.com.other"}),
    "team_differs": lambda: (_with_key(MINE), "", {"team_id": "ZZZZZZZZZZ"}),
    "request_instead": lambda: ([_request(), MINE.key_pem()], "", {}),
    "password_missing": lambda: ([MINE.bundle("secret")], "", {}),
    "password_wrong": lambda: ([MINE.bundle("secret")], "guess", {}),
    "file_unreadable": lambda: ([b"\x89PNG not this one"], "", {}),
    "upload_too_large": lambda: ([b"\x30" * 70_000], "", {}),
}


def _under_an_expired_intermediate() -> tuple[list[bytes], str, dict[str, Any]]:
    old = Authority("G1", intermediate_days=300)
    return _with_key(old.issue(), old.intermediate.pem), "", {}


@pytest.mark.parametrize("code", BAD)
def test_each_unusable_upload_has_an_answer_of_its_own(code: str) -> None:
    files, password, expected = BAD[code]()
    with pytest.raises(CertificateError) as refused:
        read_certificate(files, password, **expected)
    assert refused.value.code == code
    assert refused.value.message.endswith(".")


def test_one_that_has_ended_can_be_read_where_only_its_name_matters() -> None:
    ended = AUTHORITY.issue(days=399)
    read = read_certificate(_with_key(ended), ended_too=True)
    assert (read.pass_type_id, read.not_after) == (PASS_TYPE, ended.certificate.not_valid_after_utc)
    with pytest.raises(CertificateError):
        read_certificate([ended.pem, MINE.key_pem(), ABOVE.pem], ended_too=True)


def test_a_protected_key_without_its_password_asks_for_it() -> None:
    with pytest.raises(CertificateError) as refused:
        read_certificate([MINE.pem, MINE.key_pem("secret"), ABOVE.pem])
    assert refused.value.code == "password_missing"


def test_a_chain_is_broken_by_an_impostor_of_the_same_name() -> None:
    impostor = Authority("G4").issue(ABOVE.certificate.subject, authority=True)
    with pytest.raises(CertificateError) as refused:
        read_certificate(_with_key(MINE, impostor.pem))
    assert refused.value.code == "intermediate_wrong"


def test_a_certificate_of_a_version_that_does_not_exist_is_refused() -> None:
    damaged = MINE.der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x01", 1)
    assert damaged != MINE.der
    with pytest.raises(CertificateError):
        read_certificate([damaged, MINE.key_pem(), ABOVE.pem])


@pytest.mark.filterwarnings("ignore::UserWarning")  # the parser's remarks on what it finds
@given(place=st.integers(min_value=0), value=st.integers(0, 255), whole=st.sampled_from([MINE.der, MINE.bundle("s")]))
def test_a_damaged_file_is_refused_or_read_and_nothing_else(place: int, value: int, whole: bytes) -> None:
    damaged = bytearray(whole)
    damaged[place % len(damaged)] = value
    with suppress(CertificateError):
        read_certificate([bytes(damaged), MINE.key_pem(), ABOVE.pem], "s")
